/* A request to the key routes, step by step, with the test as the core. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#include "codec/hex.h"
#include "front/keys_work.h"
#include "slash/records.h"
#include "support/keystore.h"
#include "support/test.h"

static const struct keys_work_kind kinds[] = {
    {KEYS_LIST, SCOPE_LIST_KEYS, true},
    {KEYS_IMPORT, SCOPE_IMPORT_KEYSTORES, true},
    {KEYS_DELETE, SCOPE_DELETE_KEYS, true},
    {KEYS_SET, SCOPE_CHAMBER_KEYS_PATCH, false},
    {KEYS_PAUSE, SCOPE_KEYS_PAUSE, false},
    {KEYS_RESUME, SCOPE_KEYS_PAUSE, false},
    {KEYS_LIST, SCOPE_CHAMBER_KEYS_LIST, false},
    {KEYS_DELETE, SCOPE_CHAMBER_KEYS_DELETE, false},
    {KEYS_GENERATE, SCOPE_CHAMBER_KEYS_GENERATE, false},
};

enum which {
    MANAGER_LIST,
    MANAGER_IMPORT,
    MANAGER_DELETE,
    CHAMBER_SET,
    CHAMBER_PAUSE,
    CHAMBER_RESUME,
    CHAMBER_LIST,
    CHAMBER_DELETE,
    CHAMBER_GENERATE
};

static struct keys_work *work;
static struct buf body, items, out;
static const struct eth_root genesis = {{4}};

static int begin(void **state)
{
    (void)state;
    body = buf_init(8 << 20);
    items = buf_init(8 << 20);
    out = buf_init(8 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    keys_work_free(work);
    work = NULL;
    buf_release(&body);
    buf_release(&items);
    buf_release(&out);
    return 0;
}

/* --- bodies -------------------------------------------------------------------------------------------------------- */

static void add(const char *text)
{
    assert_int_equal(buf_append_str(&body, text).code, 0);
}

static struct eth_pubkey key_of(uint8_t number)
{
    uint8_t secret[32] = {[31] = number};
    return keystore_pubkey(secret);
}

static const char *hex_of(const struct eth_pubkey *key)
{
    static char text[100];
    memcpy(text, "0x", 2);
    hex_encode(key->bytes, sizeof key->bytes, text + 2);
    return text;
}

static void add_escaped(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.data[i];
        if (c == '"' || c == '\\')
            add("\\");
        if (c == '\n')
            add("\\n");
        else
            assert_int_equal(buf_append(&body, &c, 1).code, 0);
    }
}

static void add_keystore(uint8_t number, bool names_key)
{
    struct keystore_recipe recipe = {.password = "word", .secret[31] = number};
    struct eth_pubkey key = key_of(number);
    struct buf text = buf_init(65536);
    recipe.pubkey = names_key ? &key : NULL;
    assert_int_equal(keystore_make(&recipe, &text).code, 0);
    add("\"");
    add_escaped(buf_span(&text));
    add("\"");
    buf_release(&text);
}

/* Keystores 1 to `count`; with `history`, their data too. */
static void make_import(uint8_t count, const char *history)
{
    body.len = 0;
    add("{\"keystores\":[");
    for (uint8_t i = 1; i <= count; i++) {
        add(i > 1 ? "," : "");
        add_keystore(i, true);
    }
    add("],\"passwords\":[");
    for (uint8_t i = 1; i <= count; i++)
        add(i > 1 ? ",\"word\"" : "\"word\"");
    add("]");
    if (history) {
        add(",\"slashing_protection\":\"");
        add_escaped(span_str(history));
        add("\"");
    }
    add("}");
}

static void make_list(const uint8_t *numbers, size_t count, const char *more)
{
    body.len = 0;
    add("{\"pubkeys\":[");
    for (size_t i = 0; i < count; i++) {
        struct eth_pubkey key = key_of(numbers[i]);
        add(i ? ",\"" : "\"");
        add(hex_of(&key));
        add("\"");
    }
    add("]");
    add(more);
    add("}");
}

static const char *interchange(const uint8_t *numbers, size_t count)
{
    static char text[8192];
    int n =
        snprintf(text, sizeof text,
                 "{\"metadata\":{\"interchange_format_version\":\"5\",\"genesis_validators_root\":"
                 "\"0x%064d\"},\"data\":[",
                 0);
    for (size_t i = 0; i < count; i++) {
        struct eth_pubkey key = key_of(numbers[i]);
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "%s{\"pubkey\":\"%s\",\"signed_blocks\":[{\"slot\":\"7\"}],"
                      "\"signed_attestations\":[]}",
                      i ? "," : "", hex_of(&key));
    }
    (void)snprintf(text + n, sizeof text - (size_t)n, "]}");
    return text;
}

/* --- the core -------------------------------------------------------------------------------------------------------- */

static cc_err open_work(enum which which)
{
    keys_work_free(work);
    assert_int_equal(keys_work_new(&kinds[which], &work).code, 0);
    if (kinds[which].verb == KEYS_LIST)
        return CC_OK;
    cc_err err = keys_work_read(work, 40, body.data, body.len);
    if (!err.code && keys_work_has_history(work))
        err = keys_work_read_history(work);
    /* The body is needed no more. */
    if (body.len)
        memset(body.data, 0x55, body.len);
    return err;
}

static struct a_keys *expect_keys(void)
{
    struct keys_question q = keys_work_next(work);
    assert_non_null(q.keys);
    assert_null(q.slashing);
    items.len = 0;
    return q.keys;
}

static struct a_slashing *expect_slashing(enum a_slashing_verb verb)
{
    struct keys_question q = keys_work_next(work);
    assert_null(q.keys);
    assert_non_null(q.slashing);
    assert_int_equal(q.slashing->head.verb, verb);
    return q.slashing;
}

static void expect_nothing(void)
{
    struct keys_question q = keys_work_next(work);
    assert_null(q.keys);
    assert_null(q.slashing);
}

static void put_item(const struct eth_pubkey *key, enum a_key_outcome outcome, uint32_t error)
{
    struct a_key_item item = {.outcome = (uint8_t)outcome, .error = error};
    if (key)
        item.pubkey = *key;
    assert_int_equal(buf_append(&items, &item, sizeof item).code, 0);
}

static cc_err give(const struct a_keys *ask, cc_err err)
{
    struct a_keys_head head = {.verb = ask->head.verb, .count = ask->head.count};
    return keys_work_took(work, err, &head, &items);
}

static cc_err give_import(struct a_keys *ask, enum a_key_outcome outcome)
{
    for (uint32_t i = 0; i < ask->head.count; i++)
        put_item(&ask->is.imports[i].keystore.pubkey, outcome, 0);
    return give(ask, CC_OK);
}

/* The validator that the walk comes to: `key`, or none. */
static cc_err give_export(const struct a_slashing *ask, const struct eth_pubkey *key)
{
    struct a_slashing_head head = {
        .verb = SLASHING_EXPORT, .has_genesis = true, .genesis_validators_root = genesis};
    struct a_record record = {0};
    items.len = 0;
    assert_int_equal(ask->head.validators, 1);
    if (key) {
        record = slash_record_of_key(key, true);
        assert_int_equal(buf_append(&items, &record, sizeof record).code, 0);
        head.validators = 1;
        head.more = true;
        head.has_key = true;
        head.key = *key;
    }
    return keys_work_took_slashing(work, CC_OK, &head, &items);
}

static const char *answer(void)
{
    out.len = 0;
    assert_int_equal(keys_work_answer(work, &out).code, 0);
    assert_int_equal(buf_append(&out, "", 1).code, 0);
    return (const char *)out.data;
}

static void assert_begins(const char *text, const char *with)
{
    if (strncmp(text, with, strlen(with)) != 0)
        fail_msg("%s does not begin with %s", text, with);
}

static const char *refusal(cc_err err)
{
    out.len = 0;
    assert_int_equal(keys_work_refusal(work, err, &out).code, 0);
    assert_int_equal(buf_append(&out, "", 1).code, 0);
    return (const char *)out.data;
}

/* --- import ----------------------------------------------------------------------------------------------------------- */

static void test_an_import_goes_in_steps_of_sixteen_and_is_answered_in_order(void **state)
{
    (void)state;
    make_import(20, NULL);
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    struct a_keys *ask = expect_keys();
    assert_int_equal(ask->head.count, 16);
    assert_int_equal(ask->head.scope, SCOPE_IMPORT_KEYSTORES);
    assert_int_equal(ask->head.flags, 0);
    for (uint32_t i = 0; i < 16; i++) {
        uint8_t secret[32];
        struct eth_pubkey key;
        assert_int_equal(keystore_open(&ask->is.imports[i].keystore, secret, &key).code, 0);
        assert_int_equal(secret[31], i + 1);
    }
    assert_int_equal(give_import(ask, A_KEY_IMPORTED).code, 0);
    const struct a_keys wiped = {0};
    assert_memory_equal(&ask->is, &wiped.is, sizeof ask->is); /* with the passwords in it */
    ask = expect_keys();
    assert_int_equal(ask->head.count, 4);
    struct eth_pubkey key = key_of(17);
    put_item(&key, A_KEY_DUPLICATE, 0);
    put_item(NULL, A_KEY_ERROR, ERROR_KEYSTORE_PASSWORD);
    put_item(NULL, A_KEY_ERROR, ERROR_KEYSTORE_PUBKEY);
    put_item(NULL, A_KEY_ERROR, ERROR_STORE);
    assert_int_equal(give(ask, CC_OK).code, 0);
    expect_nothing();
    const char *text = answer();
    assert_begins(text, "{\"data\":[{\"status\":\"imported\",\"message\":\"\"},");
    assert_non_null(strstr(
        text,
        "{\"status\":\"duplicate\",\"message\":\"\"},"
        "{\"status\":\"error\",\"message\":\"Failed to decrypt keystore: wrong keystore password\"},"
        "{\"status\":\"error\",\"message\":\"Keystore pubkey does not match decrypted key\"},"
        "{\"status\":\"error\",\"message\":\"Error importing keystore: "));
}

static void test_an_import_of_nothing_asks_nothing(void **state)
{
    (void)state;
    make_import(0, NULL);
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    expect_nothing();
    assert_string_equal(answer(), "{\"data\":[]}");
}

/* The first step of an import with data: it brings none, and the core finds it of its network. */
static void pass_network(void)
{
    struct a_slashing_head head = {.verb = SLASHING_IMPORT};
    const struct a_slashing *ask = expect_slashing(SLASHING_IMPORT);
    assert_int_equal(ask->head.scope, SCOPE_IMPORT_KEYSTORES);
    assert_int_equal(ask->head.count, 0);
    assert_true(ask->head.has_genesis);
    items.len = 0;
    assert_int_equal(keys_work_took_slashing(work, CC_OK, &head, &items).code, 0);
}

/* Data of these keys, a block each, in the order of the file. */
static void pass_data(const uint8_t *numbers, uint32_t count)
{
    struct a_slashing_head head = {.verb = SLASHING_IMPORT, .validators = count};
    const struct a_slashing *ask = expect_slashing(SLASHING_IMPORT);
    assert_int_equal(ask->head.count, 2 * count);
    for (uint32_t i = 0; i < count; i++) {
        const struct eth_pubkey key = key_of(numbers[i]);
        assert_int_equal(ask->records[2 * (size_t)i].kind, RECORD_VALIDATOR);
        assert_memory_equal(&ask->records[2 * (size_t)i].is.pubkey, &key, sizeof key);
        assert_int_equal(ask->records[2 * (size_t)i + 1].kind, RECORD_BLOCK);
    }
    items.len = 0;
    assert_int_equal(keys_work_took_slashing(work, CC_OK, &head, &items).code, 0);
}

static struct a_keys *expect_take(const uint8_t *numbers, uint32_t count)
{
    struct a_keys *ask = expect_keys();
    assert_int_equal(ask->head.verb, KEYS_TAKE);
    assert_int_equal(ask->head.flags, 0);
    assert_int_equal(ask->head.count, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct eth_pubkey key = key_of(numbers[i]);
        assert_memory_equal(&ask->is.keys[i], &key, sizeof key);
    }
    return ask;
}

static cc_err give_take(const struct a_keys *ask, enum a_key_outcome outcome)
{
    for (uint32_t i = 0; i < ask->head.count; i++)
        put_item(&ask->is.keys[i], outcome, 0);
    return give(ask, CC_OK);
}

static struct a_keys *expect_hold(uint32_t count, uint32_t flags)
{
    struct a_keys *ask = expect_keys();
    assert_int_equal(ask->head.verb, KEYS_IMPORT);
    assert_int_equal(ask->head.flags, flags);
    assert_int_equal(ask->head.count, count);
    return ask;
}

static void
test_P13_P15_data_goes_between_opening_and_taking_and_only_that_of_what_opened(void **state)
{
    static const uint8_t in_file[] = {9, 2, 1, 4, 8}, merged[] = {1, 4}, taken[] = {1, 3, 4};
    (void)state;
    make_import(4, interchange(in_file, 5));
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    pass_network();
    struct a_keys *ask = expect_hold(4, KEYS_HOLD);
    put_item(&ask->is.imports[0].keystore.pubkey, A_KEY_OPENED, 0);
    put_item(NULL, A_KEY_ERROR, ERROR_KEYSTORE_PASSWORD);
    put_item(&ask->is.imports[2].keystore.pubkey, A_KEY_OPENED, 0);
    put_item(&ask->is.imports[3].keystore.pubkey, A_KEY_OPENED, 0);
    assert_int_equal(give(ask, CC_OK).code, 0);
    pass_data(merged, 2);
    assert_int_equal(give_take(expect_take(taken, 3), A_KEY_IMPORTED).code, 0);
    expect_nothing();
    assert_begins(answer(), "{\"data\":[{\"status\":\"imported\",\"message\":\"\"},"
                            "{\"status\":\"error\",\"message\":\"Failed to decrypt keystore: wrong "
                            "keystore password\"},{\"status\":\"imported\",\"message\":\"\"},"
                            "{\"status\":\"imported\",\"message\":\"\"}]}");
}

static void test_P13_where_nothing_opens_nothing_is_merged(void **state)
{
    static const uint8_t in_file[] = {1, 2};
    (void)state;
    make_import(2, interchange(in_file, 2));
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    pass_network();
    struct a_keys *ask = expect_hold(2, KEYS_HOLD);
    put_item(NULL, A_KEY_ERROR, ERROR_KEYSTORE_PUBKEY);
    put_item(NULL, A_KEY_ERROR, ERROR_DENIED);
    assert_int_equal(give(ask, CC_OK).code, 0);
    expect_nothing();
    assert_non_null(strstr(answer(), "Keystore pubkey does not match decrypted key"));
}

static void test_P13_what_is_here_already_comes_last_and_is_opened_for_its_data(void **state)
{
    static const uint8_t in_file[] = {1, 17}, seventeen[] = {17}, one[] = {1};
    static const uint8_t rest[] = {3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    (void)state;
    make_import(17, interchange(in_file, 2));
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    pass_network();
    struct a_keys *ask = expect_hold(16, KEYS_HOLD);
    for (uint32_t i = 0; i < 16; i++)
        put_item(&ask->is.imports[i].keystore.pubkey, i < 2 ? A_KEY_DUPLICATE : A_KEY_OPENED, 0);
    assert_int_equal(give(ask, CC_OK).code, 0);
    assert_int_equal(give_take(expect_take(rest, 14), A_KEY_IMPORTED).code, 0);
    assert_int_equal(give_import(expect_hold(1, KEYS_HOLD), A_KEY_OPENED).code, 0);
    pass_data(seventeen, 1);
    assert_int_equal(give_take(expect_take(seventeen, 1), A_KEY_IMPORTED).code, 0);
    /* The second has no data and is through; the first comes again, with its keystore. */
    ask = expect_hold(1, KEYS_HOLD | KEYS_KNOWN);
    uint8_t secret[32];
    struct eth_pubkey key;
    assert_int_equal(keystore_open(&ask->is.imports[0].keystore, secret, &key).code, 0);
    assert_int_equal(secret[31], 1);
    assert_int_equal(give_import(ask, A_KEY_OPENED).code, 0);
    pass_data(one, 1);
    assert_int_equal(give_take(expect_take(one, 1), A_KEY_DUPLICATE).code, 0);
    expect_nothing();
    assert_begins(answer(), "{\"data\":[{\"status\":\"duplicate\",\"message\":\"\"},"
                            "{\"status\":\"duplicate\",\"message\":\"\"},{\"status\":\"imported\"");
    assert_null(strstr(answer(), "error"));
}

static void test_what_is_here_already_is_not_asked_for_when_time_is_over(void **state)
{
    static const uint8_t in_file[] = {1, 2}, two[] = {2};
    (void)state;
    make_import(2, interchange(in_file, 2));
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    pass_network();
    struct a_keys *ask = expect_hold(2, KEYS_HOLD);
    put_item(&ask->is.imports[0].keystore.pubkey, A_KEY_DUPLICATE, 0);
    put_item(&ask->is.imports[1].keystore.pubkey, A_KEY_OPENED, 0);
    assert_int_equal(give(ask, CC_OK).code, 0);
    keys_work_stop(work);
    /* What has been opened is taken all the same. */
    pass_data(two, 1);
    assert_int_equal(give_take(expect_take(two, 1), A_KEY_IMPORTED).code, 0);
    expect_nothing();
    assert_begins(answer(), "{\"data\":[{\"status\":\"error\",\"message\":\"The request's time was "
                            "over: ask again\"},{\"status\":\"imported\"");
}

static void test_P15_data_that_is_not_merged_is_the_failure_of_its_keys(void **state)
{
    static const uint8_t in_file[] = {1, 20}, twenty[] = {20};
    uint8_t numbers[16];
    (void)state;
    make_import(20, interchange(in_file, 2));
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    pass_network();
    struct a_keys *ask = expect_hold(16, KEYS_HOLD);
    for (uint32_t i = 0; i < 16; i++)
        put_item(&ask->is.imports[i].keystore.pubkey, i == 1 ? A_KEY_ERROR : A_KEY_OPENED,
                 i == 1 ? ERROR_KEYSTORE_PASSWORD : 0);
    assert_int_equal(give(ask, CC_OK).code, 0);
    struct a_slashing_head head = {.verb = SLASHING_IMPORT};
    (void)expect_slashing(SLASHING_IMPORT);
    items.len = 0;
    assert_int_equal(keys_work_took_slashing(work, CC_FAIL(STORE, NULL), &head, &items).code, 0);
    assert_int_equal(give_import(expect_hold(4, KEYS_HOLD), A_KEY_OPENED).code, 0);
    pass_data(twenty, 1);
    for (uint8_t i = 0; i < 4; i++)
        numbers[i] = (uint8_t)(17 + i);
    ask = expect_take(numbers, 4);
    assert_int_equal(give(ask, CC_FAIL(BUSY, NULL)).code, 0);
    expect_nothing();
    const char *text = answer();
    assert_null(strstr(text, "imported"));
    assert_non_null(strstr(text, "slashing-protection store cannot be used"));
    /* Where nothing else was said of any key it is the request's. */
    make_import(2, interchange(in_file, 1));
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    pass_network();
    assert_int_equal(give_import(expect_hold(2, KEYS_HOLD), A_KEY_OPENED).code, 0);
    (void)expect_slashing(SLASHING_IMPORT);
    cc_err err = keys_work_took_slashing(work, CC_FAIL(STORE, NULL), &head, &items);
    assert_int_equal(error_status(err), 503);
}

static void test_P15_when_the_history_fails_no_keystore_is_asked_for(void **state)
{
    static const uint8_t in_file[] = {1};
    (void)state;
    make_import(1, "{\"metadata\":{\"interchange_format_version\":\"4\"},\"data\":[]}");
    cc_err err = open_work(MANAGER_IMPORT);
    assert_int_equal(error_status(err), 400);
    assert_non_null(strstr(refusal(err), "\"faults\":[\""));
    make_import(1, interchange(in_file, 1));
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    struct a_slashing_head head = {.verb = SLASHING_IMPORT};
    (void)expect_slashing(SLASHING_IMPORT);
    err = keys_work_took_slashing(work, CC_FAIL(WRONG_NETWORK, NULL), &head, &items);
    assert_int_equal(error_status(err), 400);
    assert_non_null(strstr(refusal(err), "genesis_validators_root"));
    assert_int_equal(open_work(MANAGER_LIST).code, 0);
    make_import(1, interchange(in_file, 1));
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    (void)expect_slashing(SLASHING_IMPORT);
    err = keys_work_took_slashing(work, CC_FAIL(STORE, NULL), &head, &items);
    assert_int_equal(error_status(err), 503);
    assert_non_null(strstr(refusal(err), "\"rule\":\"STORE\""));
}

/* Nothing of it is merged; who sent it thinks that it was. */
static void test_P15_data_without_any_keystore_is_read_all_the_same(void **state)
{
    static const uint8_t in_file[] = {1};
    const struct a_slashing_head head = {.verb = SLASHING_IMPORT};
    (void)state;
    make_import(0, "this is no interchange file");
    cc_err err = open_work(MANAGER_IMPORT);
    assert_int_equal(error_status(err), 400);
    assert_non_null(strstr(refusal(err), "\"faults\":[\""));
    make_import(0, interchange(in_file, 1));
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    (void)expect_slashing(SLASHING_IMPORT);
    items.len = 0;
    err = keys_work_took_slashing(work, CC_FAIL(WRONG_NETWORK, NULL), &head, &items);
    assert_int_equal(error_status(err), 400);
    make_import(0, interchange(in_file, 1));
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    pass_network();
    expect_nothing();
    assert_string_equal(answer(), "{\"data\":[]}");
}

static void test_P15_a_keystore_without_a_name_does_not_come_with_history(void **state)
{
    static const uint8_t in_file[] = {1};
    (void)state;
    add("{\"keystores\":[");
    add_keystore(1, false);
    add("],\"passwords\":[\"word\"],\"slashing_protection\":\"");
    add_escaped(span_str(interchange(in_file, 1)));
    add("\"}");
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    pass_network();
    expect_nothing();
    assert_non_null(strstr(answer(), "\"status\":\"error\""));
    assert_non_null(strstr(answer(), "names no pubkey"));
}

static void test_what_fails_before_anything_was_done_refuses_the_request(void **state)
{
    (void)state;
    make_import(20, NULL);
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    struct a_keys *ask = expect_keys();
    assert_int_equal(give(ask, CC_FAIL(BUSY, NULL)).code, ERROR_BUSY);
    make_import(20, NULL);
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    ask = expect_keys();
    assert_int_equal(give(ask, CC_OK).code, ERROR_PROTOCOL); /* no item at all */
}

static void test_what_fails_later_is_its_items_alone(void **state)
{
    (void)state;
    make_import(40, NULL);
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    assert_int_equal(give_import(expect_keys(), A_KEY_IMPORTED).code, 0);
    struct a_keys *ask = expect_keys();
    assert_int_equal(give(ask, CC_FAIL(STATE, NULL)).code, 0);
    assert_int_equal(give_import(expect_keys(), A_KEY_IMPORTED).code, 0);
    expect_nothing();
    const char *text = answer();
    size_t errors = 0;
    for (const char *at = text; (at = strstr(at, "\"status\":\"error\"")); at++)
        errors++;
    assert_int_equal(errors, 16);
    assert_non_null(strstr(text, "the state store cannot be used"));
    /* A core that is gone is asked nothing more. */
    make_import(40, NULL);
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    assert_int_equal(give_import(expect_keys(), A_KEY_IMPORTED).code, 0);
    ask = expect_keys();
    assert_int_equal(give(ask, CC_FAIL(DOOR_CLOSED, NULL)).code, 0);
    expect_nothing();
    assert_non_null(strstr(answer(), "a room of the signer is restarting"));
}

static void test_when_time_is_over_the_rest_is_told_so(void **state)
{
    (void)state;
    make_import(20, NULL);
    assert_int_equal(open_work(MANAGER_IMPORT).code, 0);
    assert_int_equal(give_import(expect_keys(), A_KEY_IMPORTED).code, 0);
    keys_work_stop(work);
    expect_nothing();
    assert_non_null(
        strstr(answer(), "\"status\":\"error\",\"message\":\"The request's time was over"));
}

/* --- delete --------------------------------------------------------------------------------------------------------------- */

static void test_P05_a_delete_exports_what_is_gone_after_the_last_key(void **state)
{
    static const uint8_t numbers[] = {4, 1, 2, 3, 1};
    (void)state;
    make_list(numbers, 5, "");
    assert_int_equal(open_work(MANAGER_DELETE).code, 0);
    struct a_keys *ask = expect_keys();
    assert_int_equal(ask->head.count, 5);
    put_item(&ask->is.keys[0], A_KEY_ERROR, ERROR_STORE);
    put_item(&ask->is.keys[1], A_KEY_DELETED, 0);
    put_item(&ask->is.keys[2], A_KEY_NOT_ACTIVE, 0);
    put_item(&ask->is.keys[3], A_KEY_NOT_FOUND, 0);
    put_item(&ask->is.keys[4], A_KEY_NOT_ACTIVE, 0);
    assert_int_equal(give(ask, CC_OK).code, 0);
    struct eth_pubkey keys[2] = {key_of(1), key_of(2)};
    bool swapped = memcmp(&keys[0], &keys[1], sizeof keys[0]) > 0;
    for (int i = 0; i < 2; i++) {
        const struct a_slashing *walk = expect_slashing(SLASHING_EXPORT);
        struct eth_pubkey before = keys[swapped ? 1 - i : i];
        before.bytes[47]--;
        assert_int_equal(walk->head.scope, SCOPE_DELETE_KEYS);
        assert_true(walk->head.has_key);
        assert_memory_equal(&walk->head.key, &before, sizeof before);
        before.bytes[47]++;
        assert_int_equal(give_export(walk, &before).code, 0);
    }
    expect_nothing();
    const char *text = answer();
    assert_non_null(strstr(text,
                           "{\"data\":[{\"status\":\"error\",\"message\":\"the slashing-protection "
                           "store cannot be used\"},{\"status\":\"deleted\",\"message\":\"\"},"
                           "{\"status\":\"not_active\",\"message\":\"\"},"
                           "{\"status\":\"not_found\",\"message\":\"\"},"
                           "{\"status\":\"not_active\",\"message\":\"\"}],"
                           "\"slashing_protection\":\"{"));
    assert_non_null(strstr(text, hex_of(&keys[0])));
    assert_non_null(strstr(text, hex_of(&keys[1])));
    assert_null(strstr(text, "\n"));
}

static void test_an_export_leaves_out_another_key_that_the_walk_comes_to(void **state)
{
    static const uint8_t numbers[] = {1};
    struct eth_pubkey other = {{0xff}};
    (void)state;
    make_list(numbers, 1, "");
    assert_int_equal(open_work(CHAMBER_DELETE).code, 0);
    struct a_keys *ask = expect_keys();
    put_item(&ask->is.keys[0], A_KEY_DELETED, 0);
    assert_int_equal(give(ask, CC_OK).code, 0);
    assert_int_equal(give_export(expect_slashing(SLASHING_EXPORT), &other).code, 0);
    expect_nothing();
    const char *text = answer();
    struct eth_pubkey key = key_of(1);
    assert_non_null(strstr(text, hex_of(&key))); /* the chamber's form names it */
    assert_null(strstr(text, "0xff"));
    assert_non_null(strstr(text, "\\\"data\\\""));
}

static void test_a_delete_of_nothing_still_has_an_interchange_file(void **state)
{
    (void)state;
    make_list(NULL, 0, "");
    assert_int_equal(open_work(MANAGER_DELETE).code, 0);
    const struct a_slashing *walk = expect_slashing(SLASHING_EXPORT);
    assert_int_equal(walk->head.key.bytes[0], 0xff);
    assert_int_equal(give_export(walk, NULL).code, 0);
    expect_nothing();
    assert_non_null(strstr(answer(), "{\"data\":[],\"slashing_protection\":\"{"));
}

static void test_a_history_without_a_network_has_nothing_to_export(void **state)
{
    const struct a_slashing_head none = {.verb = SLASHING_EXPORT};
    (void)state;
    make_list(NULL, 0, "");
    assert_int_equal(open_work(MANAGER_DELETE).code, 0);
    (void)expect_slashing(SLASHING_EXPORT);
    assert_int_equal(keys_work_took_slashing(work, CC_FAIL(IDENTITY, NULL), &none, &items).code, 0);
    expect_nothing();
    assert_string_equal(answer(),
                        "{\"data\":[],\"slashing_protection\":\"{\\\"metadata\\\":"
                        "{\\\"interchange_format_version\\\":\\\"5\\\"},\\\"data\\\":[]}\"}");
}

static void test_readonly_keys_are_told_so(void **state)
{
    static const uint8_t numbers[] = {1};
    struct a_key_item item = {.error = ERROR_DENIED, .flags = A_KEY_READONLY};
    (void)state;
    make_list(numbers, 1, "");
    assert_int_equal(open_work(MANAGER_DELETE).code, 0);
    struct a_keys *ask = expect_keys();
    item.pubkey = ask->is.keys[0];
    assert_int_equal(buf_append(&items, &item, sizeof item).code, 0);
    assert_int_equal(give(ask, CC_OK).code, 0);
    assert_int_equal(give_export(expect_slashing(SLASHING_EXPORT), NULL).code, 0);
    expect_nothing();
    assert_non_null(strstr(answer(), "\"message\":\"Unable to delete readonly key: 0x"));
}

/* --- lists, changes, pauses ----------------------------------------------------------------------------------------------- */

static void put_listed(uint8_t last, enum a_key_status status, uint8_t flags)
{
    struct a_key_item item = {.pubkey.bytes[47] = last,
                              .source = A_KEY_SQLITE,
                              .status = (uint8_t)status,
                              .flags = flags};
    assert_int_equal(buf_append(&items, &item, sizeof item).code, 0);
}

static cc_err give_list(uint8_t after, bool more)
{
    struct a_keys_head head = {
        .verb = KEYS_LIST, .flags = more ? KEYS_MORE : 0, .after.bytes[47] = after};
    return keys_work_took(work, CC_OK, &head, &items);
}

static void test_a_list_goes_on_where_the_core_says(void **state)
{
    (void)state;
    assert_int_equal(open_work(CHAMBER_LIST).code, 0);
    struct a_keys *ask = expect_keys();
    assert_int_equal(ask->head.flags, 0);
    put_listed(1, A_KEY_ACTIVE, A_KEY_PAUSED);
    assert_int_equal(give_list(5, true).code, 0);
    ask = expect_keys();
    assert_int_equal(ask->head.flags, KEYS_HAS_AFTER);
    assert_int_equal(ask->head.after.bytes[47], 5);
    assert_int_equal(give_list(7, true).code, 0); /* none of these may be seen */
    (void)expect_keys();
    put_listed(9, A_KEY_FAILED, A_KEY_READONLY);
    assert_int_equal(give_list(0, false).code, 0);
    expect_nothing();
    assert_non_null(strstr(answer(),
                           "\"status\":\"active\",\"source\":\"sqlite\",\"readonly\":false,"
                           "\"paused\":true},{\"pubkey\":\"0x"));
    assert_non_null(strstr(answer(),
                           "\"status\":\"failed\",\"source\":\"sqlite\",\"readonly\":true,"
                           "\"paused\":false}],\"paused_all\":false}"));
}

static void test_a_list_of_the_key_manager_leaves_out_what_is_no_key_of_it(void **state)
{
    (void)state;
    assert_int_equal(open_work(MANAGER_LIST).code, 0);
    (void)expect_keys();
    put_listed(1, A_KEY_FAILED, 0);
    put_listed(2, A_KEY_DELETING, 0);
    assert_int_equal(give_list(0, false).code, 0);
    expect_nothing();
    assert_begins(answer(), "{\"data\":[{\"validating_pubkey\":\"0x00");
    assert_non_null(strstr(answer(), "02\",\"derivation_path\":\"\",\"readonly\":false}]}"));
}

static void test_a_list_that_stands_still_is_refused(void **state)
{
    (void)state;
    assert_int_equal(open_work(MANAGER_LIST).code, 0);
    (void)expect_keys();
    put_listed(3, A_KEY_ACTIVE, 0);
    assert_int_equal(give_list(3, true).code, 0);
    (void)expect_keys();
    assert_int_equal(give_list(3, true).code, ERROR_PROTOCOL);
    assert_int_equal(open_work(MANAGER_LIST).code, 0);
    (void)expect_keys();
    put_listed(3, A_KEY_ACTIVE, 0);
    put_listed(3, A_KEY_ACTIVE, 0);
    assert_int_equal(give_list(3, false).code, ERROR_PROTOCOL);
}

static void test_changes_and_pauses(void **state)
{
    static const uint8_t numbers[] = {1, 2, 3};
    (void)state;
    make_list(numbers, 3, ",\"status\":\"inactive\"");
    assert_int_equal(open_work(CHAMBER_SET).code, 0);
    struct a_keys *ask = expect_keys();
    assert_int_equal(ask->head.flags, KEYS_INACTIVE);
    put_item(&ask->is.keys[0], A_KEY_CHANGED, 0);
    put_item(&ask->is.keys[1], A_KEY_UNCHANGED, 0);
    put_item(&ask->is.keys[2], A_KEY_NOT_FOUND, 0);
    assert_int_equal(give(ask, CC_OK).code, 0);
    expect_nothing();
    const char *text = answer();
    assert_non_null(strstr(text, "\"status\":\"inactive\",\"message\":\"\"},{"));
    assert_non_null(strstr(text, "\"status\":\"not_found\",\"message\":\"\"}]}"));
    body.len = 0;
    add("{\"all\":true}");
    assert_int_equal(open_work(CHAMBER_PAUSE).code, 0);
    ask = expect_keys();
    assert_int_equal(ask->head.flags, KEYS_ALL);
    assert_int_equal(ask->head.count, 0);
    assert_int_equal(give(ask, CC_OK).code, 0);
    expect_nothing();
    assert_string_equal(answer(), "{\"data\":[],\"paused_all\":true}");
    make_list(numbers, 1, "");
    assert_int_equal(open_work(CHAMBER_RESUME).code, 0);
    ask = expect_keys();
    put_item(&ask->is.keys[0], A_KEY_CHANGED, 0);
    assert_int_equal(give(ask, CC_OK).code, 0);
    expect_nothing();
    assert_non_null(strstr(answer(), "\"status\":\"resumed\""));
}

/* --- new keys ----------------------------------------------------------------------------------------------------- */

#define BACKUP "-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n"

static struct a_keys_generated mnemonic(void)
{
    struct a_keys_generated made = {
        .session = 77, .genesis_fork_version = {{1, 2, 3, 4}}, .network = "hoodi"};
    made.backup_len = sizeof BACKUP - 1;
    memcpy(made.backup, BACKUP, sizeof BACKUP - 1);
    return made;
}

static cc_err give_made(const struct a_keys *ask, const struct a_keys_generated *made)
{
    const struct a_keys_head head = {.verb = KEYS_GENERATE, .count = ask->head.count};
    items.len = 0;
    assert_int_equal(buf_append(&items, made, sizeof *made).code, 0);
    return keys_work_took(work, CC_OK, &head, &items);
}

static const struct a_keys *begin_generate(const char *text)
{
    body.len = 0;
    add(text);
    assert_int_equal(open_work(CHAMBER_GENERATE).code, 0);
    const struct a_keys *ask = expect_keys();
    assert_int_equal(ask->head.count, 0);
    assert_true(ask->is.generate.session == 0);
    return ask;
}

static void test_new_keys_come_after_their_mnemonic(void **state)
{
    (void)state;
    struct a_keys_generated made = mnemonic();
    const struct a_keys *ask =
        begin_generate("{\"count\":18,\"status\":\"inactive\",\"withdrawal_address\":"
                       "\"0x0102030405060708090a0b0c0d0e0f1011121314\"}");
    assert_int_equal(ask->is.generate.total, 18);
    assert_int_equal(give_made(ask, &made).code, 0);
    for (uint32_t first = 0; first < 18; first += 16) {
        ask = expect_keys();
        assert_true(ask->is.generate.session == 77);
        assert_int_equal(ask->is.generate.first, first);
        assert_int_equal(ask->head.count, first ? 2 : 16);
        assert_int_equal(ask->head.flags, KEYS_INACTIVE);
        made = (struct a_keys_generated){.session = 0};
        for (uint32_t i = 0; i < ask->head.count; i++)
            made.items[i] = (struct a_key_item){.outcome = A_KEY_GENERATED,
                                                .pubkey = key_of((uint8_t)(1 + first + i))};
        if (first) {
            made.items[1] = (struct a_key_item){.outcome = A_KEY_ERROR, .error = ERROR_SEALED};
            made.deposits[1].bytes[0] = 9;
        }
        assert_int_equal(give_made(ask, &made).code, 0);
    }
    expect_nothing();
    const char *text = answer();
    assert_non_null(strstr(text, "\"path\":\"m/12381/3600/16/0/0\",\"deposit_data\":{\"pubkey\":"));
    assert_non_null(strstr(text, "\"fork_version\":\"01020304\",\"network_name\":\"hoodi\""));
    assert_non_null(
        strstr(text, "\"message\":\"the chamber is sealed\",\"path\":\"m/12381/3600/17/0/0\"}]"));
    assert_non_null(
        strstr(text, ",\"backup\":\"-----BEGIN AGE ENCRYPTED FILE-----\\u000aAAAA\\u000a\"}"));
}

static void test_a_mnemonic_that_fails_refuses_the_request(void **state)
{
    (void)state;
    struct a_keys_generated made = mnemonic();
    const struct a_keys *ask = begin_generate("{\"count\":1}");
    made.backup[4] = 0x80;
    assert_true(error_is(give_made(ask, &made), ERROR_PROTOCOL));
    made = mnemonic();
    made.session = 0;
    ask = begin_generate("{\"count\":1}");
    assert_true(error_is(give_made(ask, &made), ERROR_PROTOCOL));
    made = mnemonic();
    memset(made.network, 'x', sizeof made.network);
    ask = begin_generate("{\"count\":1}");
    assert_true(error_is(give_made(ask, &made), ERROR_PROTOCOL));
    made = mnemonic();
    made.backup_len = A_KEYS_BACKUP_MAX + 1;
    ask = begin_generate("{\"count\":1}");
    assert_true(error_is(give_made(ask, &made), ERROR_PROTOCOL));
}

/* The backup is told of, whatever becomes of its keys. */
static void test_what_fails_after_the_mnemonic_is_its_keys_alone(void **state)
{
    (void)state;
    const struct a_keys_head head = {.verb = KEYS_GENERATE};
    const struct a_keys_generated made = mnemonic();
    const struct a_keys *ask = begin_generate("{\"count\":2}");
    assert_int_equal(give_made(ask, &made).code, 0);
    (void)expect_keys();
    items.len = 0;
    assert_int_equal(keys_work_took(work, CC_FAIL(STATE, NULL), &head, &items).code, 0);
    expect_nothing();
    const char *text = answer();
    assert_non_null(strstr(text, "\"status\":\"error\""));
    assert_non_null(strstr(text, "BEGIN AGE"));
    assert_null(strstr(text, "deposit_data"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(test_an_import_goes_in_steps_of_sixteen_and_is_answered_in_order),
        T(test_an_import_of_nothing_asks_nothing),
        T(test_P13_P15_data_goes_between_opening_and_taking_and_only_that_of_what_opened),
        T(test_P13_where_nothing_opens_nothing_is_merged),
        T(test_P13_what_is_here_already_comes_last_and_is_opened_for_its_data),
        T(test_what_is_here_already_is_not_asked_for_when_time_is_over),
        T(test_P15_data_that_is_not_merged_is_the_failure_of_its_keys),
        T(test_P15_when_the_history_fails_no_keystore_is_asked_for),
        T(test_P15_data_without_any_keystore_is_read_all_the_same),
        T(test_P15_a_keystore_without_a_name_does_not_come_with_history),
        T(test_what_fails_before_anything_was_done_refuses_the_request),
        T(test_what_fails_later_is_its_items_alone),
        T(test_when_time_is_over_the_rest_is_told_so),
        T(test_P05_a_delete_exports_what_is_gone_after_the_last_key),
        T(test_an_export_leaves_out_another_key_that_the_walk_comes_to),
        T(test_a_delete_of_nothing_still_has_an_interchange_file),
        T(test_a_history_without_a_network_has_nothing_to_export),
        T(test_readonly_keys_are_told_so),
        T(test_a_list_goes_on_where_the_core_says),
        T(test_a_list_of_the_key_manager_leaves_out_what_is_no_key_of_it),
        T(test_a_list_that_stands_still_is_refused),
        T(test_changes_and_pauses),
        T(test_new_keys_come_after_their_mnemonic),
        T(test_a_mnemonic_that_fails_refuses_the_request),
        T(test_what_fails_after_the_mnemonic_is_its_keys_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
