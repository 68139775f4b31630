/* Work on keys in the audit log (T30): a line for each key, told only when it is written (C7), and no secret in it (C3). */
#include <stdio.h>
#include <string.h>

#include "auth/token.h"
#include "codec/hex.h"
#include "support/key_room.h"
#include "support/test.h"

static struct core_room room;

/* Keys 1 and 2 come from files. */
static void up_with(enum audit_on_failure on_failure, enum audit_level level)
{
    core_room_make(&room);
    room.config->audit.on_failure = on_failure;
    room.config->audit.level = level;
    room.config->auth.mode = AUTH_REPORT;
    room.config->auth.policies.count = 1;
    (void)snprintf(room.config->auth.policies.items[0].name, CONFIG_NAME_MAX, "reader");
    (void)snprintf(room.config->auth.policies.items[0].allowed_scopes, CONFIG_SCOPES_MAX,
                   "list_keys");
    room.config->auth.policies.items[0].has_token = true;
    token_digest(span_str("secret of reader"), room.config->auth.policies.items[0].token_digest);
    room.prepare = core_room_ignore_file_size;
    assert_int_equal(core_room_init(&room), 0);
    core_room_start_vault(&room);
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, 2);
    (void)core_room_await_health(&room, true);
    (void)core_room_await_load(&room);
}

static int up(void **state)
{
    (void)state;
    up_with(AUDIT_REFUSE, AUDIT_ALL);
    return 0;
}

static int down(void **state)
{
    (void)state;
    core_room_remove(&room);
    return 0;
}

/* A key's line, from the operation to the chain's members. */
static void assert_line(const char *operation, unsigned n, const char *rest, unsigned count)
{
    char line[256], digits[2 * sizeof(struct eth_pubkey) + 1] = {0};
    const struct eth_pubkey pubkey = test_pubkey(n);
    hex_encode(pubkey.bytes, sizeof pubkey.bytes, digits);
    (void)snprintf(
        line, sizeof line,
        "\"event\":\"keys\",\"principal\":\"owner\",\"operation\":\"%s\",\"key\":\"0x%s\","
        "\"verdict\":%s,\"segment\"",
        operation, digits, rest);
    assert_int_equal(core_room_log_holds(&room, line), count);
}

static unsigned lines(void)
{
    return core_room_log_holds(&room, "\"event\":\"keys\"");
}

static struct a_keys all_of(enum a_keys_verb verb)
{
    struct a_keys ask = keys_ask(verb);
    ask.head.flags = KEYS_ALL;
    return ask;
}

static struct a_keys inactive(unsigned n)
{
    struct a_keys ask = keys_about(KEYS_SET, n, n);
    ask.head.flags = KEYS_INACTIVE;
    return ask;
}

static void test_T30_each_key_of_a_step_has_a_line(void **state)
{
    (void)state;
    struct a_keys ask = keys_import(3, 5);
    keys_expect(&room, &ask, A_KEY_IMPORTED);
    for (unsigned n = 3; n <= 5; n++)
        assert_line("import", n, "\"OK\",\"outcome\":\"imported\"", 1);
    keys_expect(&room, &ask, A_KEY_DUPLICATE);
    assert_line("import", 4, "\"OK\",\"outcome\":\"duplicate\"", 1);
    ask = inactive(3);
    keys_expect(&room, &ask, A_KEY_CHANGED);
    assert_line("deactivate", 3, "\"OK\",\"outcome\":\"changed\"", 1);
    ask.head.flags = 0;
    keys_expect(&room, &ask, A_KEY_CHANGED);
    assert_line("activate", 3, "\"OK\",\"outcome\":\"changed\"", 1);
    ask = keys_about(KEYS_PAUSE, 1, 1);
    keys_expect(&room, &ask, A_KEY_CHANGED);
    keys_expect(&room, &ask, A_KEY_UNCHANGED);
    assert_line("pause", 1, "\"OK\",\"outcome\":\"changed\"", 1);
    assert_line("pause", 1, "\"OK\",\"outcome\":\"unchanged\"", 1);
    ask.head.verb = KEYS_RESUME;
    keys_expect(&room, &ask, A_KEY_CHANGED);
    assert_line("resume", 1, "\"OK\",\"outcome\":\"changed\"", 1);
    ask = keys_about(KEYS_DELETE, 4, 4);
    keys_expect(&room, &ask, A_KEY_DELETED);
    keys_expect(&room, &ask, A_KEY_NOT_ACTIVE);
    assert_line("delete", 4, "\"OK\",\"outcome\":\"deleted\"", 1);
    assert_line("delete", 4, "\"OK\",\"outcome\":\"not_active\"", 1);
    ask = keys_about(KEYS_DELETE, 2, 2);
    (void)keys_do(&room, &ask);
    assert_line("delete", 2, "\"KEY_READONLY\"", 1);
    assert_int_equal(lines(), 3 + 3 + 1 + 1 + 2 + 1 + 2 + 1);
    ask = keys_ask(KEYS_LIST);
    (void)keys_do(&room, &ask); /* changes nothing */
    assert_int_equal(lines(), 14);
}

static void test_T30_a_pause_of_all_keys_is_one_line(void **state)
{
    (void)state;
    struct a_keys ask = all_of(KEYS_PAUSE);
    assert_int_equal(keys_do(&room, &ask).head.error, 0);
    ask.head.verb = KEYS_RESUME;
    assert_int_equal(keys_do(&room, &ask).head.error, 0);
    assert_int_equal(
        core_room_log_holds(&room,
                            "\"operation\":\"pause\",\"subject\":\"all keys\",\"verdict\":\"OK\""),
        1);
    assert_int_equal(
        core_room_log_holds(&room,
                            "\"operation\":\"resume\",\"subject\":\"all keys\",\"verdict\":\"OK\""),
        1);
    assert_int_equal(lines(), 2);
}

static void test_T30_a_keystore_that_does_not_open_is_written_down(void **state)
{
    (void)state;
    struct a_keys ask = keys_import(3, 4);
    ask.is.imports[0].keystore.password[0] ^= 1;
    ask.is.imports[1].keystore.has_pubkey = 0;
    ask.is.imports[1].keystore.password[0] ^= 1;
    (void)keys_do(&room, &ask);
    assert_line("import", 3, "\"KEYSTORE_PASSWORD\"", 1);
    /* Which key it would have been nobody knows. */
    assert_int_equal(
        core_room_log_holds(&room, "\"operation\":\"import\",\"verdict\":\"KEYSTORE_PASSWORD\""),
        1);
}

static void as_reader(struct a_keys *ask)
{
    ask->head.caller = (struct caller){.token_kind = CALLER_BEARER, .listener = LISTENER_API};
    token_digest(span_str("secret of reader"), ask->head.caller.token);
    ask->head.caller.address[10] = ask->head.caller.address[11] = 0xff;
    ask->head.caller.address[12] = 10;
    ask->head.caller.address[15] = 7;
}

static void test_T30_who_may_not_is_written_down(void **state)
{
    static const char *const names[KEYS_VERB_END] = {
        [KEYS_LIST] = "list_keys",   [KEYS_IMPORT] = "import", [KEYS_DELETE] = "delete",
        [KEYS_SET] = "activate",     [KEYS_PAUSE] = "pause",   [KEYS_RESUME] = "resume",
        [KEYS_GENERATE] = "generate"};
    (void)state;
    for (enum a_keys_verb verb = KEYS_IMPORT; verb < KEYS_VERB_END; verb++) {
        if (!names[verb]) /* KEYS_TAKE: of an import that had its line */
            continue;
        char line[160];
        struct a_keys ask = keys_ask(verb);
        as_reader(&ask);
        assert_int_equal(keys_do(&room, &ask).head.error, ERROR_DENIED);
        (void)snprintf(
            line, sizeof line,
            "\"principal\":\"token:reader\",\"address\":\"10.0.0.7\",\"operation\":\"%s\","
            "\"verdict\":\"DENIED\"",
            names[verb]);
        assert_int_equal(core_room_log_holds(&room, line), 1);
        ask.head.caller = (struct caller){.listener = LISTENER_API};
        assert_int_equal(keys_do(&room, &ask).head.error, ERROR_UNAUTHENTICATED);
        (void)snprintf(
            line, sizeof line,
            "\"principal\":\"anonymous\",\"operation\":\"%s\",\"verdict\":\"UNAUTHENTICATED\"",
            names[verb]);
        assert_int_equal(core_room_log_holds(&room, line), 1);
    }
    struct a_keys ask = keys_ask(KEYS_LIST);
    as_reader(&ask);
    assert_int_equal(keys_do(&room, &ask).head.error, 0);
    assert_int_equal(lines(), 12);
    ask.head.caller = (struct caller){.listener = LISTENER_API};
    assert_int_equal(keys_do(&room, &ask).head.error, ERROR_UNAUTHENTICATED);
    assert_int_equal(
        core_room_log_holds(&room, "\"operation\":\"list\",\"verdict\":\"UNAUTHENTICATED\""), 1);
}

/* The step that opens says nothing of what has opened: the step that takes it does, once. */
static void test_T30_an_import_with_data_is_one_line_a_key(void **state)
{
    (void)state;
    struct a_keys ask = keys_hold(3, 5, 0);
    ask.is.imports[2].keystore.password[0] ^= 1;
    (void)keys_do(&room, &ask);
    assert_int_equal(lines(), 1);
    assert_line("import", 5, "\"KEYSTORE_PASSWORD\"", 1);
    assert_int_equal(keys_merge(&room, 3, 5, 10), 2);
    ask = keys_about(KEYS_TAKE, 3, 4);
    keys_expect(&room, &ask, A_KEY_IMPORTED);
    assert_int_equal(lines(), 3);
    assert_int_equal(core_room_log_holds(&room, "\"event\":\"slashing\""), 1);
    assert_line("import", 4, "\"OK\",\"outcome\":\"imported\"", 1);
}

static void test_T30_the_level_for_administration_has_all_work_on_keys(void **state)
{
    (void)state;
    up_with(AUDIT_REFUSE, AUDIT_ADMIN);
    struct a_keys ask = keys_import(3, 3);
    keys_expect(&room, &ask, A_KEY_IMPORTED);
    ask = keys_about(KEYS_DELETE, 3, 3);
    as_reader(&ask);
    assert_int_equal(keys_do(&room, &ask).head.error, ERROR_DENIED);
    assert_int_equal(lines(), 2);
    ask = keys_ask(KEYS_LIST);
    ask.head.caller = (struct caller){.listener = LISTENER_API};
    assert_int_equal(keys_do(&room, &ask).head.error, ERROR_UNAUTHENTICATED);
    assert_int_equal(core_room_log_holds(&room, "\"verdict\":\"UNAUTHENTICATED\""), 0);
}

/* --- a log that can't be written --------------------------------------------------------------------------------- */

/* The limit is one of all files: the log has to be longer than what the stores write. */
static void fill_log(void)
{
    struct a_keys ask = keys_ask(KEYS_DELETE);
    for (ask.head.count = 0; ask.head.count < A_KEYS_MAX; ask.head.count++)
        memset(&ask.is.keys[ask.head.count], (int)ask.head.count, sizeof *ask.is.keys);
    for (unsigned i = 0; i < 8; i++)
        keys_expect(&room, &ask, A_KEY_NOT_FOUND);
    core_room_fill_log(&room);
}

static void assert_tells_nothing(const struct a_keys *ask)
{
    static const struct a_key_item none;
    const struct a_keys_done done = keys_do(&room, ask);
    assert_int_equal(done.head.error, ERROR_AUDIT);
    assert_int_equal(done.head.count, 0);
    for (unsigned i = 0; i < A_KEYS_MAX; i++)
        assert_memory_equal(&done.items[i], &none, sizeof none);
}

/* The first step that is not written down is not told; what it has done, who asks again is told of. */
static void test_C07_T30_an_import_that_is_not_written_down_is_not_told(void **state)
{
    (void)state;
    fill_log();
    const struct a_keys first = keys_import(3, 3);
    assert_tells_nothing(&first);
    /* From here on nothing is touched. */
    assert_int_equal(core_room_await_health(&room, false).audit_blocks, 1);
    const struct a_keys second = keys_import(4, 4);
    assert_tells_nothing(&second);
    assert_int_equal(keys_listed(&room, 3).source, A_KEY_SQLITE);
    assert_int_equal(keys_listed(&room, 4).source, 0);
    core_room_empty_log(&room);
    assert_int_equal(core_room_await_health(&room, true).audit_blocks, 0);
    keys_expect(&room, &first, A_KEY_DUPLICATE);
    keys_expect(&room, &second, A_KEY_IMPORTED);
    assert_line("import", 3, "\"OK\",\"outcome\":\"imported\"", 0);
    assert_line("import", 4, "\"OK\",\"outcome\":\"imported\"", 1);
    /* The step, and the one that was refused. */
    assert_int_equal(
        core_room_log_holds(&room, "\"event\":\"gap\",\"count\":2,\"verdict\":\"AUDIT\""), 1);
}

static void test_C07_T30_P05_a_delete_that_is_not_written_down_is_not_told(void **state)
{
    (void)state;
    struct a_keys ask = keys_import(3, 4);
    keys_expect(&room, &ask, A_KEY_IMPORTED);
    fill_log();
    const struct a_keys first = keys_about(KEYS_DELETE, 3, 3);
    assert_tells_nothing(&first);
    (void)core_room_await_health(&room, false);
    const struct a_keys second = keys_about(KEYS_DELETE, 4, 4);
    assert_tells_nothing(&second);
    assert_int_equal(keys_listed(&room, 3).source, 0);
    assert_int_equal(keys_listed(&room, 4).status, A_KEY_ACTIVE);
    core_room_empty_log(&room);
    (void)core_room_await_health(&room, true);
    keys_expect(&room, &first, A_KEY_NOT_ACTIVE);
    keys_expect(&room, &second, A_KEY_DELETED);
    const struct a_sign request = test_object(3, KIND_RANDAO_REVEAL, 3);
    assert_int_equal(core_room_sign(&room, &request).error, ERROR_KEY_UNKNOWN);
}

/* A pause only takes away: it holds, though it is not told, and it can't be taken back so. */
static void test_C07_T30_a_pause_holds_though_it_is_not_written_down(void **state)
{
    (void)state;
    struct a_keys ask = all_of(KEYS_PAUSE);
    fill_log();
    ask.head.verb = KEYS_RESUME;
    assert_tells_nothing(&ask);
    (void)core_room_await_health(&room, false);
    ask.head.verb = KEYS_PAUSE;
    assert_tells_nothing(&ask);
    ask.head.verb = KEYS_RESUME;
    assert_tells_nothing(&ask);
    const struct a_keys set = inactive(1);
    assert_tells_nothing(&set);
    core_room_empty_log(&room);
    (void)core_room_await_health(&room, true);
    const struct a_sign request = test_object(1, KIND_RANDAO_REVEAL, 3);
    assert_int_equal(core_room_sign(&room, &request).error, ERROR_PAUSED);
    assert_int_equal(keys_do(&room, &ask).head.error, 0);
    assert_int_equal(core_room_sign(&room, &request).error, 0);
}

static void test_C07_it_may_be_told_to_go_on(void **state)
{
    (void)state;
    up_with(AUDIT_CONTINUE, AUDIT_ALL);
    fill_log();
    struct a_keys ask = keys_import(3, 4);
    keys_expect(&room, &ask, A_KEY_IMPORTED);
    ask = keys_about(KEYS_DELETE, 3, 4);
    keys_expect(&room, &ask, A_KEY_DELETED);
    core_room_empty_log(&room);
    while (!core_room_log_holds(&room, "\"event\":\"gap\",\"count\":4"))
        (void)core_room_await_health(&room, true);
}

/* --- secrets ------------------------------------------------------------------------------------------------------- */

static void test_C03_no_secret_of_a_keystore_is_in_the_log(void **state)
{
    static const char password[] = "an easy one"; /* test_keystore() */
    uint8_t secret[32];
    char digits[2 * sizeof secret + 1] = {0};
    (void)state;
    struct a_keys ask = keys_import(3, 4);
    assert_memory_equal(ask.is.imports[0].keystore.password, password, sizeof password - 1);
    ask.is.imports[1].keystore.checksum[0] ^= 1;
    (void)keys_do(&room, &ask);
    assert_int_equal(lines(), 2);
    assert_int_equal(core_room_log_holds(&room, password), 0);
    for (unsigned n = 3; n <= 4; n++) {
        test_secret(n, secret);
        hex_encode(secret, sizeof secret, digits);
        assert_int_equal(core_room_log_holds(&room, digits), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name)   cmocka_unit_test_setup_teardown(name, up, down)
#define OWN(name) cmocka_unit_test_teardown(name, down)
        T(test_T30_each_key_of_a_step_has_a_line),
        T(test_T30_a_pause_of_all_keys_is_one_line),
        T(test_T30_a_keystore_that_does_not_open_is_written_down),
        T(test_T30_who_may_not_is_written_down),
        T(test_T30_an_import_with_data_is_one_line_a_key),
        OWN(test_T30_the_level_for_administration_has_all_work_on_keys),
        T(test_C07_T30_an_import_that_is_not_written_down_is_not_told),
        T(test_C07_T30_P05_a_delete_that_is_not_written_down_is_not_told),
        T(test_C07_T30_a_pause_holds_though_it_is_not_written_down),
        OWN(test_C07_it_may_be_told_to_go_on),
        T(test_C03_no_secret_of_a_keystore_is_in_the_log),
#undef OWN
#undef T
    };
    core_room_reserve_metrics();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
