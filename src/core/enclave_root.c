#include "core/enclave_root.h"

#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "attest/root.h"
#include "codec/hex.h"
#include "core/enclave_root_vouch.h"
#include "core/kms_attester.h"
#include "secret/wipe.h"

enum {
    SETTLE_TRIES = 8 /* while other replicas commit */
};

struct enclave_root {
    const struct config *config;
    struct documents *documents;
    struct aws_session *aws;
    struct buf authority;
    struct enclave_root_judge judge;
    bool own; /* this image vouches for the record already */
    struct enclave_root_record record;
};

/* While KMS is asked. */
struct asking {
    struct seal_kms *kms;
    struct seal_kms_sharing sharing;
    struct seal_opened opened[SEAL_KMS_MAX];
};

static void asking_freep(struct asking **asking)
{
    if (*asking)
        seal_kms_close((*asking)->kms);
    cc_free(*asking);
}

CC_ERR enclave_root_new(const struct config *config,
                        struct documents *documents,
                        struct aws_session *aws,
                        struct enclave_root **ret_root)
{
    const char *authority = config->tee.root.certificate;
    struct enclave_root *r = cc_alloc(sizeof *r);
    if (!r)
        return CC_FAIL(NO_MEMORY, NULL);
    r->config = config;
    r->documents = documents;
    r->aws = aws;
    r->authority = buf_init(ATTEST_ROOT_MAX);
    r->judge.config = &config->tee.root;
    cc_err err = own_image_read(documents, &r->judge.own);
    if (!err.code && authority[0]) {
        log_warn("documents are judged by another authority than AWS's",
                 KV_STR("certificate", authority));
        err = attest_root_read(authority, &r->authority);
        r->judge.authority = buf_span(&r->authority);
    }
    if (err.code)
        enclave_root_free(r);
    else
        *ret_root = r;
    return err;
}

void enclave_root_free(struct enclave_root *root)
{
    if (!root)
        return;
    buf_release(&root->authority);
    cc_free(root);
}

static cc_err open_kms(struct enclave_root *r, struct asking **ret_asking)
{
    struct asking *a = cc_alloc(sizeof *a);
    if (!a)
        return CC_FAIL(NO_MEMORY, NULL);
    *ret_asking = a;
    a->sharing = (struct seal_kms_sharing){.purpose = "enclave-root",
                                           .generation = 1,
                                           .count = r->record.count,
                                           .threshold = r->record.threshold};
    const struct seal_kms_attester attester = kms_attester(r->documents);
    const struct seal_kms_options options = {.attester = &attester};
    return seal_kms_open(r->aws, r->record.chamber_id, &options, &a->kms);
}

/* --- init -------------------------------------------------------------------------------------------------- */

static void
fill(struct enclave_root *r, const struct b_root_made *made, const struct b_chamber *chamber)
{
    const struct tee_root_config *config = &r->config->tee.root;
    struct enclave_root_record *record = &r->record;
    memset(record, 0, sizeof *record);
    memcpy(record->chamber_id, chamber->chamber_id, sizeof record->chamber_id);
    memcpy(record->identity_public, chamber->identity_public, sizeof record->identity_public);
    memcpy(record->commitment, made->commitment, sizeof record->commitment);
    memcpy(record->commitments, made->commitments, sizeof record->commitments);
    record->threshold = config_root_threshold(config);
    record->count = config->kms_key_arns.count;
    for (uint32_t i = 0; i < record->count; i++)
        memcpy(record->keys[i].arn, config->kms_key_arns.items[i], SEAL_ARN_SIZE);
}
_Static_assert((int)CONFIG_TEXT_MAX == (int)SEAL_ARN_SIZE, "an ARN fits, and ends");
_Static_assert((int)CONFIG_LIST_MAX == (int)SEAL_KMS_MAX, "and so does the list");

/* KMS has opened each share for the vault, and the vault says that it is the one that was made. */
static cc_err wrap(struct enclave_root *r, struct vault_call *vault, const struct b_root_made *made)
{
    CC_CLEANUP(asking_freep) struct asking *asking = NULL;
    struct b_root_state state;
    CC_TRY(open_kms(r, &asking));
    CC_TRY(seal_kms_wrap_for(asking->kms, &asking->sharing, r->record.keys, made->shares,
                             asking->opened));
    for (uint32_t i = 0; i < r->record.count; i++)
        CC_TRY(vault_call_root_share(vault, i, &asking->opened[i].sealed, &state));
    return CC_OK;
}

static CC_SENSITIVE cc_err create(struct enclave_root *r,
                                  struct vault_call *vault,
                                  struct b_root_made *made,
                                  struct b_chamber *ret_chamber)
{
    const struct tee_root_config *config = &r->config->tee.root;
    if (!own_image_is_measured(&r->judge.own))
        return CC_FAIL(ENCLAVE_ROOT, "an enclave in debug mode has no chamber of an image");
    CC_TRY(vault_call_root_make(vault, config_root_threshold(config), config->kms_key_arns.count,
                                made));
    CC_TRY(vault_call_create(vault, ret_chamber));
    fill(r, made, ret_chamber);
    cc_err err = wrap(r, vault, made);
    if (err.code)
        log_error(
            "the KMS keys of tee.root do not take this enclave's chamber", KV_ERR(err),
            KV_STR("hint", "their policies have to let this role encrypt, and this image decrypt"));
    CC_TRY(err);
    return enclave_root_vouch(r->documents, &r->record);
}

CC_ERR enclave_root_create(struct enclave_root *root,
                           struct vault_call *vault,
                           struct b_chamber *ret_chamber)
{
    struct b_root_made made = {0};
    cc_err err = create(root, vault, &made, ret_chamber);
    wipe(&made, sizeof made);
    return err;
}

CC_ERR enclave_root_bytes(const struct enclave_root *root, struct buf *out)
{
    return enclave_root_encode(&root->record, out);
}

/* --- a start ----------------------------------------------------------------------------------------------- */

/* What is no record at all is refused as one that nobody vouches for. */
static cc_err take(struct enclave_root *r, struct span bytes)
{
    if (enclave_root_decode(bytes, &r->record).code) {
        log_error("the record of this enclave's chamber is none", KV_STR("fault", error_detail()));
        return CC_FAIL(ENCLAVE_ROOT, "a record that is none");
    }
    return enclave_root_check(&r->judge, &r->record, &r->own);
}

CC_ERR
enclave_root_find(struct enclave_root *root, struct state_store *state, struct state_pin *ret_pin)
{
    CC_CLEANUP(buf_release) struct buf bytes = buf_init(STATE_RECORD_MAX);
    bool empty = false;
    cc_err err = state_read_unverified(state, ENCLAVE_ROOT_KIND, ENCLAVE_ROOT_NAME, &bytes, &empty);
    if (error_is(err, ERROR_TAMPERED)) {
        log_error(
            "the state store has a chamber, and no record of an enclave's", KV_ERR(err),
            KV_STR("hint",
                   "a chamber that was made elsewhere, or without tee.root, can't be taken over"));
        return CC_FAIL(ENCLAVE_ROOT, "the state store has no record of an enclave's chamber");
    }
    CC_TRY(err);
    if (empty)
        return CC_FAIL(CHAMBER_MISSING, "the state store is empty");
    CC_TRY(take(root, buf_span(&bytes)));
    memcpy(ret_pin->chamber_id, root->record.chamber_id, sizeof ret_pin->chamber_id);
    memcpy(ret_pin->identity_public, root->record.identity_public, sizeof ret_pin->identity_public);
    return CC_OK;
}

/* How far the keys have come. */
struct tally {
    uint32_t good;
    uint32_t passing;   /* they may answer later */
    const char *denied; /* the first that has refused this image */
};

static bool passes(uint32_t error)
{
    return error == ERROR_AWS_UNREACHABLE || error == ERROR_AWS_THROTTLED ||
           error == ERROR_AWS_CREDENTIALS || error == ERROR_AWS_ACCOUNT || error == ERROR_AWS_CLOCK;
}

static void
count(const struct enclave_root *r, const uint32_t errors[static SEAL_KMS_MAX], struct tally *tally)
{
    for (uint32_t i = 0; i < r->record.count; i++) {
        tally->passing += passes(errors[i]);
        if (errors[i] == ERROR_AWS_DENIED && !tally->denied)
            tally->denied = r->record.keys[i].arn;
    }
}

static cc_err say_missing(const struct enclave_root *r, const struct tally *tally)
{
    char own[2 * ATTEST_PCR_SIZE + 1] = "";
    hex_encode(r->judge.own.pcr0, sizeof r->judge.own.pcr0, own);
    const uint32_t needed = r->record.threshold;
    if (tally->good + tally->passing >= needed) {
        log_warn("KMS can't be reached for this enclave's chamber now",
                 KV_NUM("opened", tally->good), KV_NUM("needed", needed));
        return CC_FAIL(AWS_UNREACHABLE, "KMS keys of this enclave's chamber");
    }
    if (tally->denied) {
        log_error(
            "KMS does not open this enclave's chamber for this image", KV_STR("key", tally->denied),
            KV_STR("own_image", own), KV_NUM("opened", tally->good), KV_NUM("needed", needed),
            KV_STR("hint", "the key's policy has to name this PCR0 (and PCR8), and this role"));
        return CC_FAIL(ENCLAVE_ROOT_DENIED, NULL);
    }
    log_error("too few KMS keys open this enclave's chamber", KV_NUM("opened", tally->good),
              KV_NUM("needed", needed));
    return CC_FAIL(ENCLAVE_ROOT_SHARES, NULL);
}

static cc_err unwrap(struct enclave_root *r, struct vault_call *vault, struct b_root_state *state)
{
    CC_CLEANUP(asking_freep) struct asking *asking = NULL;
    uint32_t errors[SEAL_KMS_MAX];
    struct tally tally = {0};
    CC_TRY(open_kms(r, &asking));
    seal_kms_unwrap_for(asking->kms, &asking->sharing, r->record.keys, errors, asking->opened);
    for (uint32_t i = 0; i < r->record.count && !state->open; i++) {
        if (errors[i])
            continue;
        cc_err err = vault_call_root_share(vault, i, &asking->opened[i].sealed, state);
        if (error_is(err, ERROR_DOOR_CLOSED) || error_is(err, ERROR_PROTOCOL))
            return err;
        if (err.code)
            log_error("a KMS key has opened another share than it was given",
                      KV_STR("key", r->record.keys[i].arn), KV_ERR(err));
        else
            tally.good++;
    }
    if (state->open)
        return CC_OK;
    count(r, errors, &tally);
    return say_missing(r, &tally);
}

static cc_err give_key(struct enclave_root *r, struct vault_call *vault)
{
    struct b_root_state state = {0};
    struct b_root_open facts = {.threshold = r->record.threshold, .count = r->record.count};
    memcpy(facts.commitment, r->record.commitment, sizeof facts.commitment);
    memcpy(facts.commitments, r->record.commitments, sizeof facts.commitments);
    CC_TRY(vault_call_root_open(vault, &facts, &state));
    return state.open ? CC_OK : unwrap(r, vault, &state);
}

CC_ERR enclave_root_open(struct enclave_root *root,
                         const struct state_store *state,
                         const struct b_chamber *chamber,
                         struct vault_call *vault)
{
    const struct state_record *record = state_find(state, ENCLAVE_ROOT_KIND, ENCLAVE_ROOT_NAME);
    if (!record)
        return CC_FAIL(ENCLAVE_ROOT, "the state store has no record of an enclave's chamber");
    CC_TRY(take(root, span_of(record->bytes, record->len)));
    if (!span_equal(span_of(root->record.chamber_id, 32), span_of(chamber->chamber_id, 32)) ||
        !span_equal(span_of(root->record.identity_public, 32),
                    span_of(chamber->identity_public, 32)))
        return CC_FAIL(IDENTITY, "the record of an enclave's chamber is another one's");
    return give_key(root, vault);
}

static cc_err
put(struct enclave_root *r, struct state_store *state, const struct state_signer *signer)
{
    CC_CLEANUP(buf_release) struct buf bytes = buf_init(STATE_RECORD_MAX);
    const struct state_record *there = state_find(state, ENCLAVE_ROOT_KIND, ENCLAVE_ROOT_NAME);
    if (!there)
        return CC_FAIL(ENCLAVE_ROOT, "the state store has no record of an enclave's chamber");
    CC_TRY(take(r, span_of(there->bytes, there->len)));
    if (r->own) /* another replica of this image was faster */
        return CC_OK;
    CC_TRY(enclave_root_vouch(r->documents, &r->record));
    CC_TRY(enclave_root_encode(&r->record, &bytes));
    const struct state_change change = {.kind = ENCLAVE_ROOT_KIND,
                                        .name = ENCLAVE_ROOT_NAME,
                                        .expected_version = there->version,
                                        .bytes = buf_span(&bytes)};
    CC_TRY(state_commit(state, &change, 1, signer));
    r->own = true;
    log_notice("this image has taken its enclave's chamber over from an earlier one");
    return CC_OK;
}

CC_ERR enclave_root_settle(struct enclave_root *root,
                           struct state_store *state,
                           const struct state_signer *signer)
{
    if (root->own)
        return CC_OK;
    cc_err err = put(root, state, signer);
    for (unsigned again = 0; error_is(err, ERROR_CONFLICT) && again < SETTLE_TRIES; again++) {
        struct state_fault fault;
        bool changed;
        CC_TRY(state_refresh(state, &changed, &fault));
        err = put(root, state, signer);
    }
    return err;
}
