/* What the security module answers; the input's first byte says to which request. An answer is taken whole or not at all. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"

#include "attest/nsm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(struct nsm *nsm, uint8_t which)
{
    static uint8_t value[NSM_RANDOM_SIZE];
    struct nsm_description description;
    struct buf document = buf_init(ATTEST_DOCUMENT_MAX);
    bool locked;
    cc_err err = CC_OK;
    switch (which % 6) {
    case 0:
        err = nsm_attest(nsm, span_of("u", 1), span_of(NULL, 0), span_of(NULL, 0), &document);
        cc_assert(err.code ? document.len == 0 : document.len > 0);
        break;
    case 1:
        err = nsm_describe(nsm, &description);
        cc_assert(err.code || strlen(description.module_id) < sizeof description.module_id);
        break;
    case 2:
        err = nsm_pcr(nsm, 0, &locked, value);
        break;
    case 3:
        err = nsm_extend(nsm, 16, span_of("d", 1), value);
        break;
    case 4:
        err = nsm_lock(nsm, 16);
        break;
    default:
        err = nsm_random(nsm, value);
        break;
    }
    cc_assert(!err.code || error_is(err, ERROR_NSM) || error_is(err, ERROR_NSM_REFUSED));
    buf_release(&document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int line[2];
    struct nsm *nsm = NULL;
    const int room = 1 << 20;
    if (size == 0 || size > 2 * (size_t)ATTEST_DOCUMENT_MAX)
        return 0;
    size_t len = size - 1;
    const uint8_t head[4] = {(uint8_t)len, (uint8_t)(len >> 8), 0, 0};
    cc_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, line) == 0);
    cc_assert(setsockopt(line[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0);
    cc_assert(!nsm_adopt(line[1], &nsm).code);
    cc_assert(!fd_write_all(line[0], head, sizeof head).code);
    cc_assert(!fd_write_all(line[0], data + 1, len).code);
    (void)shutdown(line[0], SHUT_WR);
    ask(nsm, data[0]);
    nsm_close(nsm);
    (void)close(line[0]);
    return 0;
}
