#include "slash/dynamodb_item.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"

#include "codec/base64.h"
#include "codec/hex.h"

enum {
    RECENT_SIZE = 1 + 8 + 8 + 32 + 8, /* one record of a head's `recent` */
    HEX_KEY = 2 * sizeof(struct eth_pubkey),
    ATTRIBUTES_MAX = 32
};

enum attribute_type {
    NUMBER,  /* uint64_t */
    FLAG,    /* bool */
    BYTES32, /* uint8_t[32] */
    TEXT,    /* char[DYNAMODB_TABLE_ID_MAX] */
    RECENT   /* the records of a head */
};

/* One attribute of a shape: where it stands in the struct, and the bool that tells whether it is there (ALWAYS: no such). */
struct attribute {
    const char *name;
    enum attribute_type type;
    size_t at;
    size_t there;
};

enum {
    ALWAYS = 1 << 30
};

#define HEAD(field) offsetof(struct dynamodb_head, field)
static const struct attribute head_attributes[] = {
    {"version", NUMBER, HEAD(version), ALWAYS},
    {"enabled", FLAG, HEAD(enabled), ALWAYS},
    {"high_version", NUMBER, HEAD(high_version), ALWAYS},
    {"high_slot", NUMBER, HEAD(high.slot), HEAD(high.set)},
    {"high_epoch", NUMBER, HEAD(high.epoch), HEAD(high.set)},
    {"low_slot", NUMBER, HEAD(low.slot), HEAD(low.has_slot)},
    {"low_source", NUMBER, HEAD(low.source), HEAD(low.has_epochs)},
    {"low_target", NUMBER, HEAD(low.target), HEAD(low.has_epochs)},
    {"max_slot", NUMBER, HEAD(max_slot), HEAD(has_block)},
    {"max_source", NUMBER, HEAD(max_source), HEAD(has_attestation)},
    {"max_target", NUMBER, HEAD(max_target), HEAD(has_attestation)},
    {"blocks", NUMBER, HEAD(blocks), ALWAYS},
    {"attestations", NUMBER, HEAD(attestations), ALWAYS},
    {"merging", NUMBER, HEAD(merging), ALWAYS},
    {"merging_since", NUMBER, HEAD(merging_since), ALWAYS},
    {"recent", RECENT, HEAD(recent), ALWAYS},
};

#define RECORD(field) offsetof(struct record_item, field)
/* What of a record does not stand in its sort key. */
struct record_item {
    uint64_t version;
    bool has_source;
    uint64_t source;
    bool has_root;
    uint8_t root[32];
};
static const struct attribute record_attributes[] = {
    {"version", NUMBER, RECORD(version), ALWAYS},
    {"source", NUMBER, RECORD(source), RECORD(has_source)},
    {"root", BYTES32, RECORD(root), RECORD(has_root)},
};

#define ROOT(field) offsetof(struct dynamodb_root, field)
static const struct attribute root_attributes[] = {
    {"version", NUMBER, ROOT(version), ALWAYS},
    {"format", NUMBER, ROOT(format), ALWAYS},
    {"history_id", BYTES32, ROOT(identity.history_id), ALWAYS},
    {"chamber_id", BYTES32, ROOT(identity.chamber_id), ALWAYS},
    {"proof", BYTES32, ROOT(identity.proof), ALWAYS},
    {"genesis_validators_root", BYTES32, ROOT(identity.genesis_validators_root),
     ROOT(identity.has_genesis_validators_root)},
    {"table", TEXT, ROOT(table_id), ALWAYS},
    {"high_version", NUMBER, ROOT(high_version), ALWAYS},
    {"high_spread", NUMBER, ROOT(high_spread), ALWAYS},
    {"high_slot", NUMBER, ROOT(high.slot), ROOT(high.set)},
    {"high_epoch", NUMBER, ROOT(high.epoch), ROOT(high.set)},
    {"ceiling", NUMBER, ROOT(ceiling), ROOT(has_ceiling)},
};

/* --- keys ---------------------------------------------------------------------------------------------------------- */

static const char root_partition[] = "history";
static const char root_sort[] = "history";
static const char shard_prefix[] = "validators/";
static const char head_prefix[] = "head/";
static const char record_prefix[] = "record/";

bool dynamodb_shard(const struct eth_pubkey *pubkey, unsigned *ret_shard)
{
    *ret_shard = pubkey->bytes[0] >> 2 & (DYNAMODB_SHARDS - 1);
    return pubkey->bytes[0] >> 6 == 2;
}

static void
print_sort(const char *prefix, const struct eth_pubkey *pubkey, const char *rest, char *ret_sort)
{
    char hex[HEX_KEY + 1];
    hex_encode(pubkey->bytes, sizeof pubkey->bytes, hex);
    hex[HEX_KEY] = 0;
    (void)snprintf(ret_sort, DYNAMODB_SORT_MAX, "%s%s%s", prefix, hex, rest);
}

void dynamodb_head_sort(const struct eth_pubkey *pubkey, char ret_sort[static DYNAMODB_SORT_MAX])
{
    print_sort(head_prefix, pubkey, "", ret_sort);
}

static const char *word_of(enum slash_claim_kind kind)
{
    return kind == SLASH_CLAIM_BLOCK ? "block" : "vote";
}

void dynamodb_record_sort(const struct eth_pubkey *pubkey,
                          enum slash_claim_kind kind,
                          uint64_t number,
                          char ret_sort[static DYNAMODB_SORT_MAX])
{
    char rest[40];
    (void)snprintf(rest, sizeof rest, "/%s/%020llu", word_of(kind), (unsigned long long)number);
    print_sort(record_prefix, pubkey, rest, ret_sort);
}

void dynamodb_records_first(const struct eth_pubkey *pubkey,
                            char ret_sort[static DYNAMODB_SORT_MAX])
{
    print_sort(record_prefix, pubkey, "/", ret_sort);
}

/* '0' is what comes after '/'. */
void dynamodb_records_last(const struct eth_pubkey *pubkey, char ret_sort[static DYNAMODB_SORT_MAX])
{
    print_sort(record_prefix, pubkey, "0", ret_sort);
}

static cc_err append_keys(struct buf *out, const struct eth_pubkey *pubkey, const char *sort)
{
    unsigned shard;
    if (!dynamodb_shard(pubkey, &shard))
        return CC_FAIL(KEY_INVALID, "not a compressed point of G1");
    return buf_printf(out, "{\"pk\":{\"S\":\"%s%x\"},\"sk\":{\"S\":\"%s\"}", shard_prefix, shard,
                      sort);
}

CC_ERR dynamodb_key_append(struct buf *out, const struct eth_pubkey *pubkey, const char *sort)
{
    CC_TRY(append_keys(out, pubkey, sort));
    return buf_append_str(out, "}");
}

CC_ERR dynamodb_root_key_append(struct buf *out)
{
    return buf_printf(out, "{\"pk\":{\"S\":\"%s\"},\"sk\":{\"S\":\"%s\"}}", root_partition,
                      root_sort);
}

/* --- writing ----------------------------------------------------------------------------------------------------------- */

static cc_err append_bytes(struct buf *out, const void *bytes, size_t len)
{
    CC_TRY(buf_append_str(out, "{\"B\":\""));
    CC_TRY(base64_append(out, bytes, len));
    return buf_append_str(out, "\"}");
}

static void pack_recent(const struct dynamodb_record *r, uint8_t out[static RECENT_SIZE])
{
    out[0] = r->kind == SLASH_CLAIM_BLOCK ? 'b' : 'v';
    u64_store_be(out + 1, r->source);
    u64_store_be(out + 9, r->number);
    memcpy(out + 17, r->root.bytes, sizeof r->root.bytes);
    u64_store_be(out + 49, r->version);
}

static cc_err append_recent(struct buf *out, const struct dynamodb_record *recent, size_t count)
{
    uint8_t bytes[DYNAMODB_RECENT_MAX * RECENT_SIZE];
    for (size_t i = 0; i < count; i++)
        pack_recent(&recent[i], bytes + i * RECENT_SIZE);
    return append_bytes(out, bytes, count * RECENT_SIZE);
}

/* `item` is the struct that the table describes; only a head has RECENT. */
static cc_err append_value(struct buf *out, const struct attribute *a, const uint8_t *item)
{
    const struct dynamodb_head *head = (const struct dynamodb_head *)(const void *)item;
    uint64_t number;
    switch (a->type) {
    case NUMBER:
        memcpy(&number, item + a->at, sizeof number);
        return buf_printf(out, "{\"N\":\"%llu\"}", (unsigned long long)number);
    case FLAG:
        return buf_printf(out, "{\"BOOL\":%s}", *(const bool *)(item + a->at) ? "true" : "false");
    case BYTES32:
        return append_bytes(out, item + a->at, 32);
    case TEXT:
        return buf_printf(out, "{\"S\":\"%s\"}", (const char *)(item + a->at));
    case RECENT:
        return append_recent(out, head->recent, head->recent_count);
    }
    return CC_OK;
}

static cc_err
append_attributes(struct buf *out, const struct attribute *table, size_t count, const void *item)
{
    const uint8_t *bytes = item;
    for (size_t i = 0; i < count; i++) {
        const struct attribute *a = &table[i];
        if (a->there != ALWAYS && !*(const bool *)(bytes + a->there))
            continue;
        CC_TRY(buf_printf(out, ",\"%s\":", a->name));
        CC_TRY(append_value(out, a, bytes));
    }
    return buf_append_str(out, "}");
}

CC_ERR dynamodb_head_append(struct buf *out, const struct dynamodb_head *head)
{
    char sort[DYNAMODB_SORT_MAX];
    dynamodb_head_sort(&head->pubkey, sort);
    CC_TRY(append_keys(out, &head->pubkey, sort));
    return append_attributes(out, head_attributes, ARRAY_LEN(head_attributes), head);
}

CC_ERR dynamodb_record_append(struct buf *out,
                              const struct eth_pubkey *pubkey,
                              const struct dynamodb_record *record)
{
    char sort[DYNAMODB_SORT_MAX];
    struct record_item item = {.version = record->version,
                               .has_source = record->kind == SLASH_CLAIM_ATTESTATION,
                               .source = record->source,
                               .has_root = record->has_root};
    memcpy(item.root, record->root.bytes, sizeof item.root);
    dynamodb_record_sort(pubkey, record->kind, record->number, sort);
    CC_TRY(append_keys(out, pubkey, sort));
    return append_attributes(out, record_attributes, ARRAY_LEN(record_attributes), &item);
}

CC_ERR dynamodb_root_append(struct buf *out, const struct dynamodb_root *root)
{
    CC_TRY(
        buf_printf(out, "{\"pk\":{\"S\":\"%s\"},\"sk\":{\"S\":\"%s\"}", root_partition, root_sort));
    return append_attributes(out, root_attributes, ARRAY_LEN(root_attributes), root);
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

static cc_err odd(void)
{
    return CC_FAIL(TAMPERED, "an item of the table is not one of this program's");
}

/* The value of {"N":"5"}: exactly one member, of the wanted type. */
static cc_err value_of(struct jval attribute, const char *type, struct jval *ret_value)
{
    return jval_type(attribute) == JVAL_OBJECT && jval_count(attribute) == 1 &&
                   jval_member(attribute, type, ret_value)
               ? CC_OK
               : odd();
}

static cc_err text_of(struct jval attribute, const char *type, struct span *ret_text)
{
    struct jval value;
    CC_TRY(value_of(attribute, type, &value));
    return jval_text(value, ret_text).code ? odd() : CC_OK;
}

/* As written: no sign, no exponent, no leading zero. */
static cc_err number_of(struct jval attribute, uint64_t *ret_number)
{
    struct span text;
    CC_TRY(text_of(attribute, "N", &text));
    if (text.len == 0 || (text.len > 1 && text.data[0] == '0') || u64_parse(text, ret_number).code)
        return odd();
    return CC_OK;
}

static cc_err bytes_of(struct jval attribute, uint8_t *ret_bytes, size_t max, size_t *ret_len)
{
    struct span text;
    CC_TRY(text_of(attribute, "B", &text));
    return base64_decode(text, ret_bytes, max, ret_len).code ? odd() : CC_OK;
}

static cc_err read_flag(struct jval attribute, bool *ret_flag)
{
    struct jval value;
    CC_TRY(value_of(attribute, "BOOL", &value));
    return jval_bool(value, ret_flag).code ? odd() : CC_OK;
}

/* Printable, and nothing that would have to be escaped when it is written again. */
static cc_err read_table_id(struct jval attribute, char *ret_text)
{
    struct span text;
    CC_TRY(text_of(attribute, "S", &text));
    if (text.len == 0 || text.len >= DYNAMODB_TABLE_ID_MAX)
        return odd();
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e || text.data[i] == '"' ||
            text.data[i] == '\\')
            return odd();
    memcpy(ret_text, text.data, text.len);
    ret_text[text.len] = 0;
    return CC_OK;
}

static cc_err unpack_recent(const uint8_t in[static RECENT_SIZE], struct dynamodb_record *ret)
{
    if (in[0] != 'b' && in[0] != 'v')
        return odd();
    *ret =
        (struct dynamodb_record){.kind = in[0] == 'b' ? SLASH_CLAIM_BLOCK : SLASH_CLAIM_ATTESTATION,
                                 .source = u64_load_be(in + 1),
                                 .number = u64_load_be(in + 9),
                                 .has_root = true,
                                 .version = u64_load_be(in + 49)};
    memcpy(ret->root.bytes, in + 17, sizeof ret->root.bytes);
    return ret->kind == SLASH_CLAIM_BLOCK && ret->source ? odd() : CC_OK;
}

static cc_err read_recent(struct jval attribute, struct dynamodb_head *head)
{
    uint8_t bytes[DYNAMODB_RECENT_MAX * RECENT_SIZE];
    size_t len;
    CC_TRY(bytes_of(attribute, bytes, sizeof bytes, &len));
    if (len % RECENT_SIZE)
        return odd();
    head->recent_count = len / RECENT_SIZE;
    for (size_t i = 0; i < head->recent_count; i++)
        CC_TRY(unpack_recent(bytes + i * RECENT_SIZE, &head->recent[i]));
    return CC_OK;
}

static cc_err read_value(const struct attribute *a, struct jval attribute, uint8_t *item)
{
    uint64_t number;
    size_t len = 0;
    switch (a->type) {
    case NUMBER:
        CC_TRY(number_of(attribute, &number));
        memcpy(item + a->at, &number, sizeof number);
        return CC_OK;
    case FLAG:
        return read_flag(attribute, (bool *)(item + a->at));
    case BYTES32:
        CC_TRY(bytes_of(attribute, item + a->at, 32, &len));
        return len == 32 ? CC_OK : odd();
    case TEXT:
        return read_table_id(attribute, (char *)(item + a->at));
    case RECENT:
        return read_recent(attribute, (struct dynamodb_head *)(void *)item);
    }
    return CC_OK;
}

static const struct attribute *find(const struct attribute *table, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++)
        if (span_is(name, table[i].name))
            return &table[i];
    return NULL;
}

/* Of attributes that share one bool (two epochs) both are there or none. */
static cc_err
check_complete(const struct attribute *table, size_t count, const bool *seen, uint8_t *item)
{
    for (size_t i = 0; i < count; i++)
        if (table[i].there != ALWAYS && seen[i])
            *(bool *)(item + table[i].there) = true;
    for (size_t i = 0; i < count; i++)
        if (!seen[i] && (table[i].there == ALWAYS || *(bool *)(item + table[i].there)))
            return odd();
    return CC_OK;
}

/* `ret_item` is zero but for what stands in the sort key. */
static cc_err
read_attributes(struct jval item, const struct attribute *table, size_t count, void *ret_item)
{
    bool seen[ATTRIBUTES_MAX] = {false};
    struct span name;
    struct jval value;
    struct jval_iter iter = jval_iterate(item);
    while (jval_next_member(&iter, &name, &value)) {
        const struct attribute *a = find(table, count, name);
        if (!a && (span_is(name, "pk") || span_is(name, "sk")))
            continue;
        if (!a)
            return odd();
        seen[a - table] = true;
        CC_TRY(read_value(a, value, ret_item));
    }
    return check_complete(table, count, seen, ret_item);
}

static cc_err keys_of(struct jval item, struct span *ret_partition, struct span *ret_sort)
{
    struct jval partition, sort;
    if (jval_type(item) != JVAL_OBJECT || !jval_member(item, "pk", &partition) ||
        !jval_member(item, "sk", &sort))
        return odd();
    CC_TRY(text_of(partition, "S", ret_partition));
    return text_of(sort, "S", ret_sort);
}

/* Takes `prefix` off `text`; false when it doesn't begin so. */
static bool take(struct span *text, const char *prefix)
{
    size_t len = strlen(prefix);
    if (text->len < len || memcmp(text->data, prefix, len) != 0)
        return false;
    *text = span_of(text->data + len, text->len - len);
    return true;
}

/* The public key that stands after `prefix`, in the shard that it belongs to; the rest of the sort key. */
static cc_err pubkey_of(struct jval item,
                        const char *prefix,
                        struct eth_pubkey *ret_pubkey,
                        struct span *ret_rest)
{
    struct span partition, sort;
    unsigned shard = 0;
    char wanted[sizeof shard_prefix + 2];
    CC_TRY(keys_of(item, &partition, &sort));
    if (!take(&sort, prefix) || sort.len < HEX_KEY)
        return odd();
    struct span hex = span_of(sort.data, HEX_KEY);
    for (size_t i = 0; i < hex.len; i++)
        if (hex.data[i] >= 'A' && hex.data[i] <= 'Z')
            return odd();
    if (hex_decode(hex, ret_pubkey->bytes, sizeof ret_pubkey->bytes).code ||
        !dynamodb_shard(ret_pubkey, &shard))
        return odd();
    (void)snprintf(wanted, sizeof wanted, "%s%x", shard_prefix, shard);
    *ret_rest = span_of(sort.data + HEX_KEY, sort.len - HEX_KEY);
    return span_is(partition, wanted) ? CC_OK : odd();
}

CC_ERR dynamodb_head_read(struct jval item, struct dynamodb_head *ret_head)
{
    struct dynamodb_head head = {0};
    struct span rest;
    CC_TRY(pubkey_of(item, head_prefix, &head.pubkey, &rest));
    CC_TRY(read_attributes(item, head_attributes, ARRAY_LEN(head_attributes), &head));
    if (rest.len || head.version == 0 || head.version == UINT64_MAX || head.merging > head.version)
        return odd();
    *ret_head = head;
    return CC_OK;
}

static cc_err read_number_of_sort(struct span rest, struct dynamodb_record *record)
{
    bool block = take(&rest, "/block/");
    if (!block && !take(&rest, "/vote/"))
        return odd();
    record->kind = block ? SLASH_CLAIM_BLOCK : SLASH_CLAIM_ATTESTATION;
    return rest.len == 20 && !u64_parse(rest, &record->number).code ? CC_OK : odd();
}

CC_ERR dynamodb_record_read(struct jval item,
                            struct eth_pubkey *ret_pubkey,
                            struct dynamodb_record *ret_record)
{
    struct dynamodb_record record = {0};
    struct record_item rest_of = {0};
    struct eth_pubkey pubkey;
    struct span rest;
    CC_TRY(pubkey_of(item, record_prefix, &pubkey, &rest));
    CC_TRY(read_number_of_sort(rest, &record));
    CC_TRY(read_attributes(item, record_attributes, ARRAY_LEN(record_attributes), &rest_of));
    if (rest_of.has_source != (record.kind == SLASH_CLAIM_ATTESTATION))
        return odd();
    record.version = rest_of.version;
    record.source = rest_of.source;
    record.has_root = rest_of.has_root;
    memcpy(record.root.bytes, rest_of.root, sizeof rest_of.root);
    *ret_pubkey = pubkey;
    *ret_record = record;
    return CC_OK;
}

CC_ERR dynamodb_root_read(struct jval item, struct dynamodb_root *ret_root)
{
    struct dynamodb_root root = {0};
    struct span partition, sort;
    CC_TRY(keys_of(item, &partition, &sort));
    if (!span_is(partition, root_partition) || !span_is(sort, root_sort))
        return odd();
    CC_TRY(read_attributes(item, root_attributes, ARRAY_LEN(root_attributes), &root));
    if (root.version == 0 || root.high_version == 0 || root.high_spread > root.high_version)
        return odd();
    *ret_root = root;
    return CC_OK;
}
