/* Any packets from a core by the door of documents: each is refused or answered once, by the type that belongs to it. Whatever they say, the security module
 * is asked for nothing but a document of the vault's own words, whose public key is the vault's or none; and what comes back of an envelope is text.
 *
 * Input: a byte of options, then packets, each behind its length (2 bytes, little-endian).
 */
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"

#include "attest/binding.h"
#include "codec/cbor.h"
#include "vault/document_door.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LIFE = 1,
    OPTION_ROOT = 1,    /* the vault has made a root, */
    OPTION_CHAMBER = 2, /* and a chamber */
    OPTION_OUTSIDE = 4  /* of an enclave */
};

static struct door_message message;
static struct door_message answer;
static struct recipient *recipient; /* made once: it takes long */
static struct tee_root_config config = {.threshold = 1, .kms_key_arns = {.count = 2}};
static uint8_t public_der[RECIPIENT_PUBLIC_MAX];
static uint32_t public_len;

static void vault_make(struct vault *v, uint8_t options)
{
    const struct b_root_make numbers = {.threshold = 1, .count = 2};
    static struct b_root_made made;
    static struct b_chamber stored;
    if (!recipient) {
        cc_assert(!recipient_new(&recipient).code);
        cc_assert(!recipient_public(recipient, public_der, &public_len).code);
    }
    *v = (struct vault){.root_config = &config, .recipient = recipient};
    cc_assert(!arena_new(1, 64, &v->arena).code);
    cc_assert(!chamber_new(v->arena, &v->chamber).code);
    cc_assert(!root_new(v->arena, v->chamber, &v->root).code);
    chamber_set_mode(v->chamber, ROOM_MODE_INIT);
    if (options & OPTION_ROOT)
        cc_assert(!root_make(v->root, &numbers, &made).code);
    if ((options & OPTION_ROOT) && (options & OPTION_CHAMBER))
        cc_assert(!chamber_create(v->chamber, &stored).code);
    if (options & OPTION_OUTSIDE)
        v->recipient = NULL;
}

static void vault_end(struct vault *v)
{
    root_free(v->root);
    chamber_free(v->chamber);
    arena_free(v->arena);
}

/* A module's answer lies ready; what it was asked is read afterwards. */
static int module_open(struct vault *v)
{
    static const uint8_t document[] = "\x24\0\0\0\xa1\x6b"
                                      "Attestation\xa1\x68"
                                      "document\x4c"
                                      "any document";
    int line[2];
    cc_assert(socketpair(AF_UNIX, SOCK_STREAM, 0, line) == 0);
    cc_assert(!fd_write_all(line[0], document, sizeof document - 1).code);
    cc_assert(!nsm_adopt(line[1], &v->nsm).code);
    return line[0];
}

static struct span bytes_or_none(struct cbor_reader *r)
{
    struct span value = {NULL, 0};
    if (!cbor_try_null(r))
        cc_assert(!cbor_read_bytes(r, &value).code);
    return value;
}

static void check_request(struct span request)
{
    static const char *const outer[] = {"Attestation"};
    static const char *const names[] = {"user_data", "nonce", "public_key"};
    struct cbor_reader r = cbor_reader_init(request);
    struct span fields[3];
    struct attest_binding binding;
    uint32_t count, which, seen = 0;
    cc_assert(!cbor_read_map(&r, 1, &count).code);
    cc_assert(!cbor_read_name(&r, outer, 1, &seen, &which).code);
    cc_assert(!cbor_read_map(&r, 3, &count).code && count == 3);
    seen = 0;
    for (uint32_t i = 0; i < count; i++) {
        cc_assert(!cbor_read_name(&r, names, 3, &seen, &which).code);
        fields[which] = bytes_or_none(&r);
    }
    cc_assert(!attest_binding_decode(fields[0], &binding).code);
    cc_assert(fields[1].len <= D_NONCE_MAX);
    if (binding.purpose == ATTEST_FOR_KMS)
        cc_assert(span_equal(fields[2], span_of(public_der, public_len)));
    else
        cc_assert(!fields[2].data);
    cc_assert((message.head.type == D_VOUCH) == (binding.purpose == ATTEST_FOR_ROOT));
}

static void check_module(int line)
{
    static uint8_t bytes[1 << 16];
    /* An answer that nobody has read resets the line; a question is there all the same. */
    const ssize_t n = read(line, bytes, sizeof bytes);
    const struct span asked = span_of(bytes, n > 0 ? (size_t)n : 0);
    const struct d_document *document = (const void *)answer.items;
    if (answer.head.type == D_DOCUMENT && !document->error)
        cc_assert(asked.len > 4 && document->len == 12);
    if (asked.len)
        check_request(span_of(bytes + 4, asked.len - 4));
    (void)close(line);
}

static void check_answer(void)
{
    const struct d_text *text = (const void *)answer.items;
    cc_assert(answer.head.count == 1);
    cc_assert(answer.head.type == (message.head.type == D_OPEN ? D_TEXT : D_DOCUMENT));
    cc_assert(!memcmp(answer.items, message.items, sizeof(uint64_t)));
    if (answer.head.type != D_TEXT)
        return;
    cc_assert(!text->error == (text->len > 0));
    for (uint32_t i = 0; i < sizeof text->text; i++)
        cc_assert(i < text->len ? text->text[i] >= ' ' && text->text[i] <= '~' : !text->text[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vault vault;
    log_init(-1, false, LOG_LEVEL_ERROR);
    if (size < 1)
        return 0;
    vault_make(&vault, data[0]);
    for (size_t at = 1; at + 2 <= size;) {
        size_t len = (size_t)data[at] | (size_t)data[at + 1] << 8;
        at += 2;
        len = len < size - at ? len : size - at;
        memset(&message, 0, sizeof message);
        memcpy(&message, data + at, len);
        at += len;
        if (door_check(&message, len, LIFE, door_documents_to_vault).code)
            continue;
        const int line = module_open(&vault);
        document_door_answer(&vault, &message, &answer);
        nsm_close(vault.nsm);
        vault.nsm = NULL;
        check_answer();
        check_module(line);
    }
    vault_end(&vault);
    return 0;
}
