#include "vault/set_door.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#include "secret/wipe.h"
#include "vault/auto_unseal.h"
#include "vault/ceremony.h"

static cc_err do_open(struct vault *v, const struct b_set *request, struct b_seal_state *ret_answer)
{
    cc_err err = sets_open(v->sets, (enum b_set_which)request->which, &request->set);
    if (err.code)
        log_error("a set of the master key is refused", KV_ERR(err));
    sets_state(v->sets, ret_answer);
    return err;
}

static cc_err do_make(struct vault *v, const struct b_set_make *request, struct b_set *ret_answer)
{
    enum b_set_which which = B_SET_STAGED;
    cc_err err = sets_make(v->sets, &request->proposal, &which, &ret_answer->set);
    if (err.code)
        log_error("no set of the master key is made", KV_ERR(err));
    else
        log_notice("a set of the master key is made",
                   KV_NUM("generation", ret_answer->set.generation));
    ret_answer->which = which;
    return err;
}

static cc_err
do_share(struct vault *v, const struct b_set_part *request, struct b_share *ret_answer)
{
    ret_answer->index = request->index;
    ret_answer->which = request->kind == B_PART_AUTO ? B_SET_AUTO : B_SET_STAGED;
    if (request->kind == B_PART_AUTO)
        return auto_unseal_part(v->sets, request->index, ret_answer->share);
    return request->kind == B_PART_KMS ? sets_part(v->sets, request->index, ret_answer->share)
                                       : CC_FAIL(PROTOCOL, "kind of a share");
}

static cc_err do_text(struct vault *v, const struct b_set_part *request, struct b_text *ret_answer)
{
    CC_CLEANUP(buf_release) struct buf out = buf_init(sizeof ret_answer->bytes);
    CC_TRY(sets_text(v->sets, (enum b_set_part_kind)request->kind, request->index, &out));
    ret_answer->len = (uint32_t)out.len;
    memcpy(ret_answer->bytes, out.data, out.len);
    return CC_OK;
}

static cc_err
do_unwrap(struct vault *v, const struct b_share *request, struct b_seal_state *ret_answer)
{
    cc_err err = request->which == B_SET_AUTO
                     ? auto_unseal_unwrap(v->sets, request->index, request->share)
                     : sets_unwrap(v->sets, (enum b_set_which)request->which, request->index,
                                   request->share);
    if (err.code)
        log_error("a share from a KMS key is refused", KV_NUM("index", request->index),
                  KV_ERR(err));
    sets_state(v->sets, ret_answer);
    return err;
}

static cc_err check_enclave(const struct vault *v)
{
    return v->recipient ? CC_OK : CC_FAIL(SEAL_STATE, "this vault is in no enclave");
}

/* What does not open gives a share that was not committed to: one error for both. */
static CC_SENSITIVE cc_err do_unwrap_sealed(struct vault *v,
                                            const struct b_sealed_share *request,
                                            struct b_seal_state *ret_answer)
{
    const struct seal_sealed_share *sealed = &request->sealed;
    struct b_share opened = {.which = request->which, .index = request->index};
    CC_TRY(check_enclave(v));
    cc_err err = recipient_open(v->recipient, sealed->wrapped, sealed->iv,
                                span_of(sealed->ciphertext, sizeof sealed->ciphertext),
                                opened.share, sizeof opened.share);
    if (!err.code)
        err = do_unwrap(v, &opened, ret_answer);
    wipe(&opened, sizeof opened);
    return err;
}

static cc_err
do_auto_make(struct vault *v, const struct b_auto_make *request, struct b_auto *ret_answer)
{
    cc_err err = auto_unseal_make(v->sets, request, &ret_answer->blob);
    if (error_is(err, ERROR_NOT_APPROVED))
        log_warn("no auto-unseal blob is made", KV_ERR(err)); /* another replica's matter, maybe */
    else if (err.code)
        log_error("no auto-unseal blob is made", KV_ERR(err));
    else
        log_notice("an auto-unseal blob is made for an image",
                   KV_NUM("generation", ret_answer->blob.generation));
    return err;
}

static cc_err
do_auto_open(struct vault *v, const struct b_auto *request, struct b_seal_state *ret_answer)
{
    cc_err err = auto_unseal_open(v->sets, &request->blob);
    if (err.code)
        log_error("an auto-unseal blob is refused", KV_ERR(err));
    sets_state(v->sets, ret_answer);
    return err;
}

/* --- the root ---------------------------------------------------------------------------------------------------------------- */

static cc_err
do_root_make(struct vault *v, const struct b_root_make *request, struct b_root_made *ret_answer)
{
    CC_TRY(check_enclave(v));
    return root_make(v->root, request, ret_answer);
}

static cc_err
do_root_open(struct vault *v, const struct b_root_open *request, struct b_root_state *ret_answer)
{
    CC_TRY(check_enclave(v));
    cc_err err = root_begin(v->root, request);
    root_state(v->root, ret_answer);
    return err;
}

static cc_err
do_root_share(struct vault *v, const struct b_root_share *request, struct b_root_state *ret_answer)
{
    CC_TRY(check_enclave(v));
    cc_err err = root_take_share(v->root, v->recipient, request);
    if (err.code)
        log_error("a share of the enclave's root is refused", KV_NUM("index", request->index),
                  KV_ERR(err));
    root_state(v->root, ret_answer);
    return err;
}

static cc_err
do_drop(struct vault *v, const struct b_set_drop *request, struct b_seal_state *ret_answer)
{
    cc_err err = sets_drop(v->sets, (enum b_drop)request->what);
    sets_state(v->sets, ret_answer);
    return err;
}

/* Each item begins with its id, and each answer with id and error. */
#define ANSWER(what, request_type, answer_type, type)                                              \
    do {                                                                                           \
        const struct request_type *request = (const void *)message->items;                         \
        struct answer_type *answer = door_answer_init(ret_answer, (type), sizeof *answer, 1);      \
        answer->error = (uint32_t)(what).code;                                                     \
        answer->id = request->id;                                                                  \
    } while (0)

static void
do_one(struct vault *vault, const struct door_message *message, struct door_message *ret_answer)
{
    const uint64_t now_ms = clock_mono_ms();
    switch (message->head.type) {
    case B_SET_OPEN:
        ANSWER(do_open(vault, request, answer), b_set, b_seal_state, B_SEAL_STATE);
        return;
    case B_SET_MAKE:
        ANSWER(do_make(vault, request, answer), b_set_make, b_set, B_SET);
        return;
    case B_SET_SHARE:
        ANSWER(do_share(vault, request, answer), b_set_part, b_share, B_SHARE);
        return;
    case B_SET_TEXT:
        ANSWER(do_text(vault, request, answer), b_set_part, b_text, B_TEXT);
        return;
    case B_SET_UNWRAP:
        ANSWER(do_unwrap(vault, request, answer), b_share, b_seal_state, B_SEAL_STATE);
        return;
    case B_SET_UNWRAP_SEALED:
        ANSWER(do_unwrap_sealed(vault, request, answer), b_sealed_share, b_seal_state,
               B_SEAL_STATE);
        return;
    case B_ROOT_MAKE:
        ANSWER(do_root_make(vault, request, answer), b_root_make, b_root_made, B_ROOT_MADE);
        return;
    case B_ROOT_OPEN:
        ANSWER(do_root_open(vault, request, answer), b_root_open, b_root_state, B_ROOT_STATE);
        return;
    case B_ROOT_SHARE:
        ANSWER(do_root_share(vault, request, answer), b_root_share, b_root_state, B_ROOT_STATE);
        return;
    case B_AUTO_MAKE:
        ANSWER(do_auto_make(vault, request, answer), b_auto_make, b_auto, B_AUTO);
        return;
    case B_AUTO_OPEN:
        ANSWER(do_auto_open(vault, request, answer), b_auto, b_seal_state, B_SEAL_STATE);
        return;
    case B_SET_DROP:
        ANSWER(do_drop(vault, request, answer), b_set_drop, b_seal_state, B_SEAL_STATE);
        return;
    case B_CHALLENGE:
        ANSWER(ceremony_challenge(vault->sets, request, now_ms, &answer->challenge), b_challenge,
               b_challenged, B_CHALLENGED);
        return;
    case B_ENVELOPE:
        ANSWER(ceremony_envelope(vault->sets, request, now_ms, answer), b_envelope, b_enveloped,
               B_ENVELOPED);
        return;
    default:
        cc_assert(false);
    }
}

/* Keys of rows are there only while the master key is: what closes it takes them out of the table. */
void set_door_answer(struct vault *vault,
                     const struct door_message *message,
                     struct door_message *ret_answer)
{
    const bool was_open = master_is_open(vault->master, B_SET_PRESENT);
    do_one(vault, message, ret_answer);
    if (was_open && !master_is_open(vault->master, B_SET_PRESENT))
        key_table_drop_source(vault->keys, B_KEY_FROM_ROW);
}
