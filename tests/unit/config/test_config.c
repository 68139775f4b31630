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
    assert_int_equal(config.anti_slashing.quarantine_epochs, 2);
    assert_int_equal(config.anti_slashing.on_new_timeline, TIMELINE_VERIFY);
    assert_false(config.anti_slashing.shared_with_web3signer);
    assert_true(config.anti_slashing.auto_migrate);
    assert_int_equal(config.signer_state.backend, STATE_SQLITE);
    assert_int_equal(config.signer_state.refresh_interval_seconds, 1);
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
    (void)snprintf(text, sizeof text, "data_dir: /%096d\n", 1); /* with "/admin.sock": 108 */
    refuses(text, "data_dir: is too long for the admin socket in it (107 bytes)");
    refuses("data_dir: \"/a\\nb\"\n", "has a control character in it");
    refuses("data_dir: \"/a\\0b\"\n", "has a control character in it");
}

static void test_tls_wants_one_pair_and_a_port(void **state)
{
    (void)state;
    refuses("tls: { mode: file }\n", "tls.mode: file needs tls.file.cert_path and key_path");
    refuses("tls: { mode: file, file: { cert_path: /a } }\n", "cert_path and key_path go together");
    refuses("tls: { file: { key_path: /a } }\n", "cert_path and key_path go together");
    refuses("tls: { file: { cert_path: /a, key_path: /b, pkcs12_path: /c } }\n",
            "takes the place of cert_path and key_path");
    refuses("tls: { file: { password: secret } }\n", "use env:NAME or file:PATH");
    refuses("tls: { mode: file, listen_port: 9000, file: { pkcs12_path: /c } }\n",
            "is server.listen_port too");
    refuses("tls: { file: { client_auth: maybe } }\n", "tls.file.client_auth");
}

static void test_tracing(void **state)
{
    (void)state;
    loads("tracing: { otlp_endpoint: 'https://collector.example:4318', sample_ratio: 0.25, "
          "ca_path: /etc/ca.pem }\n");
    assert_int_equal(config.tracing.sample_millionths, 250000);
    loads("tracing: { otlp_endpoint: 'http://127.0.0.1:4318' }\n");
    assert_int_equal(config.tracing.sample_millionths, 10000);
    loads("tracing: { otlp_endpoint: 'http://collector.example', allow_plaintext: true }\n");
    refuses("tracing: { otlp_endpoint: 'http://collector.example' }\n",
            "tracing.otlp_endpoint: is in the clear");
    refuses("tracing: { otlp_endpoint: x }\n", "begins with neither https:// nor http://");
    refuses("tracing: { otlp_endpoint: 'http://127.0.0.1', ca_path: /etc/ca.pem }\n",
            "tracing.ca_path: is of no use without https://");
}

static void test_ratios_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t millionths;
        const char *shown;
    } taken[] = {{"0", 0, "0"},
                 {"1", 1000000, "1"},
                 {"1.000000", 1000000, "1"},
                 {"0.000001", 1, "0.000001"},
                 {"0.5", 500000, "0.5"},
                 {"0.050", 50000, "0.05"}};
    static const char *const refused[] = {"",          ".",    ".5",  "1.",   "-0.5", "0.5 ",
                                          "0,5",       "1.1",  "2",   "0x1",  "1e-1", "0.0000001",
                                          "1.0000001", "0.-1", "50%", "0..5", "nan"};
    const struct config_row *row = config_row_find("tracing.sample_ratio");
    static struct config ratio;
    for (size_t i = 0; i < ARRAY_LEN(taken); i++) {
        CC_CLEANUP(buf_release) struct buf text = buf_init(64);
        assert_int_equal(config_value_set(&ratio, row, span_str(taken[i].text)).code, 0);
        assert_int_equal(ratio.tracing.sample_millionths, taken[i].millionths);
        assert_int_equal(config_value_text(&ratio, row, &text).code, 0);
        assert_true(span_is(buf_span(&text), taken[i].shown));
    }
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_true(error_is(config_value_set(&ratio, row, span_str(refused[i])), ERROR_CONFIG));
    assert_int_equal(ratio.tracing.sample_millionths, 50000);
}

static void test_options_of_other_releases_are_named(void **state)
{
    (void)state;
    refuses("anti_slashing: { force_ipv4: true }\n",
            "anti_slashing.force_ipv4: is not in this release");
    refuses("key_sources:\n  dynamodb: { status_filter: [active] }\n",
            ".yaml:2: key_sources.dynamodb.status_filter: is not in this release");
    refuses("anti_slashing: { backend: mysql }\n",
            "takes: one of sqlite, postgres, dynamodb, noop");
    refuses("anti_slashing: { backend: dynamodb }\n", "dynamodb needs anti_slashing.table");
    refuses("auth: { mode: closed }\n", "auth.mode: is not one of the values");
    refuses("auth: { owner_keys: [alice=00] }\n", "auth.owner_keys: are of no use without TLS");
    loads("key_sources: { filesystem: { raw_load_concurrency: 128 } }\n");
    assert_int_equal(faults.warnings, 1);
}

/* The older form: what is kept is which variable the token stands in, and its digest. */
static void test_auth_policies_are_read(void **state)
{
    static const char text[] =
        "auth_policies:\n"
        "  vc1: { token: env:VC1_TOKEN, allowed_scopes: [sign, public_keys] }\n"
        "  rest: { denied_scopes: [sign] }\n"
        "unauthenticated_policy: rest\n";
    static const char *const environment[] = {"VC1_TOKEN=0123456789abcdef", NULL};
    static const uint8_t digest[4] = {0x9f, 0x9f, 0x51, 0x11};
    (void)state;
    forget();
    write_file(text);
    cc_err err =
        config_load(file_name, (char *const *)(uintptr_t)environment, NULL, 0, &config, &faults);
    (void)unlink(file_name);
    assert_int_equal(err.code, 0);
    const struct static_policies *policies = &config.auth.policies;
    assert_int_equal(policies->count, 2);
    assert_string_equal(policies->items[0].name, "vc1");
    assert_string_equal(policies->items[0].allowed_scopes, "sign,public_keys");
    assert_string_equal(policies->items[0].token, "env:VC1_TOKEN");
    assert_true(policies->items[0].has_token);
    assert_memory_equal(policies->items[0].token_digest, digest, sizeof digest);
    assert_string_equal(policies->items[1].denied_scopes, "sign");
    assert_false(policies->items[1].has_token);
    assert_string_equal(config.auth.unauthenticated_policy, "rest");

    CC_CLEANUP(buf_release) struct buf dump = buf_init(1 << 16);
    assert_int_equal(config_dump(&config, &dump).code, 0);
    assert_int_equal(buf_append(&dump, "", 1).code, 0);
    const char *shown = (const char *)dump.data;
    assert_null(strstr(shown, "0123456789abcdef"));
    assert_non_null(strstr(shown, "{\"vc1\": {token: \"env:VC1_TOKEN\", allowed_scopes: "
                                  "[sign,public_keys]}, \"rest\": {denied_scopes: [sign]}}"));
    loads(strstr(shown, "unauthenticated_policy")); /* a dump is a configuration */
}

static void refuses_with(const char *text, const char *const *environment, const char *expected)
{
    forget();
    write_file(text);
    cc_err err =
        config_load(file_name, (char *const *)(uintptr_t)environment, NULL, 0, &config, &faults);
    (void)unlink(file_name);
    assert_true(error_is(err, ERROR_CONFIG));
    const char *shown = fault_text();
    if (!strstr(shown, expected))
        fail_msg("expected \"%s\" in: %s", expected, shown);
}

static void test_auth_policies_are_strict(void **state)
{
    static const char *const environment[] = {"A=0123456789abcde",          "B=0123456789abcdef+",
                                              "C=0123456789abcdef",         "D=0123456789abcdef",
                                              "E=cc_management_0123456789", NULL};
    (void)state;
    refuses_with("auth_policies: { vc1: { token: env:E } }\n", environment,
                 "token of vc1: a token does not begin as management keys do");
    refuses_with("auth_policies: { vc1: { token: env:A } }\n", environment,
                 "token of vc1: a token has at least 16 characters");
    refuses_with("auth_policies: { vc1: { token: env:B } }\n", environment,
                 "token of vc1: a token has at least 16 characters");
    refuses_with("auth_policies: { a: { token: env:C }, b: { token: env:D } }\n", environment,
                 "token of b: another policy has it too");
    refuses("auth_policies: { vc1: { token: 0123456789abcdef } }\n", "has a token in clear");
    refuses("auth_policies: { vc1: { token: env:NOT_SET_ANYWHERE } }\n",
            "auth_policies: token of vc1: names a variable that is not set");
    refuses("auth_policies: { vc1: { token: file:tests } }\n", "names a file that can't be read");
    refuses("auth_policies: { vc1: { scopes: [sign] } }\n", "has a member that is none of token");
    refuses("auth_policies: { vc1: { allowed_scopes: [] } }\n", "has an empty list of scopes");
    refuses("auth_policies: { vc1: { allowed_scopes: sign } }\n", "has scopes that are not a list");
    refuses("auth_policies: { vc1: { allowed_scopes: [SIGN] } }\n", "has a scope that is none");
    refuses("auth_policies: { vc1: sign }\n", "has a policy that is not a mapping");
    refuses("auth_policies: [vc1]\n", "auth_policies: is not a mapping");
    assert_true(error_is(load_override("auth_policies", "vc1"), ERROR_CONFIG));
    assert_non_null(strstr(fault_text(), "is taken from a file alone"));
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

/* What differs from the defaults is a configuration by itself, and stands for the same one. */
static void test_what_was_changed_loads_again(void **state)
{
    (void)state;
    static const char changed[] = "server:\n"
                                  "  listen_port: 9001\n"
                                  "  host_allowlist: [\"*\"]\n"
                                  "network_overrides: {GLOAS_FORK_EPOCH: \"7\"}\n"
                                  "key_sources:\n"
                                  "  filesystem:\n"
                                  "    paths: [\"/a\", \"/b\"]\n"
                                  "anti_slashing:\n"
                                  "  backend: postgres\n"
                                  "  url: \"postgresql://h/d\"\n"
                                  "  new_key_policy:\n"
                                  "    quarantine_epochs: 0\n"
                                  "http:\n"
                                  "  key_manager_api:\n"
                                  "    enabled: true\n";
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    CC_CLEANUP(buf_release) struct buf none = buf_init(1 << 16);
    loads(changed);
    assert_int_equal(
        config_dump_changed(&config, "anti_slashing.url", "postgresql://h/d", &text).code, 0);
    assert_true(span_is(buf_span(&text), changed));
    text.len = 0;
    assert_int_equal(config_dump_changed(&config, "", "", &text).code, 0);
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    assert_non_null(strstr((const char *)text.data, "  url: \"********\"\n"));
    loads("");
    assert_int_equal(config_dump_changed(&config, "", "", &none).code, 0);
    assert_int_equal(none.len, 0);
}

/* Where the secret is may be written anywhere, in a flag too. */
static void test_a_secret_may_be_elsewhere(void **state)
{
    (void)state;
    char option[128], path[64];
    static const char *const environment[] = {"CONTAINMENT_ANTI_SLASHING__URL=env:DB_URL",
                                              "DB_URL_OLD=postgresql://u:old@h/d",
                                              "DB_URL=postgresql://u:hush@h/d", NULL};
    static const char *const unset[] = {"CONTAINMENT_ANTI_SLASHING__URL=env:DB_URL",
                                        "DB_URL_OLD=postgresql://u:old@h/d", NULL};
    static const char *const nameless[] = {"CONTAINMENT_ANTI_SLASHING__URL=env:", "=x", NULL};
    assert_int_equal(load_environment(environment).code, 0);
    assert_string_equal(config.anti_slashing.url, "postgresql://u:hush@h/d");
    assert_true(error_is(load_environment(unset), ERROR_CONFIG));
    assert_non_null(strstr(fault_text(), "anti_slashing.url: names a variable that is not set"));
    assert_true(error_is(load_environment(nameless), ERROR_CONFIG));

    (void)snprintf(path, sizeof path, "test-secret-%d", (int)getpid());
    (void)snprintf(option, sizeof option, "file:%s", path);
    assert_int_equal(file_write_durable(path, span_str("postgresql://u:hush@h/d\n"), false).code,
                     0);
    assert_int_equal(load_override("signer_state.url", option).code, 0);
    assert_string_equal(config.signer_state.url, "postgresql://u:hush@h/d");
    assert_int_equal(
        file_write_durable(path, span_str("postgresql://u:hush@h/d\nmore\n"), false).code, 0);
    assert_true(error_is(load_override("signer_state.url", option), ERROR_CONFIG));
    assert_null(strstr(fault_text(), "hush"));
    assert_int_equal(unlink(path), 0);
    assert_true(error_is(load_override("signer_state.url", option), ERROR_CONFIG));
    assert_non_null(strstr(fault_text(), "names a file that can't be read"));
    /* Of other options it is the value itself. */
    assert_int_equal(load_override("network", "file:elsewhere").code, 0);
    assert_string_equal(config.network.network, "file:elsewhere");
}

static void test_the_state_stores_url_is_kept_secret(void **state)
{
    (void)state;
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    refuses("signer_state: { backend: postgres }\n", "postgres needs signer_state.url");
    loads("signer_state: { backend: postgres, url: 'postgresql://u:hush@h/d' }\n");
    assert_int_equal(config.signer_state.backend, STATE_POSTGRES);
    assert_int_equal(config_dump(&config, &text).code, 0);
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    assert_null(strstr((const char *)text.data, "hush"));
    assert_true(
        error_is(load_override("signer_state.url", "postgresql://u:hush@h/d"), ERROR_CONFIG));
    assert_non_null(strstr(fault_text(), "CONTAINMENT_SIGNER_STATE__URL"));
    assert_null(strstr(fault_text(), "hush"));
}

static void test_there_is_one_shared_key_store(void **state)
{
    (void)state;
    CC_CLEANUP(buf_release) struct buf text = buf_init(1 << 16);
    loads("key_sources: { postgres: { url: 'postgresql://u:hush@h/d' } }\n");
    assert_string_equal(config.key_sources.postgres.url, "postgresql://u:hush@h/d");
    assert_false(config_uses_aws(&config));
    assert_int_equal(config_dump(&config, &text).code, 0);
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    assert_null(strstr((const char *)text.data, "hush"));
    assert_true(error_is(load_override("key_sources.postgres.url", "postgresql://u:hush@h/d"),
                         ERROR_CONFIG));
    assert_non_null(strstr(fault_text(), "CONTAINMENT_KEY_SOURCES__POSTGRES__URL"));
    assert_null(strstr(fault_text(), "hush"));
    loads("key_sources: { dynamodb: { table: keys } }\n");
    assert_true(config_uses_aws(&config));
    refuses("key_sources: { postgres: { url: 'postgresql://h/d' }, dynamodb: { table: keys } }\n",
            "there is one key store");
    loads("key_sources: { dynamodb: { table: keys, max_concurrent_reads: 16 } }\n");
    assert_int_equal(faults.warnings, 1);
}

static void test_keys_of_an_enclaves_root_are_kms_keys_with_a_threshold(void **state)
{
    static const char arns[] = "tee: { root: { kms_key_arns: [%s, %s], threshold: %s } }\n";
    static const char one[] = "'arn:aws:kms:eu-central-1:111122223333:key/1-a'";
    static const char two[] = "'arn:aws:kms:us-east-1:111122223333:key/2-b'";
    char text[512];
    (void)state;
    (void)snprintf(text, sizeof text, arns, one, two, "2");
    loads(text);
    assert_int_equal(config_root_threshold(&config.tee.root), 2);
    (void)snprintf(text, sizeof text, arns, one, two, "3");
    refuses(text, "tee.root.threshold: more than there are");
    (void)snprintf(text, sizeof text, arns, one, two, "0");
    refuses(text, "tee.root.threshold: must be given");
    (void)snprintf(text, sizeof text, arns, one, one, "1");
    refuses(text, "tee.root.kms_key_arns: ARNs of KMS keys");
    (void)snprintf(text, sizeof text, arns, one, "'arn:aws:kms:eu-central-1:111122223333:alias/a'",
                   "1");
    refuses(text, "tee.root.kms_key_arns: ARNs of KMS keys");
    (void)snprintf(text, sizeof text, "tee: { root: { kms_key_arns: [%s] } }\n", one);
    loads(text);
    assert_int_equal(config_root_threshold(&config.tee.root), 1);
}

static void test_T25_auto_unseal_is_for_an_enclave_that_names_kms_keys(void **state)
{
    static const char arn[] = "'arn:aws:kms:eu-central-1:111122223333:key/1-a'";
    static const char text[] = "signer_state: { auto_unseal: true }\ntee: { platform: %s, root: { "
                               "kms_key_arns: [%s] } }\ntls: { mode: %s }\nnetwork: minimal\n";
    char file[512];
    (void)state;
    (void)snprintf(file, sizeof file, text, "nitro", "", "atls");
    refuses(file, "signer_state.auto_unseal: is for an enclave");
    (void)snprintf(file, sizeof file, text, "none", arn, "disabled");
    refuses(file, "signer_state.auto_unseal: is for an enclave");
    (void)snprintf(file, sizeof file, text, "nitro", arn, "atls");
    loads(file);
    assert_true(config_uses_aws(&config));
}

static void test_earlier_images_are_pcr0(void **state)
{
    char image[97] = {0};
    char text[512];
    (void)state;
    memset(image, 'a', 96);
    (void)snprintf(text, sizeof text, "tee: { root: { images: [\"%s\"] } }\n", image);
    loads(text);
    (void)snprintf(text, sizeof text, "tee: { root: { images: [\"%s\", \"%s\"] } }\n", image,
                   image);
    refuses(text, "tee.root.images: PCR0 of images");
    (void)snprintf(text, sizeof text, "tee: { root: { images: [\"%s\"] } }\n", image + 2);
    refuses(text, "tee.root.images: PCR0 of images");
    memset(image, '0', 96); /* of an enclave in debug mode */
    (void)snprintf(text, sizeof text, "tee: { root: { images: [\"%s\"] } }\n", image);
    refuses(text, "tee.root.images: PCR0 of images");
}

/* What an image measures is its file: who starts an enclave changes nothing of it, and makes none of what is none. */
static void test_P26_an_enclaves_options_come_from_its_file_alone(void **state)
{
    static const char *const other[] = {"CONTAINMENT_SERVER__LISTEN_PORT=1", NULL};
    static const char *const outside[] = {"CONTAINMENT_TEE__PLATFORM=none", NULL};
    static const char *const inside[] = {"CONTAINMENT_TEE__PLATFORM=nitro", NULL};
    static const struct config_override flag[] = {
        {"server.listen_port", "1", "--server.listen_port"}};
    (void)state;
    refuses_with("tee: { platform: nitro }\n", other,
                 "CONTAINMENT_SERVER__LISTEN_PORT: server.listen_port: an enclave");
    refuses_with("tee: { platform: nitro }\n", outside,
                 "CONTAINMENT_TEE__PLATFORM: tee.platform: an enclave");
    refuses_with("network: mainnet\n", inside,
                 "CONTAINMENT_TEE__PLATFORM: tee.platform: an enclave");
    forget();
    write_file("tee: { platform: nitro }\ntls: { mode: atls }\n");
    assert_true(error_is(config_load(file_name, NULL, flag, 1, &config, &faults), ERROR_CONFIG));
    (void)unlink(file_name);
    assert_non_null(strstr(fault_text(), "--server.listen_port: server.listen_port: an enclave"));
    assert_int_equal(config.server.listen_port, 9000);
}

/* An enclave's disk is memory, and KMS encrypts to anybody's keys. */
static void test_P26_an_enclave_keeps_nothing_that_ends_with_it(void **state)
{
    static const char both[] = "tee: { platform: nitro }\ntls: { mode: atls }\n";
    char text[512];
    (void)state;
    (void)snprintf(text, sizeof text, "network: mainnet\n%s", both);
    refuses_with(text, NULL, "signer_state.backend: sqlite lies in the enclave's memory");
    refuses_with(text, NULL, "anti_slashing.backend: sqlite lies in the enclave's memory");
    refuses_with(text, NULL, "tee.root.kms_key_arns: an enclave's chamber would end with it");
    (void)snprintf(text, sizeof text, "network: minimal\n%s", both);
    loads(text);
    (void)snprintf(text, sizeof text, "network: minimal\n%ssigner_state: { kms: true }\n", both);
    refuses_with(text, NULL, "signer_state.allowed_kms_key_arns: an enclave names its KMS keys");
    (void)snprintf(text, sizeof text,
                   "network: minimal\n%ssigner_state: { kms: true, allowed_kms_key_arns: "
                   "[\"arn:aws:kms:eu-central-1:111122223333:key/"
                   "11111111-2222-3333-4444-555555555555\"] }\n",
                   both);
    loads(text);
    loads("network: mainnet\nsigner_state: { kms: true }\n");
}

#define KEY_ROOT                                                                                   \
    "root: { kms_key_arns: [\"arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555\"] }"
#define NITRO                                                                                      \
    "tee: { platform: nitro, aws_account: \"111122223333\", " KEY_ROOT " }\ntls: { mode: atls }\n"
#define NITRO_NO "tee: { platform: nitro }\ntls: { mode: atls }\n"
#define TABLES                                                                                     \
    "signer_state: { backend: dynamodb, table: states }\n"                                         \
    "anti_slashing: { backend: dynamodb, table: history }\n"

#define OWNER_KEYS                                                                                 \
    "owner_keys: [alice=d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a]"
#define OWNER "auth: { mode: enforce, " OWNER_KEYS " }\n"

static void test_T11_an_enclave_names_its_account_and_no_clear_endpoint(void **state)
{
    static const char *const endpoints[] = {"endpoint_url", "kms_endpoint_url",
                                            "dynamodb_endpoint_url", "sts_endpoint_url"};
    char text[768], wanted[96];
    (void)state;
    loads("network: mainnet\n" NITRO OWNER TABLES);
    assert_string_equal(config.tee.aws_account, "111122223333");
    refuses_with("network: mainnet\n" NITRO_NO TABLES, NULL,
                 "tee.aws_account: an enclave names the account");
    loads("network: minimal\n" NITRO_NO TABLES);
    loads("network: mainnet\n" TABLES);
    loads("network: mainnet\n"
          "tee: { aws_account: \"111122223333\" }\n" TABLES);
    refuses("tee: { aws_account: \"11112222333\" }\n", "is not the 12 digits");
    refuses("tee: { aws_account: \"11112222333x\" }\n", "is not the 12 digits");
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
        (void)snprintf(text, sizeof text,
                       "network: mainnet\n" NITRO OWNER TABLES
                       "aws: { %s: \"http://a.example\" }\n",
                       endpoints[i]);
        (void)snprintf(wanted, sizeof wanted, "aws.%s: is not https://", endpoints[i]);
        refuses_with(text, NULL, wanted);
        (void)snprintf(text, sizeof text,
                       "network: mainnet\n" NITRO OWNER TABLES
                       "aws: { %s: \"https://a.example\" }\n",
                       endpoints[i]);
        loads(text);
        (void)snprintf(text, sizeof text,
                       "network: minimal\n" NITRO TABLES "aws: { %s: \"http://a.example\" }\n",
                       endpoints[i]);
        loads(text);
    }
}

static void test_T11_an_enclave_traces_to_no_clear_endpoint(void **state)
{
    static const char inside[] = "network: mainnet\n" NITRO OWNER TABLES;
    char text[1024];
    (void)state;
    (void)snprintf(text, sizeof text, "%stracing: { otlp_endpoint: \"https://a.example:4318\" }\n",
                   inside);
    loads(text);
    for (int loopback = 0; loopback < 2; loopback++) {
        (void)snprintf(text, sizeof text,
                       "%stracing: { otlp_endpoint: \"http://%s:4318\", allow_plaintext: true }\n",
                       inside, loopback ? "127.0.0.1" : "a.example");
        refuses_with(text, NULL, "tracing.otlp_endpoint: is not https://");
    }
    loads("network: minimal\n" NITRO TABLES
          "tracing: { otlp_endpoint: \"http://a.example:4318\", allow_plaintext: true }\n");
}

/* Its default is open. */
static void test_T20_an_enclave_signs_for_nobody_without_a_policy(void **state)
{
    static const char *const modes[] = {"", "mode: open, ", "mode: report, "};
    char text[1024];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        (void)snprintf(text, sizeof text, "network: mainnet\n%s%sauth: { %s%s }\n", NITRO, TABLES,
                       modes[i], OWNER_KEYS);
        refuses_with(text, NULL, "auth.mode: is enforce in an enclave");
        (void)snprintf(text, sizeof text, "network: minimal\n%s%sauth: { %s%s }\n", NITRO, TABLES,
                       modes[i], OWNER_KEYS);
        loads(text);
        (void)snprintf(text, sizeof text, "network: mainnet\nauth: { %sallow_plaintext: false }\n",
                       modes[i]);
        loads(text);
    }
}

/* A later image knows how far ahead an earlier one may have signed. */
static void test_P26_an_enclave_signs_no_further_ahead_than_the_next_one_expects(void **state)
{
    static const char state_table[] = "signer_state: { backend: dynamodb, table: states }\n";
    static const char history[] = "anti_slashing: { backend: dynamodb, table: history, ";
    char text[1024];
    (void)state;
    for (unsigned epochs = 1; epochs <= 3; epochs++) {
        (void)snprintf(text, sizeof text,
                       "network: mainnet\n" NITRO OWNER "%s%smax_future_epochs: %u }\n",
                       state_table, history, epochs);
        if (epochs <= 2)
            loads(text);
        else
            refuses_with(text, NULL, "anti_slashing.max_future_epochs: is 2 at most");
    }
    (void)snprintf(text, sizeof text,
                   "network: minimal\n" NITRO OWNER "%s%smax_future_epochs: 100 }\n", state_table,
                   history);
    loads(text);
    (void)snprintf(text, sizeof text, "network: mainnet\n%s%smax_future_epochs: 100 }\n",
                   state_table, history);
    loads(text);
    static const char noop[] =
        "%s%s%santi_slashing: { backend: noop, i_accept_slashing_risk: true }\n";
    (void)snprintf(text, sizeof text, noop, "network: mainnet\n", NITRO OWNER, state_table);
    refuses_with(text, NULL, "anti_slashing.backend: noop has no rule");
    (void)snprintf(text, sizeof text, noop, "network: minimal\n", NITRO OWNER, state_table);
    loads(text);
}

#define KEY "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555"

static void test_T11_a_databases_password_from_kms(void **state)
{
    static const char *const bad[] = {"x",
                                      KEY,
                                      KEY " ",
                                      KEY " !!!!",
                                      KEY " QUJD QUJD",
                                      "arn:aws:kms:eu-central-1:111122223333:alias/a QUJD",
                                      " QUJD"};
    static const char *const where[] = {"anti_slashing: { backend: postgres, ",
                                        "signer_state: { backend: postgres, ",
                                        "key_sources: { postgres: { "};
    static const char *const end[] = {"}", "}", "} }"};
    char text[1024];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(where); i++) {
        (void)snprintf(text, sizeof text,
                       "network: minimal\n%s%surl: 'host=h', url_password_kms: '%s QUJD' %s\n",
                       NITRO_NO, where[i], KEY, end[i]);
        loads(text);
        assert_true(config_uses_aws(&config));
        (void)snprintf(text, sizeof text,
                       "network: minimal\n%surl: 'host=h', url_password_kms: '%s QUJD' %s\n",
                       where[i], KEY, end[i]);
        refuses_with(text, NULL, "url_password_kms: is opened by the attestation of an enclave");
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        (void)snprintf(text, sizeof text,
                       "network: minimal\n%s%surl: 'host=h', url_password_kms: '%s' }\n", NITRO_NO,
                       where[0], bad[i]);
        refuses_with(text, NULL, "anti_slashing.url_password_kms: ");
    }
}

static void test_T11_dynamodbs_credentials_from_kms(void **state)
{
    static const char *const uses[] = {"signer_state: { backend: dynamodb, table: t }\n",
                                       "anti_slashing: { backend: dynamodb, table: t }\n",
                                       "key_sources: { dynamodb: { table: t } }\n"};
    static const char wanted[] = "aws.dynamodb_credentials_kms: ";
    char text[1024];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(uses); i++) {
        (void)snprintf(text, sizeof text,
                       "network: minimal\n%s%saws: { dynamodb_credentials_kms: '%s QUJD' }\n",
                       NITRO_NO, uses[i], KEY);
        loads(text);
        (void)snprintf(text, sizeof text,
                       "network: minimal\n%saws: { dynamodb_credentials_kms: '%s QUJD' }\n",
                       uses[i], KEY);
        refuses_with(text, NULL, "dynamodb_credentials_kms: is opened by the attestation of an");
    }
    (void)snprintf(text, sizeof text,
                   "network: minimal\n%saws: { dynamodb_credentials_kms: '%s QUJD' }\n", NITRO_NO,
                   KEY);
    refuses_with(text, NULL, "dynamodb_credentials_kms: nothing is in DynamoDB");
    (void)snprintf(text, sizeof text,
                   "network: minimal\n%s%saws: { dynamodb_credentials_kms: '%s' }\n", NITRO_NO,
                   uses[0], KEY);
    refuses_with(text, NULL, wanted);
}

/* Nobody is inside, and another authority than AWS's vouches for any image. */
static void test_P26_an_enclave_names_its_owner_and_no_other_authority(void **state)
{
    static const char rest[] =
        "tee: { platform: nitro, aws_account: \"111122223333\", root: "
        "{ kms_key_arns: [\"" KEY "\"]%s } }\ntls: { mode: atls }\n" TABLES "network: %s\n%s";
    char text[1024];
    (void)state;
    (void)snprintf(text, sizeof text, rest, "", "mainnet", OWNER);
    loads(text);
    (void)snprintf(text, sizeof text, rest, "", "mainnet", "");
    refuses_with(text, NULL, "auth.owner_keys: an enclave names a key of its owner");
    (void)snprintf(text, sizeof text, rest, ", certificate: /etc/root.pem", "mainnet", OWNER);
    refuses_with(text, NULL, "tee.root.certificate: is for tests");
    (void)snprintf(text, sizeof text, rest, ", certificate: /etc/root.pem", "minimal", "");
    loads(text);
    loads("network: mainnet\n" TABLES);
}

/* A section that one word may stand for, from the file, the environment and a flag. */
static void test_a_word_may_stand_for_a_section(void **state)
{
    (void)state;
    loads("anti_slashing:\n  new_key_policy: allow\n");
    assert_int_equal(config.anti_slashing.quarantine_epochs, 0);
    loads("anti_slashing:\n  new_key_policy: { quarantine_epochs: 5 }\n");
    assert_int_equal(config.anti_slashing.quarantine_epochs, 5);
    loads("anti_slashing:\n  new_key_policy:\n");
    assert_int_equal(config.anti_slashing.quarantine_epochs, 2);
    refuses("anti_slashing:\n  new_key_policy: deny\n",
            ".yaml:2: anti_slashing.new_key_policy: is a section, not a value, or the word allow");
    refuses("anti_slashing:\n  new_key_policy: [allow]\n", ".yaml:2: anti_slashing.new_key_policy");
    refuses("anti_slashing: allow\n", ".yaml:1: anti_slashing: is a section, not a value");
    const char *const environment[] = {"CONTAINMENT_ANTI_SLASHING__NEW_KEY_POLICY=allow", NULL};
    assert_int_equal(load_environment(environment).code, 0);
    assert_int_equal(config.anti_slashing.quarantine_epochs, 0);
    assert_int_equal(load_override("anti_slashing.new_key_policy", "allow").code, 0);
    assert_int_equal(config.anti_slashing.quarantine_epochs, 0);
    assert_true(error_is(load_override("anti_slashing.new_key_policy", "no"), ERROR_CONFIG));
    assert_non_null(strstr(fault_text(), "or the word allow"));
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

    const char *later[] = {"CONTAINMENT_ANTI_SLASHING__FORCE_IPV4=x", NULL};
    assert_true(error_is(load_environment(later), ERROR_CONFIG));
    assert_non_null(strstr(
        fault_text(),
        "CONTAINMENT_ANTI_SLASHING__FORCE_IPV4: anti_slashing.force_ipv4: is not in this release"));

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
    assert_string_equal(backend->choices, "sqlite|postgres|dynamodb|noop");

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
        if (strncmp(row->path, "tee.", 4) != 0) /* those come from the file alone */
            assert_int_equal(load_override(row->path, row->default_text).code, 0);
    }
}

static void test_the_digest_is_of_what_the_core_has(void **state)
{
    (void)state;
    uint8_t before[32];
    uint8_t after[32];
    config_defaults(&config);
    assert_int_equal(config_digest(&config, before).code, 0);
    assert_int_equal(config_digest(&config, after).code, 0);
    assert_memory_equal(before, after, sizeof before);
    /* An option of the front's alone, and one of the supervisor's. */
    config.server.max_connections++;
    config.tls.listen_port++;
    assert_int_equal(config_digest(&config, after).code, 0);
    assert_memory_equal(before, after, sizeof before);
    /* One of the core's. */
    config.anti_slashing.max_future_epochs++;
    assert_int_equal(config_digest(&config, after).code, 0);
    assert_memory_not_equal(before, after, sizeof before);
    /* The digest is public: a secret counts as set or not, or it could be guessed. */
    (void)snprintf(config.anti_slashing.url, sizeof config.anti_slashing.url,
                   "postgresql://a:b@c/d");
    assert_int_equal(config_digest(&config, before).code, 0);
    assert_memory_not_equal(before, after, sizeof before);
    (void)snprintf(config.anti_slashing.url, sizeof config.anti_slashing.url,
                   "postgresql://a:x@c/d");
    assert_int_equal(config_digest(&config, after).code, 0);
    assert_memory_equal(before, after, sizeof before);
    /* What the core itself gets by its descriptor has the digest of the whole. */
    struct buf blob = buf_init(1 << 18);
    static struct config part;
    assert_int_equal(config_encode(&config, CONFIG_FOR_CORE, &blob).code, 0);
    assert_int_equal(config_decode(buf_span(&blob), CONFIG_FOR_CORE, &part).code, 0);
    assert_int_equal(config_digest(&part, after).code, 0);
    assert_memory_equal(before, after, sizeof before);
    buf_release(&blob);
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
    assert_true(flag_is("anti-slashing-force-ipv4", "anti_slashing.force_ipv4"));
    assert_true(
        flag_is("signer-state-unseal-timeout-minutes", "signer_state.unseal_timeout_minutes"));
    assert_true(flag_is("anti-slashing-new-key-policy", "anti_slashing.new_key_policy"));
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
        cmocka_unit_test(test_keys_of_an_enclaves_root_are_kms_keys_with_a_threshold),
        cmocka_unit_test(test_T25_auto_unseal_is_for_an_enclave_that_names_kms_keys),
        cmocka_unit_test(test_earlier_images_are_pcr0),
        cmocka_unit_test(test_P26_an_enclaves_options_come_from_its_file_alone),
        cmocka_unit_test(test_P26_an_enclave_keeps_nothing_that_ends_with_it),
        cmocka_unit_test(test_T11_an_enclave_names_its_account_and_no_clear_endpoint),
        cmocka_unit_test(test_T11_an_enclave_traces_to_no_clear_endpoint),
        cmocka_unit_test(test_T20_an_enclave_signs_for_nobody_without_a_policy),
        cmocka_unit_test(test_P26_an_enclave_signs_no_further_ahead_than_the_next_one_expects),
        cmocka_unit_test(test_P26_an_enclave_names_its_owner_and_no_other_authority),
        cmocka_unit_test(test_T11_a_databases_password_from_kms),
        cmocka_unit_test(test_T11_dynamodbs_credentials_from_kms),
        cmocka_unit_test(test_defaults_are_those_that_are_promised),
        cmocka_unit_test(test_a_file_sets_every_type),
        cmocka_unit_test(test_an_empty_file_or_section_is_the_defaults),
        cmocka_unit_test(test_faults_name_file_line_and_path),
        cmocka_unit_test(test_a_duplicate_key_is_refused_with_its_line),
        cmocka_unit_test(test_all_faults_are_collected),
        cmocka_unit_test(test_a_list_that_is_too_long_is_refused),
        cmocka_unit_test(test_text_that_is_too_long_or_has_control_characters_is_refused),
        cmocka_unit_test(test_tls_wants_one_pair_and_a_port),
        cmocka_unit_test(test_tracing),
        cmocka_unit_test(test_ratios_are_exact),
        cmocka_unit_test(test_options_of_other_releases_are_named),
        cmocka_unit_test(test_auth_policies_are_read),
        cmocka_unit_test(test_auth_policies_are_strict),
        cmocka_unit_test(test_an_unreadable_file_is_a_fault),
        cmocka_unit_test(test_noop_needs_its_long_name),
        cmocka_unit_test(test_engines_have_their_names),
        cmocka_unit_test(test_a_database_url_is_kept_secret),
        cmocka_unit_test(test_a_secret_may_be_elsewhere),
        cmocka_unit_test(test_the_state_stores_url_is_kept_secret),
        cmocka_unit_test(test_there_is_one_shared_key_store),
        cmocka_unit_test(test_a_word_may_stand_for_a_section),
        cmocka_unit_test(test_open_operations_must_exist),
        cmocka_unit_test(test_sighup_takes_only_what_is_reloadable),
        cmocka_unit_test(test_the_environment_overrides_the_file),
        cmocka_unit_test(test_unknown_names_of_the_environment),
        cmocka_unit_test(test_overrides_are_checked_like_the_file),
        cmocka_unit_test(test_P01_no_option_weakens_durability),
        cmocka_unit_test(test_each_row_is_documented_and_its_default_is_in_range),
        cmocka_unit_test(test_the_digest_is_of_what_the_core_has),
        cmocka_unit_test(test_dump_and_example_load_again),
        cmocka_unit_test(test_what_was_changed_loads_again),
        cmocka_unit_test(test_the_documentation_is_what_the_table_says),
        cmocka_unit_test(test_each_option_has_its_flag),
    };
    return cmocka_run_group_tests(tests, NULL, release);
}
