#include "vault/release.h"

#include <string.h>

#include "base/log.h"

#include "crypto/shamir.h"
#include "secret/wipe.h"

_Static_assert((int)SHAMIR_SHARES_MAX < (int)' ', "the last byte of a share is in no text");
_Static_assert(sizeof(struct shamir_share) == SEAL_SHARE_SIZE, "and all of a share goes to KMS");
_Static_assert((int)D_ENVELOPE_CIPHERTEXT == (int)RECIPIENT_CIPHERTEXT_MAX &&
                   (int)D_TEXT_MAX == (int)RECIPIENT_CIPHERTEXT_MAX,
               "a text fits, and ends");

static bool has_a_length(uint32_t len)
{
    return len >= RECIPIENT_BLOCK && len <= RECIPIENT_CIPHERTEXT_MAX && len % RECIPIENT_BLOCK == 0;
}

/* Counted before it is opened, so that threads can't try more than there are. */
static cc_err begin_try(struct vault *v)
{
    if (atomic_fetch_add(&v->release_tries, 1) < RELEASE_REFUSALS_MAX)
        return CC_OK;
    atomic_fetch_sub(&v->release_tries, 1);
    log_error(
        "too much that KMS has opened was no text: no password and no credential is opened until the next start");
    return CC_FAIL(LIMIT, "too much that KMS has opened was no text: nothing is opened any more");
}

CC_SENSITIVE CC_ERR release_open(struct vault *vault,
                                 const struct d_open *request,
                                 struct d_text *ret_text)
{
    char text[D_TEXT_MAX] = {0};
    uint32_t len = 0;
    if (!vault->recipient)
        return CC_FAIL(SEAL_STATE, "this vault is in no enclave");
    if (!has_a_length(request->len))
        return CC_FAIL(KMS_ANSWER, "no envelope of a text");
    CC_TRY(begin_try(vault));
    cc_err err = recipient_open_text(vault->recipient, request->wrapped, request->iv,
                                     span_of(request->ciphertext, request->len), text, &len);
    if (!err.code && !len)
        err = CC_FAIL(KMS_ANSWER, "what KMS has opened is no text");
    if (!err.code) {
        atomic_fetch_sub(&vault->release_tries, 1);
        memcpy(ret_text->text, text, len);
        ret_text->len = len;
    }
    wipe(text, sizeof text);
    return err;
}
