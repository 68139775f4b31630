#include "seal/kms.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include "aws/kms.h"
#include "aws/kms_envelope.h"
#include "codec/hex.h"
#include "secret/ct.h"
#include "secret/wipe.h"

enum {
    WRAP_MS = 6000,
    UNWRAP_MS = 4000,
    GRACE_MS = 300,
    TRY_MS = 2000,
    CONNECT_MS = 1500,
    PAIRS_MAX = 8
};

/* One key's call, and what it points to. */
struct asking {
    char generation[16];
    char index[16];
    char count[16];
    char threshold[16];
    struct kms_pair context[PAIRS_MAX];
    uint32_t pairs;
    struct buf document;
    struct buf body;
};

struct seal_kms {
    struct aws_client *client;
    struct seal_kms_attester attester; /* options.attester points to it */
    struct seal_kms_options options;
    char chamber[65];
    struct asking askings[SEAL_KMS_MAX];
    struct aws_call calls[SEAL_KMS_MAX];
};

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

CC_ERR seal_kms_open(struct aws_session *session,
                     const uint8_t chamber_id[static 32],
                     const struct seal_kms_options *options,
                     struct seal_kms **ret_kms)
{
    static const struct seal_kms_options defaults = {0};
    static const struct aws_client_options client = {
        .connections = SEAL_KMS_MAX, .try_timeout_ms = TRY_MS, .connect_timeout_ms = CONNECT_MS};
    const struct seal_kms_options *o = options ? options : &defaults;
    struct seal_kms *kms = cc_alloc(sizeof *kms);
    if (!kms)
        return CC_FAIL(NO_MEMORY, NULL);
    kms->options = (struct seal_kms_options){.attester = o->attester ? &kms->attester : NULL,
                                             .wrap_ms = or_default(o->wrap_ms, WRAP_MS),
                                             .unwrap_ms = or_default(o->unwrap_ms, UNWRAP_MS),
                                             .grace_ms = or_default(o->grace_ms, GRACE_MS)};
    if (o->attester)
        kms->attester = *o->attester;
    hex_encode(chamber_id, 32, kms->chamber);
    const cc_err err = aws_client_open(session, &kms_service, &client, &kms->client);
    if (err.code) {
        cc_free(kms);
        return err;
    }
    *ret_kms = kms;
    return CC_OK;
}

void seal_kms_close(struct seal_kms *kms)
{
    if (!kms)
        return;
    aws_client_close(kms->client);
    cc_free(kms);
}

/* --- calls ------------------------------------------------------------------------------------------------------- */

static void put(char text[static 16], uint32_t number)
{
    (void)snprintf(text, 16, "%" PRIu32, number);
}

/* What a ciphertext is for. All of it is checked by KMS; key policies can ask for it too (deploy/iam). */
static void fill_context(const struct seal_kms *kms,
                         const struct seal_kms_sharing *sharing,
                         uint32_t i,
                         struct asking *asking)
{
    put(asking->generation, sharing->generation);
    put(asking->index, i + 1);
    put(asking->count, sharing->count);
    put(asking->threshold, sharing->threshold);
    const struct kms_pair context[PAIRS_MAX] = {
        {"app", "containment-chamber"},   {"purpose", sharing->purpose},
        {"chamber", kms->chamber},        {"generation", asking->generation},
        {"index", asking->index},         {"count", asking->count},
        {"threshold", asking->threshold}, {"pcr0", sharing->pcr0},
    };
    memcpy(asking->context, context, sizeof context);
    asking->pairs = sharing->pcr0 ? PAIRS_MAX : PAIRS_MAX - 1;
}

/* A document of its own for each call: KMS takes none that is older than some minutes. */
static cc_err attest(const struct seal_kms *kms, struct asking *asking)
{
    const struct seal_kms_attester *attester = kms->options.attester;
    return attester ? attester->attest(attester->context, &asking->document) : CC_OK;
}

/* `share`: what is to be encrypted; NULL: the key's ciphertext is to be decrypted. */
static cc_err prepare(struct seal_kms *kms,
                      const struct seal_kms_sharing *sharing,
                      uint32_t i,
                      const struct seal_kms_key *key,
                      const struct span *share)
{
    struct asking *asking = &kms->askings[i];
    const struct span arn = span_str(key->arn);
    if (!kms_arn_check(arn))
        return CC_FAIL(CONFIG, "not the ARN of a KMS key");
    fill_context(kms, sharing, i, asking);
    struct kms_request request = {key->arn, asking->context, asking->pairs, {0}};
    asking->body = buf_init(KMS_BODY_MAX);
    asking->document = buf_init(KMS_BODY_MAX / 2);
    if (share) {
        CC_TRY(kms_encrypt_body(&request, *share, &asking->body));
    } else {
        CC_TRY(attest(kms, asking));
        request.document = buf_span(&asking->document);
        CC_TRY(kms_decrypt_body(&request, span_of(key->ciphertext, key->len), &asking->body));
    }
    kms->calls[i] = (struct aws_call){.operation = share ? "Encrypt" : "Decrypt",
                                      .body = buf_span(&asking->body),
                                      .region = kms_arn_region(arn)};
    return CC_OK;
}

/* Bodies and answers hold shares. */
static void forget(struct seal_kms *kms, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        buf_release(&kms->askings[i].body);
        buf_release(&kms->askings[i].document);
        aws_call_release(&kms->calls[i]);
        kms->askings[i] = (struct asking){.index = ""};
        kms->calls[i] = (struct aws_call){.operation = ""};
    }
}

static void ask(struct seal_kms *kms, uint32_t count, uint32_t deadline_ms, uint32_t enough)
{
    for (uint32_t i = 0; i < count; i++)
        kms->calls[i].deadline_ms = deadline_ms;
    /* An error of all is each call's, too. */
    (void)aws_call_until(kms->client, kms->calls, count, enough, kms->options.grace_ms).code;
}

/* For an operator: which key, and why, in AWS's own word where it gave one. */
static void say(const struct aws_call *call, const char *arn, cc_err err, const char *why)
{
    log_warn("a KMS key does not do its part", KV_STR("key", arn),
             KV_STR("operation", call->operation), KV_STR("fault", call->fault.type),
             KV_STR("why", why), KV_NUM("tries", call->tries), KV_ERR(err));
}

/* --- wrapping ---------------------------------------------------------------------------------------------------- */

static cc_err encrypt(struct seal_kms *kms,
                      const struct seal_kms_sharing *sharing,
                      struct seal_kms_key *keys,
                      const uint8_t (*shares)[SEAL_SHARE_SIZE],
                      uint32_t deadline_ms)
{
    cc_err first = CC_OK;
    for (uint32_t i = 0; i < sharing->count; i++) {
        const struct span share = span_of(shares[i], SEAL_SHARE_SIZE);
        CC_TRY(prepare(kms, sharing, i, &keys[i], &share));
    }
    ask(kms, sharing->count, deadline_ms, sharing->count);
    for (uint32_t i = 0; i < sharing->count; i++) {
        struct aws_call *call = &kms->calls[i];
        const char *why = aws_call_why(call);
        cc_err err = call->error;
        if (!err.code) {
            err = kms_encrypt_read(&call->answer, keys[i].arn, keys[i].ciphertext,
                                   sizeof keys[i].ciphertext, &keys[i].len);
            why = error_detail();
        }
        if (err.code)
            say(call, keys[i].arn, err, why);
        first = first.code ? first : err;
    }
    return first;
}

static cc_err read_sealed(struct buf *answer, const char *arn, struct seal_sealed_share *ret_sealed)
{
    uint8_t bytes[KMS_ENVELOPE_MAX];
    uint32_t len = 0;
    struct kms_envelope envelope;
    CC_CLEANUP(buf_release) struct buf ciphertext = buf_init(sizeof bytes);
    CC_TRY(kms_decrypt_read_envelope(answer, arn, bytes, sizeof bytes, &len));
    CC_TRY(kms_envelope_parse(span_of(bytes, len), &envelope, &ciphertext));
    if (ciphertext.len != sizeof ret_sealed->ciphertext)
        return CC_FAIL(KMS_ANSWER, "KMS: an envelope that is not a share's");
    memcpy(ret_sealed->wrapped, envelope.wrapped.data, sizeof ret_sealed->wrapped);
    memcpy(ret_sealed->iv, envelope.iv.data, sizeof ret_sealed->iv);
    memcpy(ret_sealed->ciphertext, ciphertext.data, sizeof ret_sealed->ciphertext);
    return CC_OK;
}

static cc_err read_opened(const struct seal_kms *kms,
                          struct aws_call *call,
                          const char *arn,
                          struct seal_opened *ret_opened)
{
    ret_opened->is_sealed = kms->options.attester != NULL;
    return ret_opened->is_sealed
               ? read_sealed(&call->answer, arn, &ret_opened->sealed)
               : kms_decrypt_read(&call->answer, arn, ret_opened->share, SEAL_SHARE_SIZE);
}

static void decrypt(struct seal_kms *kms,
                    const struct seal_kms_sharing *sharing,
                    const struct seal_kms_key *keys,
                    cc_err errors[static SEAL_KMS_MAX],
                    struct seal_opened *ret_opened)
{
    for (uint32_t i = 0; i < sharing->count; i++) {
        struct aws_call *call = &kms->calls[i];
        const char *why = aws_call_why(call);
        cc_err err = call->error;
        if (!err.code) {
            err = read_opened(kms, call, keys[i].arn, &ret_opened[i]);
            why = error_detail();
        }
        if (err.code)
            say(call, keys[i].arn, err, why);
        errors[i] = err;
    }
}

/* What has been wrapped must open, too: a role that may only encrypt would lock the chamber for good. */
static CC_SENSITIVE cc_err prove(struct seal_kms *kms,
                                 const struct seal_kms_sharing *sharing,
                                 const struct seal_kms_key *keys,
                                 const uint8_t (*shares)[SEAL_SHARE_SIZE],
                                 uint32_t deadline_ms,
                                 struct seal_opened *ret_opened)
{
    cc_err errors[SEAL_KMS_MAX] = {{0}};
    cc_err first = CC_OK;
    for (uint32_t i = 0; i < sharing->count; i++)
        CC_TRY(prepare(kms, sharing, i, &keys[i], NULL));
    ask(kms, sharing->count, deadline_ms, sharing->count);
    decrypt(kms, sharing, keys, errors, ret_opened);
    for (uint32_t i = 0; i < sharing->count; i++) {
        if (!errors[i].code && !ret_opened[i].is_sealed &&
            !ct_equal(ret_opened[i].share, shares[i], SEAL_SHARE_SIZE))
            errors[i] = CC_FAIL(KMS_ANSWER, "a KMS key has opened another share than it was given");
        first = first.code ? first : errors[i];
    }
    return first;
}

static cc_err wrap(struct seal_kms *kms,
                   const struct seal_kms_sharing *sharing,
                   struct seal_kms_key *keys,
                   const uint8_t (*shares)[SEAL_SHARE_SIZE],
                   struct seal_opened *ret_opened)
{
    const uint64_t end_ms = clock_mono_ms() + kms->options.wrap_ms;
    cc_err err = encrypt(kms, sharing, keys, shares, kms->options.wrap_ms);
    forget(kms, sharing->count);
    const uint64_t now = clock_mono_ms();
    if (!err.code && ret_opened && now >= end_ms)
        err = CC_FAIL(AWS_UNREACHABLE, "no time is left to see whether the KMS keys decrypt");
    if (!err.code && ret_opened)
        err = prove(kms, sharing, keys, shares, (uint32_t)(end_ms - now), ret_opened);
    forget(kms, sharing->count);
    return err;
}

CC_ERR seal_kms_wrap_for(struct seal_kms *kms,
                         const struct seal_kms_sharing *sharing,
                         struct seal_kms_key *keys,
                         const uint8_t (*shares)[SEAL_SHARE_SIZE],
                         struct seal_opened *ret_opened)
{
    struct seal_kms_key made[SEAL_KMS_MAX];
    const uint32_t count = sharing->count;
    if (count == 0 || count > SEAL_KMS_MAX)
        return CC_FAIL(LIMIT, "the number of KMS keys");
    memcpy(made, keys, count * sizeof *keys);
    CC_TRY(wrap(kms, sharing, made, shares, ret_opened));
    memcpy(keys, made, count * sizeof *keys);
    return CC_OK;
}

/* --- unwrapping -------------------------------------------------------------------------------------------------- */

static void unwrap(struct seal_kms *kms,
                   const struct seal_kms_sharing *sharing,
                   const struct seal_kms_key *keys,
                   cc_err errors[static SEAL_KMS_MAX],
                   struct seal_opened *ret_opened)
{
    for (uint32_t i = 0; i < sharing->count; i++) {
        const cc_err err = prepare(kms, sharing, i, &keys[i], NULL);
        if (!err.code)
            continue;
        for (uint32_t k = 0; k < sharing->count; k++)
            errors[k] = err;
        return;
    }
    ask(kms, sharing->count, kms->options.unwrap_ms, sharing->threshold);
    decrypt(kms, sharing, keys, errors, ret_opened);
}

void seal_kms_unwrap_for(struct seal_kms *kms,
                         const struct seal_kms_sharing *sharing,
                         const struct seal_kms_key *keys,
                         uint32_t ret_errors[static SEAL_KMS_MAX],
                         struct seal_opened *ret_opened)
{
    cc_err errors[SEAL_KMS_MAX] = {{0}};
    cc_assert(sharing->count <= SEAL_KMS_MAX);
    unwrap(kms, sharing, keys, errors, ret_opened);
    forget(kms, sharing->count);
    for (uint32_t i = 0; i < SEAL_KMS_MAX; i++)
        ret_errors[i] = (uint32_t)errors[i].code;
}

/* --- of a set ---------------------------------------------------------------------------------------------------- */

static struct seal_kms_sharing sharing_of(const struct seal_set *set)
{
    return (struct seal_kms_sharing){.purpose = "seal-share",
                                     .generation = set->kms_generation,
                                     .count = set->kms.count,
                                     .threshold = set->kms.threshold};
}

CC_ERR seal_kms_wrap(struct seal_kms *kms,
                     const struct seal_set *set,
                     struct seal_kms_key *keys,
                     const uint8_t (*shares)[SEAL_SHARE_SIZE],
                     struct seal_opened *ret_opened)
{
    const struct seal_kms_sharing sharing = sharing_of(set);
    return seal_kms_wrap_for(kms, &sharing, keys, shares, ret_opened);
}

void seal_kms_unwrap(struct seal_kms *kms,
                     const struct seal_set *set,
                     const struct seal_kms_key *keys,
                     uint32_t ret_errors[static SEAL_KMS_MAX],
                     struct seal_opened *ret_opened)
{
    const struct seal_kms_sharing sharing = sharing_of(set);
    seal_kms_unwrap_for(kms, &sharing, keys, ret_errors, ret_opened);
}
