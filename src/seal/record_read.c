/* From a text to a record. Each object is read by its members' names, and must have no other; what else could differ (order, white
 * space, escapes, other forms of a number) shows when the record is written again.
 */
#include "base/alloc.h"

#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/json.h"
#include "seal/record_inside.h"

#define BAD(what) CC_FAIL(TAMPERED, "a record of the sealed chamber: " what)

enum {
    RECORD_VERSION = 1,
    TOKENS_MAX = 4096 /* of JSON: the largest record has some 900 */
};

/* --- members -------------------------------------------------------------------------------------------------- */

struct object {
    struct jval value;
    uint32_t left; /* members not taken yet */
};

static cc_err begin(struct jval value, struct object *ret_object)
{
    if (jval_type(value) != JVAL_OBJECT)
        return BAD("not an object");
    *ret_object = (struct object){value, jval_count(value)};
    return CC_OK;
}

static bool try_take(struct object *o, const char *name, struct jval *ret_value)
{
    if (!jval_member(o->value, name, ret_value))
        return false;
    o->left--;
    return true;
}

static cc_err take(struct object *o, const char *name, struct jval *ret_value)
{
    return try_take(o, name, ret_value) ? CC_OK : BAD("a member is missing");
}

static cc_err end(const struct object *o)
{
    return o->left == 0 ? CC_OK : BAD("an unknown member");
}

static cc_err text_of(struct jval value, struct span *ret_text)
{
    return jval_text(value, ret_text).code ? BAD("not a text") : CC_OK;
}

static cc_err take_text(struct object *o, const char *name, struct span *ret_text)
{
    struct jval value;
    CC_TRY(take(o, name, &value));
    return text_of(value, ret_text);
}

static cc_err take_number(struct object *o, const char *name, uint64_t max, uint64_t *ret_number)
{
    struct jval value;
    CC_TRY(take(o, name, &value));
    if (jval_u64(value, ret_number).code || *ret_number > max)
        return BAD("not a number, or too large");
    return CC_OK;
}

static cc_err take_u64(struct object *o, const char *name, uint64_t *to)
{
    return take_number(o, name, UINT64_MAX, to);
}

static cc_err take_u32(struct object *o, const char *name, uint32_t *to)
{
    uint64_t number = 0;
    CC_TRY(take_number(o, name, UINT32_MAX, &number));
    *to = (uint32_t)number;
    return CC_OK;
}

static cc_err take_bool(struct object *o, const char *name, bool *to)
{
    struct jval value;
    CC_TRY(take(o, name, &value));
    return jval_bool(value, to).code ? BAD("neither true nor false") : CC_OK;
}

static cc_err hex_of(struct jval value, uint8_t *bytes, size_t len)
{
    struct span text;
    CC_TRY(text_of(value, &text));
    return hex_decode(text, bytes, len).code ? BAD("not hex of the right length") : CC_OK;
}

static cc_err take_hex(struct object *o, const char *name, uint8_t *bytes, size_t len)
{
    struct jval value;
    CC_TRY(take(o, name, &value));
    return hex_of(value, bytes, len);
}

static cc_err
take_base64(struct object *o, const char *name, uint8_t *bytes, size_t max, uint32_t *ret_len)
{
    struct span text;
    size_t len = 0;
    CC_TRY(take_text(o, name, &text));
    if (base64_decode(text, bytes, max, &len).code)
        return BAD("not base64, or too long");
    *ret_len = (uint32_t)len;
    return CC_OK;
}

/* Bytes of one length only. */
static cc_err take_base64_of(struct object *o, const char *name, uint8_t *bytes, size_t len)
{
    uint32_t got = 0;
    CC_TRY(take_base64(o, name, bytes, len, &got));
    return got == len ? CC_OK : BAD("base64 of the wrong length");
}

static cc_err copy_text(struct span text, char *to, size_t size)
{
    if (text.len >= size || (text.len && memchr(text.data, 0, text.len)))
        return BAD("a text is too long");
    if (text.len)
        memcpy(to, text.data, text.len);
    to[text.len] = 0;
    return CC_OK;
}

static cc_err take_name(struct object *o, const char *name, char *to, size_t size)
{
    struct span text;
    CC_TRY(take_text(o, name, &text));
    return copy_text(text, to, size);
}

static cc_err
take_word(struct object *o, const char *name, bool (*of)(struct span, uint32_t *), uint32_t *to)
{
    struct span text;
    CC_TRY(take_text(o, name, &text));
    return of(text, to) ? CC_OK : BAD("an unknown word");
}

/* A list of 1 to `max` elements. */
static cc_err
take_list(struct object *o, const char *name, uint32_t max, struct jval *ret_list, uint32_t *count)
{
    CC_TRY(take(o, name, ret_list));
    if (jval_type(*ret_list) != JVAL_ARRAY || jval_count(*ret_list) == 0 ||
        jval_count(*ret_list) > max)
        return BAD("not a list, empty, or too long");
    *count = jval_count(*ret_list);
    return CC_OK;
}

static cc_err read_recipient(struct jval value, struct seal_recipient *to)
{
    struct object o;
    CC_TRY(begin(value, &o));
    CC_TRY(take_word(&o, "kind", seal_recipient_of, &to->kind));
    CC_TRY(take_hex(&o, "key", to->key, sizeof to->key));
    return end(&o);
}

static cc_err take_recipient(struct object *o, struct seal_recipient *to)
{
    struct jval value;
    CC_TRY(take(o, "recipient", &value));
    return read_recipient(value, to);
}

/* --- sets ----------------------------------------------------------------------------------------------------- */

static cc_err read_kms_key(struct jval value, struct seal_kms_key *key, uint8_t *commitment)
{
    struct object o;
    CC_TRY(begin(value, &o));
    CC_TRY(take_name(&o, "arn", key->arn, sizeof key->arn));
    CC_TRY(take_base64(&o, "ciphertext", key->ciphertext, sizeof key->ciphertext, &key->len));
    CC_TRY(take_hex(&o, "commitment", commitment, 32));
    return end(&o);
}

static cc_err read_kms(struct jval value, struct seal_shares *kms, struct seal_kms_key *keys)
{
    struct object o;
    struct jval list, element;
    CC_TRY(begin(value, &o));
    CC_TRY(take_u32(&o, "threshold", &kms->threshold));
    CC_TRY(take_list(&o, "keys", SEAL_KMS_MAX, &list, &kms->count));
    struct jval_iter iter = jval_iterate(list);
    for (uint32_t i = 0; jval_next(&iter, &element); i++)
        CC_TRY(read_kms_key(element, &keys[i], kms->commitments[i]));
    return end(&o);
}

static cc_err read_break_glass(struct jval value, struct seal_shares *shares)
{
    struct object o;
    struct jval list, element;
    CC_TRY(begin(value, &o));
    CC_TRY(take_u32(&o, "threshold", &shares->threshold));
    CC_TRY(take_list(&o, "commitments", SEAL_BREAK_GLASS_MAX, &list, &shares->count));
    struct jval_iter iter = jval_iterate(list);
    for (uint32_t i = 0; jval_next(&iter, &element); i++)
        CC_TRY(hex_of(element, shares->commitments[i], 32));
    return end(&o);
}

static cc_err read_operator(struct jval value, struct seal_operator *to)
{
    struct object o;
    CC_TRY(begin(value, &o));
    CC_TRY(take_name(&o, "name", to->name, sizeof to->name));
    CC_TRY(take_recipient(&o, &to->recipient));
    CC_TRY(take_word(&o, "factor", seal_factor_of, &to->factor));
    CC_TRY(take_u32(&o, "memory_kib", &to->memory_kib));
    CC_TRY(take_u32(&o, "passes", &to->passes));
    CC_TRY(take_hex(&o, "salt", to->salt, sizeof to->salt));
    CC_TRY(take_hex(&o, "challenge", to->challenge, sizeof to->challenge));
    CC_TRY(take_base64(&o, "hint", to->hint, sizeof to->hint, &to->hint_len));
    CC_TRY(take_base64(&o, "share", to->share.bytes, sizeof to->share.bytes, &to->share.len));
    CC_TRY(take_hex(&o, "commitment", to->commitment, sizeof to->commitment));
    return end(&o);
}

static cc_err read_operators(struct jval value, struct seal_set *set)
{
    struct object o;
    struct jval list, element;
    CC_TRY(begin(value, &o));
    CC_TRY(take_u32(&o, "threshold", &set->operator_threshold));
    CC_TRY(take_list(&o, "entries", SEAL_OPERATORS_MAX, &list, &set->operator_count));
    struct jval_iter iter = jval_iterate(list);
    for (uint32_t i = 0; jval_next(&iter, &element); i++)
        CC_TRY(read_operator(element, &set->operators[i]));
    return end(&o);
}

static cc_err read_set(struct jval value, struct seal_set *set, struct seal_kms_key *keys)
{
    struct object o;
    struct jval part;
    struct seal_blob *master = &set->master;
    CC_TRY(begin(value, &o));
    CC_TRY(take_word(&o, "mode", seal_mode_of, &set->mode));
    CC_TRY(take_u32(&o, "generation", &set->generation));
    CC_TRY(take_u32(&o, "kms_generation", &set->kms_generation));
    CC_TRY(take_u32(&o, "unseal_generation", &set->unseal_generation));
    CC_TRY(take_u64(&o, "number", &set->number));
    CC_TRY(take_hex(&o, "fingerprint", set->fingerprint, sizeof set->fingerprint));
    CC_TRY(take_base64(&o, "master", master->bytes, sizeof master->bytes, &master->len));
    CC_TRY(take_hex(&o, "check", set->check, sizeof set->check));
    CC_TRY(take_base64_of(&o, "tokens", set->tokens, sizeof set->tokens));
    if (try_take(&o, "kms", &part))
        CC_TRY(read_kms(part, &set->kms, keys));
    if (try_take(&o, "break_glass", &part))
        CC_TRY(read_break_glass(part, &set->break_glass));
    if (try_take(&o, "operators", &part))
        CC_TRY(read_operators(part, set));
    if (jval_member(o.value, "bridge", &part)) {
        set->has_bridge = 1;
        CC_TRY(take_base64_of(&o, "bridge", set->bridge, sizeof set->bridge));
    }
    CC_TRY(take_hex(&o, "mac", set->mac, sizeof set->mac));
    return end(&o);
}

/* --- proposals ------------------------------------------------------------------------------------------------ */

static cc_err read_proposed_kms(struct jval value, struct seal_next *record)
{
    struct object o;
    struct jval list, element;
    struct span arn;
    CC_TRY(begin(value, &o));
    CC_TRY(take_u32(&o, "threshold", &record->proposal.kms_threshold));
    CC_TRY(take_list(&o, "keys", SEAL_KMS_MAX, &list, &record->proposal.kms_count));
    struct jval_iter iter = jval_iterate(list);
    for (uint32_t i = 0; jval_next(&iter, &element); i++) {
        CC_TRY(text_of(element, &arn));
        CC_TRY(copy_text(arn, record->keys[i].arn, sizeof record->keys[i].arn));
    }
    return end(&o);
}

static cc_err read_proposed_break_glass(struct jval value, struct seal_proposal *p)
{
    struct object o;
    struct jval list, element;
    CC_TRY(begin(value, &o));
    CC_TRY(take_u32(&o, "threshold", &p->break_glass_threshold));
    if (p->keep & SEAL_KEEP_KMS) {
        CC_TRY(take_u32(&o, "count", &p->break_glass_count));
        return end(&o);
    }
    CC_TRY(take_list(&o, "recipients", SEAL_BREAK_GLASS_MAX, &list, &p->break_glass_count));
    struct jval_iter iter = jval_iterate(list);
    for (uint32_t i = 0; jval_next(&iter, &element); i++)
        CC_TRY(read_recipient(element, &p->break_glass[i]));
    return end(&o);
}

static cc_err read_proposed_operators(struct jval value, struct seal_proposal *p)
{
    struct object o;
    struct jval list, element;
    CC_TRY(begin(value, &o));
    CC_TRY(take_u32(&o, "threshold", &p->operator_threshold));
    CC_TRY(take_list(&o, "entries", SEAL_OPERATORS_MAX, &list, &p->operator_count));
    struct jval_iter iter = jval_iterate(list);
    for (uint32_t i = 0; jval_next(&iter, &element); i++) {
        struct object entry;
        CC_TRY(begin(element, &entry));
        CC_TRY(take_name(&entry, "name", p->operators[i].name, sizeof p->operators[i].name));
        CC_TRY(take_recipient(&entry, &p->operators[i].recipient));
        CC_TRY(end(&entry));
    }
    return end(&o);
}

static cc_err read_proposal(struct jval value, struct seal_next *record)
{
    struct object o;
    struct jval part;
    struct seal_proposal *p = &record->proposal;
    bool keep_operators = false;
    bool keep_kms = false;
    CC_TRY(begin(value, &o));
    CC_TRY(take_hex(&o, "chamber", p->chamber_id, sizeof p->chamber_id));
    CC_TRY(take_hex(&o, "from", p->from, sizeof p->from));
    CC_TRY(take_hex(&o, "id", p->id, sizeof p->id));
    CC_TRY(take_u32(&o, "generation", &p->generation));
    CC_TRY(take_word(&o, "mode", seal_mode_of, &p->mode));
    CC_TRY(take_bool(&o, "keep_operators", &keep_operators));
    CC_TRY(take_bool(&o, "keep_kms", &keep_kms));
    p->keep = (keep_operators ? SEAL_KEEP_OPERATORS : 0U) | (keep_kms ? SEAL_KEEP_KMS : 0U);
    if (try_take(&o, "kms", &part))
        CC_TRY(read_proposed_kms(part, record));
    if (try_take(&o, "break_glass", &part))
        CC_TRY(read_proposed_break_glass(part, p));
    if (try_take(&o, "operators", &part))
        CC_TRY(read_proposed_operators(part, p));
    seal_kms_keys_digest(record->keys, p->kms_count, p->kms_keys);
    return end(&o);
}

static cc_err read_token(struct jval value, struct seal_next *record, uint32_t *at)
{
    struct object o;
    struct span name, age;
    CC_TRY(begin(value, &o));
    CC_TRY(take_text(&o, "name", &name));
    CC_TRY(take_text(&o, "age", &age));
    /* In the order of operators, so each is found behind the one before. */
    while (*at < record->set.operator_count && !span_is(name, record->set.operators[*at].name))
        ++*at;
    if (*at == record->set.operator_count || age.len == 0 || age.len > SEAL_TEXT_MAX)
        return BAD("a registration token of nobody, or too long");
    record->tokens[*at].len = (uint32_t)age.len;
    memcpy(record->tokens[*at].bytes, age.data, age.len);
    ++*at;
    return end(&o);
}

static cc_err read_tokens(struct object *o, struct seal_next *record)
{
    struct jval list, element;
    uint32_t count = 0;
    uint32_t at = 0;
    if (!jval_member(o->value, "tokens", &list))
        return CC_OK;
    CC_TRY(take_list(o, "tokens", SEAL_OPERATORS_MAX, &list, &count));
    struct jval_iter iter = jval_iterate(list);
    while (jval_next(&iter, &element))
        CC_TRY(read_token(element, record, &at));
    return CC_OK;
}

/* --- records -------------------------------------------------------------------------------------------------- */

static cc_err take_version(struct object *o)
{
    uint64_t version = 0;
    CC_TRY(take_number(o, "version", RECORD_VERSION, &version));
    return version == RECORD_VERSION ? CC_OK : BAD("of another version");
}

static cc_err read_current(struct jval root, struct seal_current *record)
{
    struct object o;
    struct jval part;
    CC_TRY(begin(root, &o));
    CC_TRY(take_version(&o));
    CC_TRY(take(&o, "set", &part));
    CC_TRY(read_set(part, &record->set, record->keys));
    CC_TRY(end(&o));
    return seal_current_check(record);
}

static cc_err read_next(struct jval root, struct seal_next *record)
{
    struct object o;
    struct jval part;
    CC_TRY(begin(root, &o));
    CC_TRY(take_version(&o));
    CC_TRY(take_word(&o, "kind", seal_kind_of, &record->kind));
    CC_TRY(take_word(&o, "phase", seal_phase_of, &record->phase));
    CC_TRY(take_name(&o, "proposer", record->proposer, sizeof record->proposer));
    CC_TRY(take_u64(&o, "proposed", &record->proposed));
    CC_TRY(take_hex(&o, "digest", record->digest, sizeof record->digest));
    CC_TRY(take(&o, "proposal", &part));
    CC_TRY(read_proposal(part, record));
    if (record->phase > SEAL_PHASE_PROPOSED) {
        CC_TRY(take(&o, "set", &part));
        CC_TRY(read_set(part, &record->set, record->keys));
    }
    CC_TRY(read_tokens(&o, record));
    CC_TRY(end(&o));
    return seal_next_check(record);
}

static cc_err read_replica(struct jval root, struct seal_replica *record)
{
    struct object o;
    CC_TRY(begin(root, &o));
    CC_TRY(take_version(&o));
    CC_TRY(take_hex(&o, "replica", record->replica, sizeof record->replica));
    CC_TRY(take_u32(&o, "generation", &record->generation));
    CC_TRY(take_bool(&o, "open", &record->open));
    CC_TRY(take_hex(&o, "staged", record->staged, sizeof record->staged));
    CC_TRY(take_bool(&o, "staged_open", &record->staged_open));
    CC_TRY(take_u64(&o, "until", &record->until));
    CC_TRY(end(&o));
    return seal_replica_check(record);
}

/* The parser changes its text, so it gets a copy. */
static cc_err parse(struct span text, struct buf *copy, struct jdoc *doc)
{
    if (text.len > SEAL_RECORD_MAX)
        return BAD("too long");
    CC_TRY(buf_append(copy, text.data, text.len));
    cc_err err = jdoc_parse(doc, copy->data, copy->len);
    if (err.code && !error_is(err, ERROR_NO_MEMORY))
        return BAD("not strict JSON");
    return err;
}

/* `err` is what writing it again to `again` has said: LIMIT when that is longer than any record. */
static cc_err is_same(struct span text, cc_err err, const struct buf *again)
{
    if (err.code && !error_is(err, ERROR_LIMIT))
        return err;
    return span_equal(text, buf_span(again)) ? CC_OK : BAD("not the one text that stands for it");
}

CC_ERR seal_current_decode(struct span text, struct seal_current *ret_record)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(TOKENS_MAX);
    CC_CLEANUP(buf_release) struct buf copy = buf_init(SEAL_RECORD_MAX);
    CC_CLEANUP(buf_release) struct buf again = buf_init(SEAL_RECORD_MAX);
    CC_CLEANUP(cc_freep) struct seal_current *record = cc_alloc(sizeof *record);
    if (!record)
        return CC_FAIL(NO_MEMORY, NULL);
    CC_TRY(parse(text, &copy, &doc));
    CC_TRY(read_current(jdoc_root(&doc), record));
    CC_TRY(is_same(text, seal_current_encode(record, &again), &again));
    *ret_record = *record;
    return CC_OK;
}

CC_ERR seal_next_decode(struct span text, struct seal_next *ret_record)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(TOKENS_MAX);
    CC_CLEANUP(buf_release) struct buf copy = buf_init(SEAL_RECORD_MAX);
    CC_CLEANUP(buf_release) struct buf again = buf_init(SEAL_RECORD_MAX);
    CC_CLEANUP(cc_freep) struct seal_next *record = cc_alloc(sizeof *record);
    if (!record)
        return CC_FAIL(NO_MEMORY, NULL);
    CC_TRY(parse(text, &copy, &doc));
    CC_TRY(read_next(jdoc_root(&doc), record));
    CC_TRY(is_same(text, seal_next_encode(record, &again), &again));
    *ret_record = *record;
    return CC_OK;
}

CC_ERR seal_replica_decode(struct span text, struct seal_replica *ret_record)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(TOKENS_MAX);
    CC_CLEANUP(buf_release) struct buf copy = buf_init(SEAL_RECORD_MAX);
    CC_CLEANUP(buf_release) struct buf again = buf_init(SEAL_RECORD_MAX);
    struct seal_replica record = {0};
    CC_TRY(parse(text, &copy, &doc));
    CC_TRY(read_replica(jdoc_root(&doc), &record));
    CC_TRY(is_same(text, seal_replica_encode(&record, &again), &again));
    *ret_record = record;
    return CC_OK;
}
