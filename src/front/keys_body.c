#include "front/keys_body.h"

#include "base/alloc.h"

#include "codec/hex.h"
#include "codec/json.h"
#include "codec/utf8.h"
#include "eth/address.h"
#include "eth/deposit.h"
#include "keys/eip2335.h"
#include "secret/wipe.h"

enum {
    TOKENS_SPARE = 64 /* beyond the items: names, and what a client adds */
};

static void doc_endp(struct jdoc *doc)
{
    jdoc_release(doc);
}

void keys_body_release(struct keys_body *b)
{
    if (b->keystores)
        wipe(b->keystores, b->count * sizeof *b->keystores);
    cc_free(b->keystores);
    cc_free(b->items);
    *b = (struct keys_body){0};
}

/* A body with many more values than items is one with too many items, or none of ours. */
static cc_err parse(struct jdoc *doc, uint8_t *body, size_t len)
{
    cc_err err = jdoc_parse(doc, body, len);
    if (error_is(err, ERROR_JSON_TOO_LARGE))
        return CC_FAIL(BODY_TOO_LARGE, "more items than one request may have");
    CC_TRY(err);
    return jval_type(jdoc_root(doc)) == JVAL_OBJECT ? CC_OK
                                                    : CC_FAIL(FIELD_TYPE, "an object is expected");
}

/* --- members --------------------------------------------------------------------------------------------------- */

/* What the members of a body are; those of them that it has not are null. */
struct members {
    struct jval keystores, passwords, slashing_protection, pubkeys, status, all;
    bool has_keystores, has_passwords, has_slashing_protection, has_pubkeys, has_status, has_all;
};

static cc_err
take_members(struct jval root, const char *const *known, size_t count, bool refuse_others)
{
    struct jval_iter at = jval_iterate(root);
    struct jval value;
    struct span name;
    while (refuse_others && jval_next_member(&at, &name, &value)) {
        bool found = false;
        for (size_t i = 0; i < count && !found; i++)
            found = span_is(name, known[i]);
        if (!found)
            return CC_FAIL(MALFORMED, "a member that this route does not have");
    }
    return CC_OK;
}

static bool find(struct jval root, const char *name, struct jval *ret_value)
{
    return jval_member(root, name, ret_value) && jval_type(*ret_value) != JVAL_NULL;
}

static void find_members(struct jval root, struct members *ret)
{
    *ret = (struct members){0};
    ret->has_keystores = find(root, "keystores", &ret->keystores);
    ret->has_passwords = find(root, "passwords", &ret->passwords);
    ret->has_slashing_protection = find(root, "slashing_protection", &ret->slashing_protection);
    ret->has_pubkeys = find(root, "pubkeys", &ret->pubkeys);
    ret->has_status = find(root, "status", &ret->status);
    ret->has_all = find(root, "all", &ret->all);
}

/* `static_detail` is the error's, where it is not a list of texts. */
static cc_err check_texts(struct jval list, size_t max, const char *static_detail)
{
    struct jval_iter at;
    struct jval value;
    if (jval_type(list) != JVAL_ARRAY)
        return CC_FAIL(FIELD_TYPE, static_detail);
    if (jval_count(list) > max)
        return CC_FAIL(BODY_TOO_LARGE, "more items than one request may have");
    at = jval_iterate(list);
    while (jval_next(&at, &value))
        if (jval_type(value) != JVAL_STRING)
            return CC_FAIL(FIELD_TYPE, static_detail);
    return CC_OK;
}

static cc_err make_items(struct keys_body *b, size_t count)
{
    if (count == 0)
        return CC_OK;
    b->items = cc_alloc_array(count, sizeof *b->items);
    if (!b->items)
        return CC_FAIL(NO_MEMORY, "keys");
    b->count = count;
    return CC_OK;
}

static cc_err take_status(struct jval value, bool *ret_inactive)
{
    struct span text;
    CC_TRY(jval_text(value, &text));
    *ret_inactive = span_is(text, "inactive");
    return *ret_inactive || span_is(text, "active")
               ? CC_OK
               : CC_FAIL(MALFORMED, "status: active or inactive expected");
}

/* --- an import -------------------------------------------------------------------------------------------------- */

/* The text of a keystore lies in the body, which is ours to change. */
static cc_err read_keystore(struct jval value, uint8_t *body, struct k_keystore *ret)
{
    struct span text;
    CC_TRY(jval_text(value, &text));
    return eip2335_parse(text.len ? body + (text.data - body) : body, text.len, ret);
}

static cc_err read_password(struct jval value, struct k_keystore *keystore)
{
    struct span text;
    size_t len = 0;
    CC_TRY(jval_text(value, &text));
    CC_TRY(utf8_password(text, keystore->password, sizeof keystore->password, &len));
    keystore->password_len = (uint32_t)len;
    return CC_OK;
}

static void
read_item(struct keys_body *b, size_t i, uint8_t *body, const struct jval pair[static 2])
{
    struct keys_item *item = &b->items[i];
    struct k_keystore *keystore = &b->keystores[i];
    item->err = read_keystore(pair[0], body, keystore);
    item->has_pubkey = keystore->has_pubkey;
    item->pubkey = keystore->pubkey;
    if (!item->err.code)
        item->err = read_password(pair[1], keystore);
    if (!item->err.code)
        return;
    item->static_detail = error_detail();
    wipe(keystore, sizeof *keystore);
}

static cc_err read_items(struct keys_body *b, const struct members *m, uint8_t *body)
{
    size_t count = jval_count(m->keystores);
    struct jval_iter keystores = jval_iterate(m->keystores);
    struct jval_iter passwords = jval_iterate(m->passwords);
    struct jval pair[2];
    CC_TRY(make_items(b, count));
    if (count) {
        b->keystores = cc_alloc_array(count, sizeof *b->keystores);
        if (!b->keystores)
            return CC_FAIL(NO_MEMORY, "keystores");
    }
    for (size_t i = 0; i < count; i++) {
        bool both = jval_next(&keystores, &pair[0]) && jval_next(&passwords, &pair[1]);
        cc_assert(both);
        read_item(b, i, body, pair);
    }
    return CC_OK;
}

static cc_err check_import(const struct members *m, size_t max)
{
    if (!m->has_keystores)
        return CC_FAIL(FIELD_MISSING, "keystores");
    if (!m->has_passwords)
        return CC_FAIL(FIELD_MISSING, "passwords");
    CC_TRY(check_texts(m->keystores, max, "keystores: a list of texts expected"));
    CC_TRY(check_texts(m->passwords, max, "passwords: a list of texts expected"));
    if (jval_count(m->keystores) != jval_count(m->passwords))
        return CC_FAIL(MALFORMED, "keystores and passwords are not of the same number");
    return CC_OK;
}

static cc_err read_import(const struct keys_body_rules *rules,
                          struct jval root,
                          uint8_t *body,
                          struct keys_body *b)
{
    static const char *const names[] = {"keystores", "passwords", "slashing_protection", "status"};
    struct members m;
    CC_TRY(take_members(root, names, ARRAY_LEN(names), rules->is_ours));
    find_members(root, &m);
    CC_TRY(check_import(&m, rules->max_items));
    if (rules->is_ours && m.has_status)
        CC_TRY(take_status(m.status, &b->inactive));
    if (m.has_slashing_protection) {
        if (jval_text(m.slashing_protection, &b->history).code)
            return CC_FAIL(FIELD_TYPE, "slashing_protection: a text expected");
        b->has_history = b->history.len > 0; /* Web3Signer takes an empty one for none */
    }
    return read_items(b, &m, body);
}

CC_ERR keys_body_import(const struct keys_body_rules *rules,
                        uint8_t *body,
                        size_t len,
                        struct keys_body *ret_body)
{
    CC_CLEANUP(doc_endp)
    struct jdoc doc = jdoc_init((uint32_t)(2 * rules->max_items + TOKENS_SPARE));
    struct keys_body b = {0};
    CC_TRY(parse(&doc, body, len));
    cc_err err = read_import(rules, jdoc_root(&doc), body, &b);
    if (err.code) {
        keys_body_release(&b);
        return err;
    }
    *ret_body = b;
    return CC_OK;
}

/* --- public keys --------------------------------------------------------------------------------------------------- */

static cc_err
read_pubkeys(const struct keys_body_rules *rules, struct jval list, struct keys_body *b)
{
    struct jval_iter at;
    struct jval value;
    CC_TRY(check_texts(list, rules->max_items, "pubkeys: a list of texts expected"));
    CC_TRY(make_items(b, jval_count(list)));
    at = jval_iterate(list);
    for (size_t i = 0; i < b->count && jval_next(&at, &value); i++) {
        struct keys_item *item = &b->items[i];
        struct span text;
        CC_TRY(jval_text(value, &text));
        if (hex_decode(hex_digits(text), item->pubkey.bytes, sizeof item->pubkey.bytes).code)
            return CC_FAIL(MALFORMED, "pubkeys: 48 bytes of hex expected");
        item->has_pubkey = true;
    }
    return CC_OK;
}

static cc_err read_list(const struct keys_body_rules *rules,
                        enum a_keys_verb verb,
                        struct jval root,
                        struct keys_body *b)
{
    static const char *const names[] = {"pubkeys", "status", "all"};
    bool pauses = verb == KEYS_PAUSE || verb == KEYS_RESUME;
    struct members m;
    size_t known = verb == KEYS_SET ? 2 : pauses ? 3 : 1;
    CC_TRY(take_members(root, names, known, rules->is_ours));
    find_members(root, &m);
    if (pauses && m.has_status)
        return CC_FAIL(MALFORMED, "a member that this route does not have");
    if (pauses && m.has_all)
        CC_TRY(jval_bool(m.all, &b->all));
    if (verb == KEYS_SET && !m.has_status)
        return CC_FAIL(FIELD_MISSING, "status");
    if (verb == KEYS_SET)
        CC_TRY(take_status(m.status, &b->inactive));
    if (b->all && m.has_pubkeys)
        return CC_FAIL(MALFORMED, "pubkeys, or all, and not both");
    if (b->all)
        return CC_OK;
    if (!m.has_pubkeys)
        return CC_FAIL(FIELD_MISSING, "pubkeys");
    return read_pubkeys(rules, m.pubkeys, b);
}

CC_ERR keys_body_list(const struct keys_body_rules *rules,
                      enum a_keys_verb verb,
                      uint8_t *body,
                      size_t len,
                      struct keys_body *ret_body)
{
    CC_CLEANUP(doc_endp)
    struct jdoc doc = jdoc_init((uint32_t)(rules->max_items + TOKENS_SPARE));
    struct keys_body b = {0};
    CC_TRY(parse(&doc, body, len));
    cc_err err = read_list(rules, verb, jdoc_root(&doc), &b);
    if (err.code) {
        keys_body_release(&b);
        return err;
    }
    *ret_body = b;
    return CC_OK;
}

/* --- new keys ------------------------------------------------------------------------------------------------------ */

/* To whom, and how much; nothing of it without an address. */
static cc_err read_deposit(struct jval root, struct a_key_generate *g)
{
    struct jval address_value, kind, amount;
    struct eth_address address;
    struct span text;
    bool compounding = false;
    g->has_deposit = find(root, "withdrawal_address", &address_value);
    g->amount = DEPOSIT_GWEI_DEFAULT;
    if (find(root, "compounding", &kind))
        CC_TRY(jval_bool(kind, &compounding));
    if (find(root, "amount_gwei", &amount))
        CC_TRY(jval_u64(amount, &g->amount));
    if (!g->has_deposit)
        return compounding || g->amount != DEPOSIT_GWEI_DEFAULT
                   ? CC_FAIL(FIELD_MISSING, "withdrawal_address")
                   : CC_OK;
    CC_TRY(jval_text(address_value, &text));
    cc_err err = address_parse(text, &address);
    if (error_is(err, ERROR_MALFORMED))
        return CC_FAIL(MALFORMED,
                       "withdrawal_address: its capital letters are not its checksum (EIP-55)");
    if (err.code)
        return CC_FAIL(MALFORMED, "withdrawal_address: 20 bytes of hex expected");
    g->withdrawal_credentials =
        deposit_credentials(compounding ? DEPOSIT_COMPOUNDING : DEPOSIT_TO_ADDRESS, &address);
    return deposit_check(&g->withdrawal_credentials, g->amount);
}

static cc_err
read_generate(const struct keys_body_rules *rules, struct jval root, struct keys_body *b)
{
    static const char *const names[] = {"count", "status", "withdrawal_address", "compounding",
                                        "amount_gwei"};
    struct jval count_value, status;
    uint64_t count = 0;
    CC_TRY(take_members(root, names, ARRAY_LEN(names), true));
    if (!find(root, "count", &count_value))
        return CC_FAIL(FIELD_MISSING, "count");
    CC_TRY(jval_u64(count_value, &count));
    if (count == 0)
        return CC_FAIL(NUMBER_RANGE, "count: at least one key");
    if (count > rules->max_items || count > A_KEYS_TOTAL_MAX)
        return CC_FAIL(BODY_TOO_LARGE, "more items than one request may have");
    if (find(root, "status", &status))
        CC_TRY(take_status(status, &b->inactive));
    CC_TRY(read_deposit(root, &b->generate));
    b->generate.total = (uint32_t)count;
    return make_items(b, (size_t)count);
}

CC_ERR keys_body_generate(const struct keys_body_rules *rules,
                          uint8_t *body,
                          size_t len,
                          struct keys_body *ret_body)
{
    CC_CLEANUP(doc_endp) struct jdoc doc = jdoc_init(TOKENS_SPARE);
    struct keys_body b = {0};
    CC_TRY(parse(&doc, body, len));
    cc_err err = read_generate(rules, jdoc_root(&doc), &b);
    if (err.code) {
        keys_body_release(&b);
        return err;
    }
    *ret_body = b;
    return CC_OK;
}
