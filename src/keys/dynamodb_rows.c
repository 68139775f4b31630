#include "keys/dynamodb_rows.h"

#include <stdio.h>
#include <string.h>

#include "base/num.h"

#include "codec/base64.h"
#include "codec/hex.h"
#include "slash/dynamodb_item.h"

enum {
    HEX_KEY = 2 * sizeof(struct eth_pubkey),
    CHANGES_MAX = KEY_STORE_CHANGE_MAX * DYNAMODB_KEY_CHANGE_SIZE
};
_Static_assert((int)DYNAMODB_KEY_SHARDS == (int)DYNAMODB_SHARDS, "as a history's");

static cc_err odd(void)
{
    return CC_FAIL(TAMPERED, "an item of the key store's table is not one of this program's");
}

/* --- places ---------------------------------------------------------------------------------------------------------- */

bool dynamodb_key_shard(const struct eth_pubkey *pubkey, unsigned *ret_shard)
{
    return dynamodb_shard(pubkey, ret_shard);
}

CC_ERR dynamodb_key_head_place(struct buf *out)
{
    return buf_append_str(out, "{\"pk\":{\"S\":\"keys\"},\"sk\":{\"S\":\"head\"}}");
}

static cc_err append_row_place(struct buf *out, const struct eth_pubkey *pubkey)
{
    char hex[HEX_KEY + 1];
    unsigned shard = 0;
    if (!dynamodb_key_shard(pubkey, &shard))
        return CC_FAIL(TAMPERED, "not the public key of a validator");
    hex_encode(pubkey->bytes, sizeof pubkey->bytes, hex);
    hex[HEX_KEY] = 0;
    return buf_printf(out, "\"pk\":{\"S\":\"keys/%x\"},\"sk\":{\"S\":\"%s\"}", shard, hex);
}

CC_ERR dynamodb_key_row_place(struct buf *out, const struct eth_pubkey *pubkey)
{
    CC_TRY(buf_append_str(out, "{"));
    CC_TRY(append_row_place(out, pubkey));
    return buf_append_str(out, "}");
}

/* --- writing ----------------------------------------------------------------------------------------------------------- */

static cc_err append_bytes(struct buf *out, const char *name, const void *bytes, size_t len)
{
    CC_TRY(buf_printf(out, ",\"%s\":{\"B\":\"", name));
    CC_TRY(base64_append(out, bytes, len));
    return buf_append_str(out, "\"}");
}

CC_ERR dynamodb_key_row_append(struct buf *out, const struct sealed_row *row)
{
    CC_TRY(buf_append_str(out, "{"));
    CC_TRY(append_row_place(out, &row->pubkey));
    CC_TRY(buf_printf(
        out,
        ",\"status\":{\"N\":\"%u\"},\"version\":{\"N\":\"%llu\"},\"generation\":{\"N\":\"%u\"}",
        row->status, (unsigned long long)row->version, row->generation));
    if (row->status != ROW_DELETED)
        CC_TRY(append_bytes(out, "sealed", row->sealed, sizeof row->sealed));
    return buf_append_str(out, "}");
}

/* It goes into a write as it is. */
static bool is_plain(const char *table_id)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.:/@+";
    return table_id[0] && strspn(table_id, allowed) == strlen(table_id);
}

static void pack_row(const struct sealed_row *row, uint8_t *at)
{
    memcpy(at, row->pubkey.bytes, 48);
    at[48] = (uint8_t)row->status;
    u32_store_be(at + 49, row->generation);
    u64_store_be(at + 53, row->version);
    memcpy(at + 61, row->sealed, sizeof row->sealed);
}

CC_ERR dynamodb_key_head_append(struct buf *out, const struct dynamodb_key_head *head)
{
    CC_CLEANUP(buf_release) struct buf packed = buf_init(CHANGES_MAX);
    uint8_t *at = NULL;
    if (!is_plain(head->table_id))
        return odd();
    for (size_t i = 0; i < head->count; i++) {
        CC_TRY(buf_grow(&packed, DYNAMODB_KEY_CHANGE_SIZE, &at));
        pack_row(&head->rows[i], at);
    }
    CC_TRY(buf_printf(out,
                      "{\"pk\":{\"S\":\"keys\"},\"sk\":{\"S\":\"head\"},\"table\":{\"S\":\"%s\"},"
                      "\"mark\":{\"N\":\"%llu\"}",
                      head->table_id, (unsigned long long)head->mark));
    CC_TRY(append_bytes(out, "store_id", head->id, sizeof head->id));
    CC_TRY(append_bytes(out, "chamber_id", head->chamber, sizeof head->chamber));
    CC_TRY(append_bytes(out, "token", head->token, sizeof head->token));
    if (head->count)
        CC_TRY(append_bytes(out, "changes", packed.data, packed.len));
    return buf_append_str(out, "}");
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

/* The text of {"N":"5"}, of a member of an item. */
static cc_err text_of(struct jval item, const char *name, const char *type, struct span *ret_text)
{
    struct jval attribute, value;
    if (!jval_member(item, name, &attribute) || jval_count(attribute) != 1 ||
        !jval_member(attribute, type, &value))
        return odd();
    return jval_text(value, ret_text).code ? odd() : CC_OK;
}

static cc_err number_of(struct jval item, const char *name, uint64_t max, uint64_t *ret_number)
{
    struct span text;
    CC_TRY(text_of(item, name, "N", &text));
    return u64_parse(text, ret_number).code || *ret_number == 0 || *ret_number > max ? odd()
                                                                                     : CC_OK;
}

static cc_err bytes_of(struct jval item, const char *name, uint8_t *ret_bytes, size_t len)
{
    struct span text;
    size_t found = 0;
    CC_TRY(text_of(item, name, "B", &text));
    return base64_decode(text, ret_bytes, len, &found).code || found != len ? odd() : CC_OK;
}

/* The sort key is the public key, and the partition its shard. */
static cc_err pubkey_of(struct jval item, struct eth_pubkey *ret_pubkey)
{
    char wanted[16];
    unsigned shard = 0;
    struct span partition, sort;
    CC_TRY(text_of(item, "pk", "S", &partition));
    CC_TRY(text_of(item, "sk", "S", &sort));
    if (sort.len != HEX_KEY || hex_decode(sort, ret_pubkey->bytes, sizeof ret_pubkey->bytes).code ||
        !dynamodb_key_shard(ret_pubkey, &shard))
        return odd();
    for (size_t i = 0; i < sort.len; i++)
        if (sort.data[i] >= 'A' && sort.data[i] <= 'F')
            return odd();
    (void)snprintf(wanted, sizeof wanted, "keys/%x", shard);
    return span_is(partition, wanted) ? CC_OK : odd();
}

CC_ERR dynamodb_key_row_read(struct jval item, struct sealed_row *ret_row)
{
    uint64_t status = 0, generation = 0;
    *ret_row = (struct sealed_row){0};
    CC_TRY(pubkey_of(item, &ret_row->pubkey));
    CC_TRY(number_of(item, "status", ROW_DELETED, &status));
    CC_TRY(number_of(item, "version", INT64_MAX, &ret_row->version));
    CC_TRY(number_of(item, "generation", UINT32_MAX, &generation));
    ret_row->status = (uint32_t)status;
    ret_row->generation = (uint32_t)generation;
    const bool live = status != ROW_DELETED;
    if (jval_count(item) != (live ? 6U : 5U))
        return odd();
    return live ? bytes_of(item, "sealed", ret_row->sealed, sizeof ret_row->sealed) : CC_OK;
}

static uint64_t load(const uint8_t *at, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | at[i];
    return value;
}

static cc_err unpack_row(const uint8_t *at, struct sealed_row *ret_row)
{
    static const uint8_t none[SEALED_KEY_SIZE];
    unsigned shard;
    *ret_row = (struct sealed_row){
        .status = at[48], .generation = (uint32_t)load(at + 49, 4), .version = load(at + 53, 8)};
    memcpy(ret_row->pubkey.bytes, at, 48);
    memcpy(ret_row->sealed, at + 61, sizeof ret_row->sealed);
    if (ret_row->status < ROW_ACTIVE || ret_row->status > ROW_DELETED || ret_row->generation == 0 ||
        ret_row->version == 0 || ret_row->version > INT64_MAX ||
        !dynamodb_key_shard(&ret_row->pubkey, &shard))
        return odd();
    return ret_row->status != ROW_DELETED ||
                   span_equal(span_of(ret_row->sealed, sizeof none), span_of(none, sizeof none))
               ? CC_OK
               : odd();
}

static cc_err changes_of(struct jval item, struct dynamodb_key_head *head)
{
    CC_CLEANUP(buf_release) struct buf packed = buf_init(CHANGES_MAX + 4);
    struct span text;
    uint8_t *bytes = NULL;
    size_t len = 0;
    CC_TRY(text_of(item, "changes", "B", &text));
    CC_TRY(buf_grow(&packed, CHANGES_MAX, &bytes));
    if (base64_decode(text, bytes, CHANGES_MAX, &len).code || len == 0 ||
        len % DYNAMODB_KEY_CHANGE_SIZE != 0)
        return odd();
    for (; head->count < len / DYNAMODB_KEY_CHANGE_SIZE; head->count++)
        CC_TRY(
            unpack_row(bytes + head->count * DYNAMODB_KEY_CHANGE_SIZE, &head->rows[head->count]));
    return CC_OK;
}

static cc_err table_of(struct jval item, struct dynamodb_key_head *head)
{
    struct span text;
    CC_TRY(text_of(item, "table", "S", &text));
    if (text.len >= sizeof head->table_id || memchr(text.data, 0, text.len))
        return odd();
    memcpy(head->table_id, text.data, text.len);
    return is_plain(head->table_id) ? CC_OK : odd();
}

CC_ERR dynamodb_key_head_read(struct jval item, struct dynamodb_key_head *ret_head)
{
    struct jval changes;
    struct span partition, sort;
    memset(ret_head, 0, sizeof *ret_head);
    CC_TRY(text_of(item, "pk", "S", &partition));
    CC_TRY(text_of(item, "sk", "S", &sort));
    if (!span_is(partition, "keys") || !span_is(sort, "head"))
        return odd();
    CC_TRY(bytes_of(item, "store_id", ret_head->id, sizeof ret_head->id));
    CC_TRY(bytes_of(item, "chamber_id", ret_head->chamber, sizeof ret_head->chamber));
    CC_TRY(bytes_of(item, "token", ret_head->token, sizeof ret_head->token));
    CC_TRY(number_of(item, "mark", INT64_MAX, &ret_head->mark));
    CC_TRY(table_of(item, ret_head));
    const bool has_changes = jval_member(item, "changes", &changes);
    if (jval_count(item) != (has_changes ? 8U : 7U))
        return odd();
    return has_changes ? changes_of(item, ret_head) : CC_OK;
}
