#include "cli/signer_attested.h"

#include <poll.h>

#include "codec/hex.h"
#include "crypto/random.h"

enum {
    REQUEST_MAX = 1024,
    TRIES = 20, /* while others ask for documents */
    REST_MS = 250
};

static cc_err receive(void *line, void *into, size_t room, size_t *ret_len)
{
    return atls_line_receive(line, into, room, ret_len);
}

static cc_err keep(void *document, const void *data, size_t len)
{
    return buf_append(document, data, len);
}

static cc_err ask(const struct signer *signer,
                  struct atls_line *line,
                  const uint8_t nonce[static ATLS_NONCE_SIZE])
{
    CC_CLEANUP(buf_release) struct buf request = buf_init(REQUEST_MAX);
    char digits[2 * ATLS_NONCE_SIZE + 1] = "";
    hex_encode(nonce, ATLS_NONCE_SIZE, digits);
    CC_TRY(buf_printf(
        &request,
        "GET /attestation?nonce=%s HTTP/1.1\r\nHost: %s\r\nAccept: application/cose\r\n\r\n",
        digits, signer->authority));
    return atls_line_send(line, request.data, request.len);
}

static cc_err ask_once(const struct signer *signer,
                       struct atls_line *line,
                       const uint8_t nonce[static ATLS_NONCE_SIZE],
                       struct buf *document,
                       int *ret_status)
{
    struct http_answer answer = {
        .read = receive, .read_context = line, .sink = keep, .sink_context = document};
    document->len = 0;
    CC_TRY(ask(signer, line, nonce));
    CC_TRY(http_answer_read(&answer));
    *ret_status = answer.status;
    return CC_OK;
}

/* What the connection began with may be an hour old; this was not there before the nonce was. */
static cc_err check_life(const struct signer *signer, struct atls_line *line)
{
    uint8_t nonce[ATLS_NONCE_SIZE];
    CC_CLEANUP(buf_release) struct buf document = buf_init(ATTEST_DOCUMENT_MAX);
    int status = 503;
    CC_TRY(random_bytes(nonce, sizeof nonce));
    for (int i = 0; i < TRIES && status == 503; i++) {
        if (i > 0)
            (void)poll(NULL, 0, REST_MS);
        CC_TRY(ask_once(signer, line, nonce, &document, &status));
    }
    if (status != 200)
        return CC_FAIL(PROTOCOL, "the enclave does not answer a nonce");
    return atls_check_live(buf_span(&document), signer->attested, atls_line_peer(line), nonce);
}

CC_ERR signer_attested_open(const struct signer *signer, int fd, struct atls_line **ret_line)
{
    CC_CLEANUP(atls_line_closep) struct atls_line *line = NULL;
    const struct atls_line_options options = {signer->attested, signer->host,
                                              SIGNER_PATIENCE_S * 1000};
    CC_TRY(atls_line_open(fd, &options, &line));
    CC_TRY(check_life(signer, line));
    *ret_line = line;
    line = NULL;
    return CC_OK;
}
