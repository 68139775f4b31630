/* Names, and what makes a record consistent in itself. */
#include "seal/record.h"

#include "crypto/sha256.h"
#include "seal/record_inside.h"

#define BAD(what) CC_FAIL(TAMPERED, "a record of the sealed chamber: " what)

/* --- names ---------------------------------------------------------------------------------------------------- */

static const char *const modes[] = {NULL, "local", "kms", "quorum", "operators"};
static const char *const factors[] = {"none", "passphrase", "yubikey", "fido2"};
static const char *const kinds[] = {NULL, "init", "kms", "quorum", "mode", "master"};
static const char *const recipients[] = {NULL, "age", "ssh-ed25519"};

static const char *name_of(const char *const *names, size_t count, uint32_t number)
{
    return number < count ? names[number] : NULL;
}

static bool number_of(const char *const *names, size_t count, struct span name, uint32_t *to)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!names[i] || !span_is(name, names[i]))
            continue;
        *to = i;
        return true;
    }
    return false;
}

const char *seal_mode_name(uint32_t mode)
{
    return name_of(modes, ARRAY_LEN(modes), mode);
}

const char *seal_factor_name(uint32_t factor)
{
    return name_of(factors, ARRAY_LEN(factors), factor);
}

const char *seal_kind_name(uint32_t kind)
{
    return name_of(kinds, ARRAY_LEN(kinds), kind);
}

const char *seal_recipient_name(uint32_t kind)
{
    return name_of(recipients, ARRAY_LEN(recipients), kind);
}

bool seal_mode_of(struct span name, uint32_t *ret_mode)
{
    return number_of(modes, ARRAY_LEN(modes), name, ret_mode);
}

bool seal_factor_of(struct span name, uint32_t *ret_factor)
{
    return number_of(factors, ARRAY_LEN(factors), name, ret_factor);
}

bool seal_kind_of(struct span name, uint32_t *ret_kind)
{
    return number_of(kinds, ARRAY_LEN(kinds), name, ret_kind);
}

bool seal_recipient_of(struct span name, uint32_t *ret_kind)
{
    return number_of(recipients, ARRAY_LEN(recipients), name, ret_kind);
}

/* --- forms ---------------------------------------------------------------------------------------------------- */

static const char lower_and_digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";

static bool holds(const char *set, uint8_t c)
{
    return c && strchr(set, c);
}

static bool all_of(struct span text, const char *set)
{
    for (size_t i = 0; i < text.len; i++)
        if (!holds(set, text.data[i]))
            return false;
    return text.len > 0;
}

bool seal_is_operator_name(struct span text)
{
    return text.len > 0 && text.len < SEAL_NAME_SIZE && holds(lower_and_digits, text.data[0]) &&
           all_of(text, "abcdefghijklmnopqrstuvwxyz0123456789._-");
}

void seal_kms_keys_digest(const struct seal_kms_key *keys,
                          uint32_t count,
                          uint8_t ret_digest[static 32])
{
    uint8_t text[SEAL_KMS_MAX * SEAL_ARN_SIZE];
    size_t len = 0;
    cc_assert(count <= SEAL_KMS_MAX);
    memset(ret_digest, 0, 32);
    for (uint32_t i = 0; i < count; i++) {
        const size_t with_zero = strnlen(keys[i].arn, SEAL_ARN_SIZE - 1) + 1;
        memcpy(text + len, keys[i].arn, with_zero - 1);
        text[len + with_zero - 1] = 0;
        len += with_zero;
    }
    if (count)
        sha256(span_of(text, len), ret_digest);
}

/* --- sets ----------------------------------------------------------------------------------------------------- */

/* Are there shares for all that the mode asks for, and for nothing else? */
static bool has_parts(uint32_t mode, uint32_t kms, uint32_t break_glass, uint32_t operators)
{
    const bool wants_kms = mode == SEAL_KMS || mode == SEAL_QUORUM;
    const bool wants_operators = mode == SEAL_QUORUM || mode == SEAL_OPERATORS;
    return wants_kms == (kms > 0) && (wants_kms || !break_glass) &&
           wants_operators == (operators > 0);
}

static bool is_threshold(uint32_t threshold, uint32_t count, uint32_t max)
{
    return count <= max && threshold <= count && (threshold > 0) == (count > 0);
}

/* One of several operators alone must never be enough. */
static bool is_operator_threshold(uint32_t threshold, uint32_t count)
{
    return is_threshold(threshold, count, SEAL_OPERATORS_MAX) && (count < 2 || threshold >= 2);
}

static bool has_layers(const struct seal_blob *blob, size_t inside, size_t layers)
{
    return blob->len == inside + layers * SEAL_OVERHEAD;
}

static cc_err check_operator(const struct seal_set *set, uint32_t i)
{
    const struct seal_operator *o = &set->operators[i];
    if (!memchr(o->name, 0, sizeof o->name) || !seal_is_operator_name(span_str(o->name)))
        return BAD("not the name of an operator");
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(set->operators[k].name, o->name) == 0)
            return BAD("two operators of one name");
    if (!seal_recipient_name(o->recipient.kind) || !seal_factor_name(o->factor))
        return BAD("an operator's recipient or factor is of no known kind");
    if (o->hint_len > SEAL_HINT_MAX)
        return BAD("an operator's hint is too long");
    if (!has_layers(&o->share, SEAL_SHARE_SIZE, set->mode == SEAL_QUORUM ? 2 : 1))
        return BAD("an operator's share has not the length of the mode");
    return CC_OK;
}

/* Of a key that is there or not: made with this set, or kept from an older one. */
static bool is_generation_of(bool there, uint32_t generation, uint32_t newest)
{
    return there ? generation > 0 && generation <= newest : generation == 0;
}

static cc_err check_set(const struct seal_set *set)
{
    if (!seal_mode_name(set->mode) || set->generation == 0 || set->number == 0)
        return BAD("mode, generation or number of the set");
    if (!is_generation_of(set->kms.count > 0, set->kms_generation, set->generation) ||
        !is_generation_of(set->operator_count > 0, set->unseal_generation, set->generation))
        return BAD("the generation of the wrapping key or of the unseal key");
    if (!has_layers(&set->master, 32, set->mode == SEAL_QUORUM ? 2 : 1))
        return BAD("the master key's blob has not the length of the mode");
    if (!is_threshold(set->kms.threshold, set->kms.count, SEAL_KMS_MAX) ||
        !is_threshold(set->break_glass.threshold, set->break_glass.count, SEAL_BREAK_GLASS_MAX) ||
        !is_operator_threshold(set->operator_threshold, set->operator_count))
        return BAD("a threshold of the set");
    if (!has_parts(set->mode, set->kms.count, set->break_glass.count, set->operator_count))
        return BAD("the set has not the shares of its mode");
    for (uint32_t i = 0; i < set->operator_count; i++)
        CC_TRY(check_operator(set, i));
    return CC_OK;
}

static bool all_registered(const struct seal_set *set)
{
    for (uint32_t i = 0; i < set->operator_count; i++)
        if (set->operators[i].factor == SEAL_FACTOR_NONE)
            return false;
    return true;
}

static cc_err check_keys(const struct seal_kms_key *keys, uint32_t count, bool wrapped)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!memchr(keys[i].arn, 0, SEAL_ARN_SIZE) || !kms_arn_check(span_str(keys[i].arn)))
            return BAD("not the ARN of a KMS key");
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(keys[k].arn, keys[i].arn) == 0)
                return BAD("one KMS key twice");
        if (keys[i].len > SEAL_KMS_CIPHERTEXT_MAX || (keys[i].len > 0) != wrapped)
            return BAD("the length of a KMS key's ciphertext");
    }
    return CC_OK;
}

CC_ERR seal_current_check(const struct seal_current *record)
{
    CC_TRY(check_set(&record->set));
    CC_TRY(check_keys(record->keys, record->set.kms.count, true));
    if (record->set.has_bridge || !all_registered(&record->set))
        return BAD("the present set is not a finished one");
    return CC_OK;
}

/* --- proposals ------------------------------------------------------------------------------------------------ */

static cc_err check_proposed_operators(const struct seal_proposal *p)
{
    for (uint32_t i = 0; i < p->operator_count; i++) {
        const char *name = p->operators[i].name;
        if (!memchr(name, 0, SEAL_NAME_SIZE) || !seal_is_operator_name(span_str(name)) ||
            !seal_recipient_name(p->operators[i].recipient.kind))
            return BAD("a proposed operator");
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(p->operators[k].name, name) == 0)
                return BAD("two proposed operators of one name");
    }
    return CC_OK;
}

static bool is_zero(const uint8_t bytes[static 32])
{
    static const uint8_t zeros[32] = {0};
    return span_equal(span_of(bytes, 32), span_of(zeros, 32));
}

/* Shares that are kept go to nobody anew. */
static cc_err check_proposed_break_glass(const struct seal_proposal *p)
{
    for (uint32_t i = 0; i < p->break_glass_count; i++) {
        const struct seal_recipient *r = &p->break_glass[i];
        if (p->keep & SEAL_KEEP_KMS ? r->kind || !is_zero(r->key) : !seal_recipient_name(r->kind))
            return BAD("the recipient of a break-glass share");
    }
    return CC_OK;
}

static cc_err check_proposal(const struct seal_next *record)
{
    const struct seal_proposal *p = &record->proposal;
    uint8_t digest[32];
    if (!seal_mode_name(p->mode) || (p->keep & ~(uint32_t)(SEAL_KEEP_OPERATORS | SEAL_KEEP_KMS)))
        return BAD("the proposal's mode, or what is kept");
    if (p->generation == 0 || is_zero(p->from) != (p->generation == 1))
        return BAD("the proposal's generation, or what it replaces");
    if (!is_threshold(p->kms_threshold, p->kms_count, SEAL_KMS_MAX) ||
        !is_threshold(p->break_glass_threshold, p->break_glass_count, SEAL_BREAK_GLASS_MAX) ||
        !is_operator_threshold(p->operator_threshold, p->operator_count))
        return BAD("a threshold of the proposal");
    if (!has_parts(p->mode, p->kms_count, p->break_glass_count, p->operator_count) ||
        ((p->keep & SEAL_KEEP_KMS) && !p->kms_count) ||
        ((p->keep & SEAL_KEEP_OPERATORS) && !p->operator_count))
        return BAD("the proposal has not the shares of its mode");
    CC_TRY(check_proposed_break_glass(p));
    CC_TRY(check_proposed_operators(p));
    seal_kms_keys_digest(record->keys, p->kms_count, digest);
    if (!span_equal(span_of(digest, sizeof digest), span_of(p->kms_keys, sizeof digest)))
        return BAD("the proposal is of other KMS keys");
    return CC_OK;
}

/* The staged set is what was proposed. */
static cc_err check_staged(const struct seal_next *record)
{
    const struct seal_proposal *p = &record->proposal;
    const struct seal_set *set = &record->set;
    CC_TRY(check_set(set));
    CC_TRY(check_keys(record->keys, set->kms.count, true));
    if (set->mode != p->mode || set->generation != p->generation ||
        !span_equal(span_of(set->fingerprint, 32), span_of(record->digest, 32)))
        return BAD("the staged set is not the proposed one");
    if (set->kms.count != p->kms_count || set->kms.threshold != p->kms_threshold ||
        set->break_glass.count != p->break_glass_count ||
        set->break_glass.threshold != p->break_glass_threshold)
        return BAD("the staged set has other KMS or break-glass shares than proposed");
    if (set->operator_count != p->operator_count ||
        set->operator_threshold != p->operator_threshold)
        return BAD("the staged set has other operators than proposed");
    for (uint32_t i = 0; i < p->operator_count; i++)
        if (strcmp(set->operators[i].name, p->operators[i].name) != 0)
            return BAD("the staged set has other operators than proposed");
    if (record->phase >= SEAL_PHASE_READY && !all_registered(set))
        return BAD("an operator has not registered");
    return CC_OK;
}

static cc_err check_tokens(const struct seal_next *record)
{
    for (uint32_t i = 0; i < SEAL_OPERATORS_MAX; i++) {
        const struct seal_token *token = &record->tokens[i];
        if (!token->len)
            continue;
        if (i >= record->set.operator_count ||
            record->set.operators[i].factor != SEAL_FACTOR_NONE || token->len > SEAL_TEXT_MAX)
            return BAD("a registration token without an operator who waits for it");
        for (uint32_t k = 0; k < token->len; k++) {
            const uint8_t c = token->bytes[k];
            if (c != '\n' && (c < ' ' || c > '~' || c == '"' || c == '\\'))
                return BAD("a registration token is not an age file");
        }
    }
    return CC_OK;
}

CC_ERR seal_next_check(const struct seal_next *record)
{
    static const char principal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/-";
    if (!seal_kind_name(record->kind) || !seal_phase_name(record->phase))
        return BAD("of no known kind, or in no known phase");
    if (!memchr(record->proposer, 0, sizeof record->proposer) ||
        !all_of(span_str(record->proposer), principal))
        return BAD("the proposer");
    CC_TRY(check_proposal(record));
    if (record->phase == SEAL_PHASE_PROPOSED)
        CC_TRY(check_keys(record->keys, record->proposal.kms_count, false));
    else
        CC_TRY(check_staged(record));
    return check_tokens(record);
}

CC_ERR seal_replica_check(const struct seal_replica *record)
{
    if ((record->open && !record->generation) || (record->staged_open && is_zero(record->staged)))
        return BAD("a replica has opened a set that it has not");
    return CC_OK;
}
