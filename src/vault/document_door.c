#include "vault/document_door.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "attest/binding.h"
#include "attest/nsm.h"
#include "seal/enclave_root_record.h"
#include "secret/wipe.h"
#include "vault/release.h"

_Static_assert((int)D_SPKI_DIGEST_SIZE == (int)ATTEST_SPKI_DIGEST_SIZE, "SHA-384");
_Static_assert((int)D_DOCUMENT_MAX == (int)ATTEST_DOCUMENT_MAX, "a document fits one message");
_Static_assert((int)D_WRAPPED_SHARE_MAX == (int)SEAL_KMS_CIPHERTEXT_MAX, "and a ciphertext");
_Static_assert((int)CONFIG_TEXT_MAX == (int)SEAL_ARN_SIZE, "an ARN fits, and ends");
_Static_assert((int)CONFIG_LIST_MAX == (int)SEAL_KMS_MAX, "and so does the list");

/* A document in the making. */
struct draft {
    struct attest_binding binding;
    struct span nonce;
    uint32_t key_len; /* 0: no public key */
    uint8_t key[RECIPIENT_PUBLIC_MAX];
};

static cc_err write_document(struct vault *v, const struct draft *draft, struct d_document *answer)
{
    CC_CLEANUP(buf_release) struct buf document = buf_init(sizeof answer->bytes);
    uint8_t user_data[ATTEST_BINDING_MAX];
    const size_t len = attest_binding_encode(&draft->binding, user_data);
    const struct span key = span_of(draft->key_len ? draft->key : NULL, draft->key_len);
    CC_TRY(nsm_attest(v->nsm, span_of(user_data, len), draft->nonce, key, &document));
    memcpy(answer->bytes, document.data, document.len);
    answer->len = (uint32_t)document.len;
    return CC_OK;
}

/* --- by purpose ------------------------------------------------------------------------------------------------------------ */

static cc_err draft_tls(struct vault *v, const struct d_ask *request, struct draft *draft)
{
    struct attest_binding *b = &draft->binding;
    uint8_t identity[ED25519_PUBLIC_SIZE];
    memcpy(b->spki_digest, request->spki_digest, sizeof b->spki_digest);
    memcpy(b->config_digest, v->config_digest, sizeof b->config_digest);
    return chamber_name(v->chamber, b->chamber_id, identity)
               ? CC_OK
               : CC_FAIL(SEALED, "no chamber was opened in this life");
}

/* KMS is asked for the root, and for passwords, before there is a chamber: then none is named. */
static cc_err draft_kms(struct vault *v, const struct d_ask *request, struct draft *draft)
{
    struct attest_binding *b = &draft->binding;
    uint8_t identity[ED25519_PUBLIC_SIZE];
    (void)request;
    (void)chamber_name(v->chamber, b->chamber_id, identity);
    memcpy(b->config_digest, v->config_digest, sizeof b->config_digest);
    return recipient_public(v->recipient, draft->key, &draft->key_len);
}

static cc_err draft_clock(struct vault *v, const struct d_ask *request, struct draft *draft)
{
    (void)v, (void)request, (void)draft;
    return CC_OK;
}

static const struct {
    enum attest_purpose purpose;
    cc_err (*draft)(struct vault *v, const struct d_ask *request, struct draft *draft);
} purposes[] = {
    {ATTEST_FOR_TLS, draft_tls},
    {ATTEST_FOR_KMS, draft_kms},
    {ATTEST_FOR_CLOCK, draft_clock},
};

static cc_err check_enclave(const struct vault *v)
{
    return v->nsm && v->recipient ? CC_OK : CC_FAIL(SEAL_STATE, "this vault is in no enclave");
}

static cc_err do_ask(struct vault *v, const struct d_ask *request, struct d_document *answer)
{
    struct draft draft = {
        .nonce = span_of(request->nonce_len ? request->nonce : NULL, request->nonce_len)};
    CC_TRY(check_enclave(v));
    if (request->nonce_len > sizeof request->nonce)
        return CC_FAIL(PROTOCOL, "a nonce that is longer than it may be");
    for (size_t i = 0; i < ARRAY_LEN(purposes); i++) {
        if ((uint32_t)purposes[i].purpose != request->purpose)
            continue;
        draft.binding.purpose = purposes[i].purpose;
        CC_TRY(purposes[i].draft(v, request, &draft));
        return write_document(v, &draft, answer);
    }
    return CC_FAIL(DENIED, "no document is made for that");
}

/* --- the record of the root ------------------------------------------------------------------------------------------------ */

static cc_err take_facts(struct vault *v, struct enclave_root_record *record)
{
    const struct tee_root_config *config = v->root_config;
    struct b_root_open facts = {.id = 0};
    CC_TRY(root_known(v->root, &facts));
    if (!chamber_name(v->chamber, record->chamber_id, record->identity_public))
        return CC_FAIL(SEALED, "no chamber was opened in this life");
    if (facts.count != config->kms_key_arns.count ||
        facts.threshold != config_root_threshold(config))
        return CC_FAIL(ENCLAVE_ROOT, "another number of KMS keys than the configuration has");
    record->threshold = facts.threshold;
    record->count = facts.count;
    memcpy(record->commitment, facts.commitment, sizeof record->commitment);
    memcpy(record->commitments, facts.commitments, sizeof record->commitments);
    for (uint32_t i = 0; i < record->count; i++)
        memcpy(record->keys[i].arn, config->kms_key_arns.items[i], SEAL_ARN_SIZE);
    return CC_OK;
}

/* Whether these open to the shares is KMS's to show: the commitments say what they have to be. */
static cc_err take_ciphertexts(const struct d_vouch *request, struct enclave_root_record *record)
{
    if (request->count != record->count)
        return CC_FAIL(PROTOCOL, "number of ciphertexts");
    for (uint32_t i = 0; i < record->count; i++) {
        const uint32_t len = request->keys[i].len;
        if (len == 0 || len > sizeof request->keys[i].ciphertext)
            return CC_FAIL(PROTOCOL, "length of a ciphertext");
        record->keys[i].len = len;
        memcpy(record->keys[i].ciphertext, request->keys[i].ciphertext, len);
    }
    return CC_OK;
}

static cc_err do_vouch(struct vault *v, const struct d_vouch *request, struct d_document *answer)
{
    struct draft draft = {.binding = {.purpose = ATTEST_FOR_ROOT}};
    CC_TRY(check_enclave(v));
    CC_CLEANUP(cc_freep) struct enclave_root_record *record = cc_alloc(sizeof *record);
    if (!record)
        return CC_FAIL(NO_MEMORY, NULL);
    CC_TRY(take_facts(v, record));
    CC_TRY(take_ciphertexts(request, record));
    CC_TRY(enclave_root_digest(record, draft.binding.record_digest));
    return write_document(v, &draft, answer);
}

/* --- the door -------------------------------------------------------------------------------------------------------------- */

/* Each item begins with its id, and each answer with id and error. */
#define ANSWER(what, request_type, answer_type, type)                                              \
    do {                                                                                           \
        const struct request_type *request = (const void *)message->items;                         \
        struct answer_type *answer = door_answer_init(ret_answer, (type), sizeof *answer, 1);      \
        answer->error = (uint32_t)(what).code;                                                     \
        answer->id = request->id;                                                                  \
    } while (0)

void document_door_answer(struct vault *vault,
                          const struct door_message *message,
                          struct door_message *ret_answer)
{
    switch (message->head.type) {
    case D_ASK:
        ANSWER(do_ask(vault, request, answer), d_ask, d_document, D_DOCUMENT);
        return;
    case D_VOUCH:
        ANSWER(do_vouch(vault, request, answer), d_vouch, d_document, D_DOCUMENT);
        return;
    case D_OPEN:
        ANSWER(release_open(vault, request, answer), d_open, d_text, D_TEXT);
        wipe_stack();
        return;
    default:
        break;
    }
    /* door_check() lets only the core's types pass. */
    cc_assert(false);
}

CC_ERR document_door_look(struct vault *vault)
{
    struct nsm_description d;
    struct attest_pcrs pcrs = {.present = 1};
    bool locked;
    CC_TRY(nsm_describe(vault->nsm, &d));
    CC_TRY(nsm_pcr(vault->nsm, 0, &locked, pcrs.value[0]));
    log_notice("this is an enclave", KV_STR("module", d.module_id),
               KV_NUM("version", d.version_major), KV_NUM("minor", d.version_minor));
    if (!attest_pcr_set(&pcrs, 0))
        log_warn("the enclave runs in debug mode: its host can read its memory, and nobody who "
                 "verifies it will trust it");
    return CC_OK;
}
