#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"

#include "config/config.h"
#include "config/config_table.h"
#include "support/snapshot.h"
#include "support/test.h"

static struct config config;
static struct config_faults faults;

static void forget(void)
{
    buf_release(&faults.text);
}

static const char *fault_text(void)
{
    cc_err err = buf_append(&faults.text, "", 1);
    assert_int_equal(err.code, 0);
    return (const char *)faults.text.data;
}

static char file_name[64];

static void write_file(const char *text)
{
    (void)snprintf(file_name, sizeof file_name, "test-config-%d.yaml", (int)getpid());
    cc_err err = file_write_durable(file_name, span_str(text), false);
    assert_int_equal(err.code, 0);
}

static cc_err load_text(const char *text)
{
    forget();
    write_file(text);
    cc_err err = config_load(file_name, NULL, NULL, 0, &config, &faults);
    (void)unlink(file_name);
    return err;
}

static cc_err load_environment(const char *const *environment)
{
    forget();
    /* config_load() takes what main() is given, and that is not const */
    return config_load(NULL, (char *const *)(uintptr_t)environment, NULL, 0, &config, &faults);
}

static cc_err load_override(const char *path, const char *value)
{
    forget();
    struct config_override override = {path, value, "--set"};
    return config_load(NULL, NULL, &override, 1, &config, &faults);
}

static void loads(const char *text)
{
    if (load_text(text).code)
        fail_msg("refused: %s", fault_text());
}

static void refuses(const char *text, const char *expected)
{
    assert_true(error_is(load_text(text), ERROR_CONFIG));
    const char *shown = fault_text();
    if (!strstr(shown, expected))
        fail_msg("expected \"%s\" in: %s", expected, shown);
    assert_true(strncmp(shown, file_name, strlen(file_name)) == 0);
}

static void test_defaults_are_those_that_are_promised(void **state)
{
    (void)state;
    config_defaults(&config);
    assert_string_equal(config.data_dir, "/var/lib/containment-chamber");
    assert_string_equal(config.server.listen_address, "127.0.0.1");
    assert_int_equal(config.server.listen_port, 9000);
    assert_string_equal(config.metrics.listen_address, "127.0.0.1");
    assert_int_equal(config.metrics.listen_port, 3000);
    assert_int_equal(config.server.drain_seconds, 25);
    assert_int_equal(config.server.host_allowlist.count, 3);
    assert_string_equal(config.server.host_allowlist.items[2], "[::1]");
    assert_int_equal(config.anti_slashing.backend, HISTORY_SQLITE);
    assert_int_equal(config.anti_slashing.max_future_epochs, 2);
    assert_int_equal(config.anti_slashing.pruning_keep_epochs, 250);
    assert_int_equal(config.signing.engine, SIGNING_BLST); /* the fast ones are opt-in */
    assert_int_equal(config.auth.open_operations.count, 1);
    assert_int_equal(config.logging.level, LOG_LEVEL_INFO);
    assert_int_equal(config.logging.format, LOG_STYLE_JSON);
}

static void test_a_file_sets_every_type(void **state)
{
    (void)state;
    loads("data_dir: /srv/cc\n"
          "server:\n"
          "  listen_address: \"::1\"\n"
          "  listen_port: 9001\n"
          "  host_allowlist: [signer.example, '*']\n"
          "network: sepolia\n"
          "network_overrides: { GLOAS_FORK_EPOCH: 353024 }\n"
          "genesis_time: 18446744073709551615\n"
          "key_sources: { filesystem: { paths: [/keys/a, /keys/b], strict_permissions: true } }\n"
          "anti_slashing: { pruning: { enabled: false } }\n"
          "logging: { level: debug, format: text }\n");
    assert_string_equal(config.data_dir, "/srv/cc");
    assert_string_equal(config.server.listen_address, "::1");
    assert_int_equal(config.server.listen_port, 9001);
    assert_int_equal(config.server.host_allowlist.count, 2);
    assert_string_equal(config.server.host_allowlist.items[1], "*");
    assert_string_equal(config.network.network, "sepolia");
    assert_string_equal(config.network.overrides.items[0], "GLOAS_FORK_EPOCH=353024");
    assert_true(config.network.genesis_time == UINT64_MAX);
    assert_int_equal(config.key_sources.filesystem.path_count, 2);
    assert_string_equal(config.key_sources.filesystem.paths[1], "/keys/b");
    assert_true(config.key_sources.filesystem.strict_permissions);
    assert_false(config.anti_slashing.pruning_enabled);
    assert_int_equal(config.logging.level, LOG_LEVEL_DEBUG);
    assert_int_equal(config.logging.format, LOG_STYLE_TEXT);
}

static void test_an_empty_file_or_section_is_the_defaults(void **state)
{
    (void)state;
    struct config defaults;
    config_defaults(&defaults);
    loads("");
    assert_memory_equal(&config, &defaults, sizeof config);
    loads("# nothing\nserver:\n");
    assert_memory_equal(&config, &defaults, sizeof config);
}

static void test_faults_name_file_line_and_path(void **state)
{
    (void)state;
    refuses("server:\n  listen_prt: 1\n",
            ".yaml:2: server.listen_prt: unknown option; did you mean server.listen_port?");
    refuses("a: 1\n", ".yaml:1: a: unknown option\n");
    refuses("server:\n  listen_port: nine\n", ".yaml:2: server.listen_port: is not a number");
    refuses("server:\n  listen_port: 65536\n", ".yaml:2: server.listen_port: is out of range");
    refuses("server:\n  listen_port: -1\n", ".yaml:2: server.listen_port: is not a number");
    refuses("server:\n  listen_port: 99999999999999999999999\n", "is out of range");
    refuses("server:\n  listen_port: \"9000\"\n", "is text; write it without quotes");
    refuses("server:\n  listen_port: [1]\n", "is not a single value");
    refuses("server:\n  listen_port:\n", "has no value");
    refuses("server:\n  listen_address: localhost\n", "is not an IPv4 or IPv6 address");
    refuses("server: 7\n", ".yaml:1: server: is a section");
    refuses("server: [1]\n", ".yaml:1: server: is a section");
    refuses("server:\n  host_allowlist: localhost\n", "is not a list");
    refuses("server:\n  host_allowlist: [[a]]\n", "has an item that is not plain text");
    refuses("server:\n  host_allowlist: ['']\n", "has an empty item");
    refuses("network_overrides: [A]\n", "is not a mapping");
    refuses("network_overrides: { 'A B': 1 }\n", "needs a name and a value");
    refuses("data_dir: ''\n", "must not be empty");
    refuses("logging: { level: loud }\n", "is not one of the values");
    refuses("anti_slashing:\n  pruning: { enabled: yes }\n",
            ".yaml:2: anti_slashing.pruning.enabled: is neither true");
    refuses("genesis_validators_root: 0x12\n", "is not 0x and 64 hex digits");
    refuses("- a\n", ".yaml:1: is not a mapping of options");
    refuses("\"server.listen_port\": 1\n", "has a key that no option has");
    refuses("server: { listen_port: 1\n", ".yaml:");
}

static void test_a_duplicate_key_is_refused_with_its_line(void **state)
{
    (void)state;
    refuses("server:\n  listen_port: 1\n  listen_port: 2\n", ".yaml:3: ");
    refuses("network: mainnet\nserver: {}\nnetwork: hoodi\n", ".yaml:3: ");
}

static void test_all_faults_are_collected(void **state)
{
    (void)state;
    assert_true(
        error_is(load_text("x: 1\nserver: { listen_port: a, y: 2 }\nlogging: { format: xml }\n"),
                 ERROR_CONFIG));
    assert_int_equal(faults.count, 4);
}

static void test_a_list_that_is_too_long_is_refused(void **state)
{
    (void)state;
    refuses("server:\n  host_allowlist: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]\n",
            "has more than 16 items");
}

static void test_text_that_is_too_long_or_has_control_characters_is_refused(void **state)
{
    (void)state;
    char text[700];
    (void)snprintf(text, sizeof text, "data_dir: /%0600d\n", 1);
    refuses(text, "data_dir: is too long");
    refuses("data_dir: \"/a\\nb\"\n", "has a control character in it");
    refuses("data_dir: \"/a\\0b\"\n", "has a control character in it");
}

static void test_options_of_other_releases_are_named(void **state)
{
    (void)state;
    refuses("tls: { mode: file }\n", ".yaml:1: tls: is not in this release");
    refuses("key_sources:\n  dynamodb: { table: t }\n",
            ".yaml:2: key_sources.dynamodb: is not in this release");
    refuses("anti_slashing: { backend: dynamodb }\n", "takes: one of sqlite, postgres, noop");
    refuses("auth: { mode: enforce }\n", "auth.mode: is not one of the values");
    loads("key_sources: { filesystem: { raw_load_concurrency: 128 } }\n");
    assert_int_equal(faults.warnings, 1);
}

static void test_an_unreadable_file_is_a_fault(void **state)
{
    (void)state;
    forget();
    assert_true(
        error_is(config_load("does/not/exist", NULL, NULL, 0, &config, &faults), ERROR_CONFIG));
    assert_non_null(strstr(fault_text(), "does/not/exist: cannot be read"));
}

static void test_noop_needs_its_long_name(void **state)
{
    (void)state;
    refuses("anti_slashing:\n  backend: noop\n",
            ".yaml:2: anti_slashing.backend: noop keeps no history");
    loads("anti_slashing: { backend: noop, i_accept_slashing_risk: true }\n");
    assert_int_equal(config.anti_slashing.backend, HISTORY_NOOP);
}

static void test_engines_have_their_names(void **state)
{
    static const struct {
        const char *text;
        enum signing_engine engine;
    } cases[] = {{"signing: { engine: blst }\n", SIGNING_BLST},
                 {"signing: { engine: auto }\n", SIGNING_AUTO},
                 {"signing: { engine: fixed_base }\n", SIGNING_FIXED_BASE},
                 {"signing: { engine: ifma }\n", SIGNING_IFMA}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        loads(cases[i].text);
        assert_int_equal(config.signing.engine, cases[i].engine);
    }
    refuses("signing: { engine: avx512 }\n", "takes: one of blst, auto, fixed_base, ifma");
    refuses("signing: { engine: BLST }\n", "takes: one of blst");
}

/* The password of a database is in no output, and in no argument. */
static void test_a_database_url_is_kept_secret(void **state)
{
    (void)state;
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    refuses("anti_slashing: { backend: postgres }\n", "postgres needs anti_slashing.url");
    loads("anti_slashing: { backend: postgres, url: 'postgresql://u:hush@h/d', pool_size: 4 }\n");
    assert_int_equal(faults.warnings, 1);
    assert_int_equal(config.anti_slashing.backend, HISTORY_POSTGRES);
    assert_string_equal(config.anti_slashing.url, "postgresql://u:hush@h/d");
    assert_int_equal(config_dump(&config, &text).code, 0);
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    assert_null(strstr((const char *)text.data, "hush"));
    assert_non_null(strstr((const char *)text.data, "url: \"********\""));
    assert_true(
        error_is(load_override("anti_slashing.url", "postgresql://u:hush@h/d"), ERROR_CONFIG));
    assert_non_null(strstr(fault_text(), "not taken from a flag"));
    assert_null(strstr(fault_text(), "hush"));
}

static void test_open_operations_must_exist(void **state)
{
    (void)state;
    loads("auth: { open_operations: ['*', VOLUNTARY_EXIT] }\n");
    loads("auth: { open_operations: [all] }\n");
    refuses("auth:\n  open_operations: ['*', VOLUNTARY_EXITS]\n",
            ".yaml:2: auth.open_operations: item 2 is not");
}

static void test_sighup_takes_only_what_is_reloadable(void **state)
{
    (void)state;
    static struct config fresh;
    config_defaults(&config);
    config_defaults(&fresh);
    fresh.logging.level = LOG_LEVEL_DEBUG;
    fresh.server.listen_port = 1;
    fresh.anti_slashing.max_future_epochs = 9;
    CC_CLEANUP(buf_release) struct buf fixed = buf_init(4096);
    config_take_reloadable(&config, &fresh, &fixed);
    assert_int_equal(config.logging.level, LOG_LEVEL_DEBUG);
    assert_int_equal(config.server.listen_port, 9000);
    assert_int_equal(config.anti_slashing.max_future_epochs, 2);
    assert_true(span_is(buf_span(&fixed), "server.listen_port anti_slashing.max_future_epochs"));
}

static void test_the_environment_overrides_the_file(void **state)
{
    (void)state;
    char *environment[] = {(char[]){"CONTAINMENT_SERVER__LISTEN_PORT=9002"},
                           (char[]){"CONTAINMENT_NETWORK=hoodi"},
                           (char[]){"CONTAINMENT_KEY_SOURCES__FILESYSTEM__PATHS=/a,/b"},
                           (char[]){"CONTAINMENT_NETWORK_OVERRIDES__GLOAS_FORK_EPOCH=7"},
                           (char[]){"HOME=/root"},
                           NULL};
    forget();
    write_file(
        "server: { listen_port: 9001 }\nnetwork: sepolia\nnetwork_overrides: { FULU_FORK_EPOCH: 5 }\n");
    struct config_override override = {"network", "mainnet", "--network"};
    cc_err err = config_load(file_name, environment, &override, 1, &config, &faults);
    (void)unlink(file_name);
    assert_int_equal(err.code, 0);
    assert_int_equal(config.server.listen_port, 9002);
    assert_string_equal(config.network.network, "mainnet"); /* a flag overrides the environment */
    assert_int_equal(config.key_sources.filesystem.path_count, 2);
    assert_string_equal(config.key_sources.filesystem.paths[0], "/a");
    assert_int_equal(config.network.overrides.count, 2);
    assert_string_equal(config.network.overrides.items[1], "GLOAS_FORK_EPOCH=7");
}

static void test_unknown_names_of_the_environment(void **state)
{
    (void)state;
    const char *stranger[] = {"CONTAINMENT_IMAGE=x", "CONTAINMENT_=x", "CONTAINMENT_SERVER=x",
                              NULL};
    assert_int_equal(load_environment(stranger).code, 0);
    assert_int_equal(faults.warnings, 3);

    const char *unknown[] = {"CONTAINMENT_SERVER__LISTEN_PRT=1", NULL};
    assert_true(error_is(load_environment(unknown), ERROR_CONFIG));
    assert_non_null(
        strstr(fault_text(), "CONTAINMENT_SERVER__LISTEN_PRT: server.listen_prt: unknown option"));

    const char *later[] = {"CONTAINMENT_TLS__MODE=file", NULL};
    assert_true(error_is(load_environment(later), ERROR_CONFIG));
    assert_non_null(
        strstr(fault_text(), "CONTAINMENT_TLS__MODE: tls.mode: is not in this release"));

    const char *wrong[] = {"CONTAINMENT_SERVER__LISTEN_PORT=nine", NULL};
    assert_true(error_is(load_environment(wrong), ERROR_CONFIG));
}

static void test_overrides_are_checked_like_the_file(void **state)
{
    (void)state;
    assert_int_equal(load_override("server.host_allowlist", "").code, 0);
    assert_int_equal(config.server.host_allowlist.count, 0);
    assert_int_equal(load_override("network_overrides", "A=1,B=2,A=3").code, 0);
    assert_int_equal(config.network.overrides.count, 2);
    assert_string_equal(config.network.overrides.items[0], "A=3");
    assert_true(error_is(load_override("network_overrides", "A"), ERROR_CONFIG));
    assert_true(error_is(load_override("server.listen_port", "70000"), ERROR_CONFIG));
    assert_non_null(strstr(fault_text(), "--set: server.listen_port: is out of range"));
    assert_true(error_is(load_override("nothing", "1"), ERROR_CONFIG));
}

/* No option is about syncing; the history is always a file; and the one exception has its long name. */
static void test_P01_no_option_weakens_durability(void **state)
{
    (void)state;
    static const char *const words[] = {"sync",   "durab",  "journal", "wal",   "flush",
                                        "commit", "memory", "pragma",  "cache", "unsafe"};
    for (size_t i = 0; i < config_row_count; i++)
        for (size_t w = 0; w < ARRAY_LEN(words); w++)
            if (strstr(config_rows[i].path, words[w]))
                fail_msg("%s looks like a switch of durability", config_rows[i].path);

    const struct config_row *backend = config_row_find("anti_slashing.backend");
    assert_string_equal(backend->choices, "sqlite|postgres|noop");

    static const char *const not_files[] = {":memory:", "file::memory:", "file:x?mode=memory",
                                            ":x"};
    for (size_t i = 0; i < ARRAY_LEN(not_files); i++) {
        assert_true(error_is(load_override("anti_slashing.path", not_files[i]), ERROR_CONFIG));
        assert_true(error_is(load_override("data_dir", not_files[i]), ERROR_CONFIG));
    }
    /* Every single value of every option, one at a time, still leaves a durable history or is refused. */
    for (size_t i = 0; i < config_row_count; i++) {
        char choices[128];
        (void)snprintf(choices, sizeof choices, "%s|true|false|0|1", config_rows[i].choices);
        for (char *rest = choices, *value = strsep(&rest, "|"); value; value = strsep(&rest, "|"))
            if (!load_override(config_rows[i].path, value).code)
                assert_int_equal(config.anti_slashing.backend, HISTORY_SQLITE);
    }
}

static void test_each_row_is_documented_and_its_default_is_in_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        size_t len = strlen(row->doc);
        assert_true(len > 10 && row->doc[len - 1] == '.');
        assert_ptr_equal(config_row_find(row->path), row);
        assert_false(config_is_later(row->path));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(row->path, config_rows[j].path);
        assert_int_equal(load_override(row->path, row->default_text).code, 0);
    }
}

static void test_dump_and_example_load_again(void **state)
{
    (void)state;
    static struct config before;
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    loads(
        "data_dir: '/a \"b\" \\c'\nnetwork_overrides: { A: 1, B: 2 }\nserver: { listen_port: 1, host_allowlist: [] }\n");
    before = config;
    assert_int_equal(config_dump(&config, &text).code, 0);
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    loads((const char *)text.data);
    assert_memory_equal(&config, &before, sizeof config);

    CC_CLEANUP(buf_release) struct buf example = buf_init(1 << 16);
    assert_int_equal(config_example(&example).code, 0);
    assert_int_equal(buf_append(&example, "", 1).code, 0);
    loads((const char *)example.data);
    config_defaults(&before);
    assert_memory_equal(&config, &before, sizeof config);
}

/* docs/config.md is made by `containment-chamber config document`. */
static void test_the_documentation_is_what_the_table_says(void **state)
{
    (void)state;
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 18);
    assert_int_equal(config_document(&text).code, 0);
    snapshot_check("docs/config.md", &text);
}

static bool flag_is(const char *flag, const char *path)
{
    const char *found = config_path_of_flag(span_str(flag));
    return path ? found && strcmp(found, path) == 0 : found == NULL;
}

static void test_each_option_has_its_flag(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_row_count; i++) {
        char flag[128];
        (void)snprintf(flag, sizeof flag, "%s", config_rows[i].path);
        for (char *at = flag; *at; at++)
            if (*at == '.' || *at == '_')
                *at = '-';
        assert_true(flag_is(flag, config_rows[i].path));
    }
    assert_true(flag_is("anti-slashing-sqlite-path", "anti_slashing.path"));
    assert_true(flag_is("tls-mode", "tls"));
    assert_true(flag_is("signer-state-backend", "signer_state"));
    assert_true(flag_is("", NULL));
    assert_true(flag_is("server", NULL));
    assert_true(flag_is("server-listen-ports", NULL));
    assert_true(flag_is("server.listen_port", NULL));
    assert_true(flag_is("tlsmode", NULL));
}

static int release(void **state)
{
    (void)state;
    forget();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_those_that_are_promised),
        cmocka_unit_test(test_a_file_sets_every_type),
        cmocka_unit_test(test_an_empty_file_or_section_is_the_defaults),
        cmocka_unit_test(test_faults_name_file_line_and_path),
        cmocka_unit_test(test_a_duplicate_key_is_refused_with_its_line),
        cmocka_unit_test(test_all_faults_are_collected),
        cmocka_unit_test(test_a_list_that_is_too_long_is_refused),
        cmocka_unit_test(test_text_that_is_too_long_or_has_control_characters_is_refused),
        cmocka_unit_test(test_options_of_other_releases_are_named),
        cmocka_unit_test(test_an_unreadable_file_is_a_fault),
        cmocka_unit_test(test_noop_needs_its_long_name),
        cmocka_unit_test(test_engines_have_their_names),
        cmocka_unit_test(test_a_database_url_is_kept_secret),
        cmocka_unit_test(test_open_operations_must_exist),
        cmocka_unit_test(test_sighup_takes_only_what_is_reloadable),
        cmocka_unit_test(test_the_environment_overrides_the_file),
        cmocka_unit_test(test_unknown_names_of_the_environment),
        cmocka_unit_test(test_overrides_are_checked_like_the_file),
        cmocka_unit_test(test_P01_no_option_weakens_durability),
        cmocka_unit_test(test_each_row_is_documented_and_its_default_is_in_range),
        cmocka_unit_test(test_dump_and_example_load_again),
        cmocka_unit_test(test_the_documentation_is_what_the_table_says),
        cmocka_unit_test(test_each_option_has_its_flag),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
