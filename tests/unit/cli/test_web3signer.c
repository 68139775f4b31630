#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#include "cli/web3signer.h"
#include "config/config_table.h"
#include "support/test.h"

static struct web3signer w;
static struct arguments arguments;
static char words[32][256];
static char *items[32];

static cc_err take(char *const *environment, const char *const *argv)
{
    web3signer_release(&w);
    int count = 0;
    for (; argv[count]; count++) {
        (void)snprintf(words[count], sizeof words[count], "%s", argv[count]);
        items[count] = words[count];
    }
    arguments = (struct arguments){count, items, environment, "web3signer"};
    return web3signer_take(&arguments, &w);
}

static void plan_with(char *const *environment, const char *const *argv)
{
    assert_int_equal(take(environment, argv).code, 0);
    assert_int_equal(web3signer_plan(&w, "/here").code, 0);
}
#define PLAN(...)               plan_with(NULL, (const char *const[]){__VA_ARGS__, NULL})
#define PLAN_IN(variables, ...) plan_with(variables, (const char *const[]){__VA_ARGS__, NULL})

/* The value that `path` is given; NULL: none. */
static const char *set(const char *path)
{
    const char *value = NULL;
    for (size_t i = 0; i < w.override_count; i++)
        if (strcmp(w.overrides[i].path, path) == 0)
            value = w.overrides[i].value;
    return value;
}

static bool says(const struct buf *text, const char *part)
{
    return text->len && memmem(text->data, text->len, part, strlen(part));
}

#define OFF "--slashing-protection-enabled=false"

static void each_row_has_a_fate(void **state)
{
    (void)state;
    for (size_t i = 0; i < web3signer_option_count; i++) {
        const struct web3signer_option *row = &web3signer_options[i];
        bool sets = row->kind == WEB3SIGNER_TEXT || row->kind == WEB3SIGNER_BOOL ||
                    row->kind == WEB3SIGNER_LIST;
        bool speaks = row->kind == WEB3SIGNER_IDLE || row->kind == WEB3SIGNER_IDLEB ||
                      row->kind == WEB3SIGNER_NOT || row->kind == WEB3SIGNER_NOTB;
        bool map = strncmp(row->target, "network_overrides.", 18) == 0;
        assert_true(!sets || map || config_row_find(row->target));
        assert_int_equal(speaks, row->text[0] != 0);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(row->name, web3signer_options[j].name);
    }
}

static void what_ethereum_package_says(void **state)
{
    (void)state;
    PLAN("--http-listen-port=9000", "--http-host-allowlist=*", "--metrics-enabled=true",
         "--metrics-host-allowlist=*", "--metrics-host=0.0.0.0", "--metrics-port=9001", "eth2",
         "--network=hoodi", "--keystores-path=/keystores/keys",
         "--keystores-passwords-path=/keystores/secrets", OFF);
    assert_int_equal(w.fault_count, 0);
    assert_string_equal(set("server.listen_port"), "9000");
    assert_string_equal(set("server.host_allowlist"), "*");
    assert_string_equal(set("metrics.listen_address"), "0.0.0.0");
    assert_string_equal(set("metrics.listen_port"), "9001");
    assert_string_equal(set("network"), "hoodi");
    assert_string_equal(set("key_sources.filesystem.paths"), "/keystores/keys");
    assert_string_equal(set("key_sources.filesystem.passwords_path"), "/keystores/secrets");
    assert_null(set("anti_slashing.backend"));
    assert_string_equal(set("anti_slashing.new_key_policy.quarantine_epochs"), "0");
    assert_true(says(&w.notes, "--metrics-host-allowlist: "));
}

static void what_eth_docker_says(void **state)
{
    (void)state;
    PLAN("--key-store-path=/var/lib/web3signer/keys", "--metrics-enabled",
         "--http-host-allowlist=*", "--logging=info", "eth2", "--enable-key-manager-api=true",
         "--slashing-protection-db-url=jdbc:postgresql://postgres/web3signer",
         "--slashing-protection-db-username=postgres", "--slashing-protection-db-password=p@ss/w",
         "--slashing-protection-pruning-enabled=true");
    assert_int_equal(w.fault_count, 0);
    assert_string_equal(set("anti_slashing.backend"), "postgres");
    assert_string_equal(set("anti_slashing.url"),
                        "postgresql://postgres:p%40ss%2Fw@postgres/web3signer");
    assert_string_equal(w.database, "postgresql://postgres@postgres/web3signer");
    assert_string_equal(set("http.key_manager_api.enabled"), "true");
    assert_string_equal(set("anti_slashing.pruning.enabled"), "true");
    assert_string_equal(set("metrics.listen_port"), "9001");
    assert_string_equal(set("logging.level"), "info");
    assert_false(says(&w.notes, "p@ss"));
    for (int i = 0; i < 32; i++)
        assert_false(strstr(words[i], "p@ss"));
    assert_true(says(&w.notes, "--slashing-protection-db-password: stood on the command line"));
}

/* A file as charts have it: lists of one star, and an option that releases before 25.12 had. */
static void what_a_chart_says(void **state)
{
    (void)state;
    assert_int_equal(take(NULL, (const char *const[]){"eth2", OFF, NULL}).code, 0);
    assert_int_equal(web3signer_take_file(&w, "f",
                                          span_str("swagger-ui-enabled: true\n"
                                                   "http-host-allowlist: [\"*\"]\n"
                                                   "http-cors-origins: [\"*\"]\n"
                                                   "metrics-host-allowlist: [\"*\"]\n"
                                                   "data-path: \"/data/web3signer\"\n"
                                                   "eth2.key-manager-api-enabled: false\n"))
                         .code,
                     0);
    assert_int_equal(web3signer_plan(&w, "/here").code, 0);
    assert_int_equal(w.fault_count, 0);
    assert_string_equal(set("data_dir"), "/data/web3signer");
    assert_string_equal(set("server.host_allowlist"), "*");
    assert_null(set("http.key_manager_api.enabled"));
    assert_true(says(&w.notes, "--swagger-ui-enabled: no such page is served"));
}

static void flags_are_before_variables_and_those_before_the_file(void **state)
{
    (void)state;
    char a[] = "WEB3SIGNER_HTTP_LISTEN_PORT=2", b[] = "WEB3SIGNER_ETH2_NETWORK=holesky",
         c[] = "WEB3SIGNER_FOO=1", d[] = "WEB3SIGNER_ETH2_SLASHING_PROTECTION_ENABLED=false";
    char *variables[] = {a, b, c, d, NULL};
    assert_int_equal(
        take(variables, (const char *const[]){"--http-listen-port", "1", "eth2", NULL}).code, 0);
    assert_int_equal(web3signer_take_file(&w, "f",
                                          span_str("http-listen-port: 3\n"
                                                   "http-host-allowlist: [a, b]\n"
                                                   "eth2.network: mainnet\n"
                                                   "eth2:\n  keystores-path: /k\n"))
                         .code,
                     0);
    assert_int_equal(web3signer_plan(&w, "/here").code, 0);
    assert_int_equal(w.fault_count, 0);
    assert_string_equal(set("server.listen_port"), "1");
    assert_string_equal(set("network"), "holesky");
    assert_string_equal(set("server.host_allowlist"), "a,b");
    assert_string_equal(set("key_sources.filesystem.paths"), "/k");
    assert_true(says(&w.notes, "WEB3SIGNER_FOO: names no option"));
}

static void own_variables_are_before_defaults(void **state)
{
    (void)state;
    char a[] = "CONTAINMENT_METRICS__LISTEN_PORT=5",
         b[] = "CONTAINMENT_KEY_SOURCES__FILESYSTEM__PATHS=/mine";
    char *variables[] = {a, b, NULL};
    PLAN_IN(variables, "--metrics-enabled", "eth2", OFF);
    assert_null(set("metrics.listen_port"));
    assert_null(set("key_sources.filesystem.paths"));
    PLAN("eth2", OFF);
    assert_string_equal(set("metrics.listen_port"), "0");
    assert_string_equal(set("key_sources.filesystem.paths"), "/here");
    char c[] = "CONTAINMENT_ANTI_SLASHING__BACKEND=dynamodb";
    char *history[] = {c, NULL};
    PLAN_IN(history, "eth2");
    assert_int_equal(w.fault_count, 0);
}

static void booleans(void **state)
{
    (void)state;
    PLAN("--metrics-enabled", "eth2", "--key-manager-api-enabled", "FALSE",
         "--Xkey-manager-skip-keystore-storage", OFF);
    assert_int_equal(w.fault_count, 0);
    assert_null(set("http.key_manager_api.enabled"));
    assert_string_equal(set("http.key_manager_api.storage"), "memory");
    PLAN("--metrics-enabled=maybe", "eth2", OFF);
    assert_true(says(&w.faults, "--metrics-enabled: takes true or false"));
}

/* The bulk options of clouds: each names the option that has its place, as often as it is said. */
static void a_clouds_options_name_those_of_an_import(void **state)
{
    (void)state;
    PLAN("eth2", OFF, "--azure-tags=ENV=prod", "--azure-tags", "CLIENT=A",
         "--aws-secrets-tag-names-filter=a,b", "--aws-secrets-tag-values-filter", "c",
         "--aws-secrets-prefixes-filter=d", "--gcp-secrets-filter=name:x OR name:y");
    assert_int_equal(w.fault_count, 0);
    assert_true(says(&w.notes, "--azure-tags: `--tags` of `keys import --from azure`\n"));
    assert_true(says(&w.notes, "--aws-secrets-tag-names-filter: `--tags NAME` of `keys import"));
    assert_true(says(&w.notes, "--aws-secrets-tag-values-filter: `--tags =VALUE`"));
    assert_true(says(&w.notes, "--aws-secrets-prefixes-filter: `--prefixes` of `keys import"));
    assert_true(says(&w.notes, "--gcp-secrets-filter: `--filter` of `keys import --from gcp`"));
}

/* One fault each; where the row has a text it is part of it. */
static void what_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *const argv[6];
        const char *fault;
    } rows[] = {
        {{"--foo=hush", "eth2", OFF}, "--foo: is no option"},
        {{"eth1", "eth2", OFF}, "eth1: is no option"},
        {{OFF}, "`eth2` is missing"},
        {{"eth2"}, "--slashing-protection-db-url: is missing"},
        {{"eth2", OFF, "--azure-vault-enabled=true"}, "--azure-vault-enabled: keys are not read"},
        {{"eth2", OFF, "--aws-secrets-enabled"}, "--aws-secrets-enabled: keys are not read"},
        {{"eth2", OFF, "--gcp-secrets-enabled"}, "--gcp-secrets-enabled: keys are not read"},
        {{"eth2", OFF, "--commit-boost-api-enabled"}, "commit-boost API is not served"},
        {{"eth2", OFF, "--Xsigning-ext-enabled"}, "ext/sign is not served"},
        {{"--metrics-push-enabled", "eth2", OFF}, "--metrics-push-enabled: metrics are not pushed"},
        {{"--logging=LOUD", "eth2", OFF}, "--logging: is none of its values"},
        {{"--data-path", "eth2", OFF}, "`eth2` is missing"},
        {{"--http-listen-port=1", "--http-listen-port=2", "eth2", OFF},
         "--http-listen-port: is given more than once"},
        {{"eth2", OFF, "--network=https://x/config.yaml"}, "--network: is not fetched"},
        {{"eth2", OFF, "--network=/nowhere/config.yaml"}, "--network: is a file, and neither"},
        {{"eth2", OFF, "--keystores-path=/a,b"}, "--keystores-path: has a comma"},
        {{"eth2", OFF, "--keystores-password-file=a", "--keystores-passwords-path=b"},
         "exclude each other"},
        {{"--tls-keystore-file=a", "--tls-keystore-password-file=b", "eth2", OFF},
         "who may connect?"},
        {{"--tls-keystore-file=a", "--tls-allow-any-client", "eth2", OFF},
         "needs --tls-keystore-password-file"},
        {{"--tls-known-clients-file=a", "eth2", OFF}, "needs --tls-keystore-file"},
        {{"--config-file=/nowhere", "eth2", OFF}, "--config-file: can't be read"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        plan_with(NULL, rows[i].argv);
        if (!says(&w.faults, rows[i].fault))
            fail_msg("row %zu: %.*s", i, (int)w.faults.len, (const char *)w.faults.data);
        assert_int_equal(w.fault_count, 1);
        assert_false(says(&w.faults, "hush"));
    }
}

static void a_file_that_is_wrong(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"a: 1\n", "f:1: is no option"},
        {"eth2.http-listen-port: 1\n", "f:1: is no option"},
        {"eth2:\n  foo: 1\n", "f:2: is no option"},
        {"network: mainnet\n", "f:1: is no option"}, /* it stands below eth2 */
        {"- a\n", "f:1: is not a mapping"},
        {"a: [\n", "f:"},
        {"http-listen-port: [1]\n", "f:1: is a list"},
        {"http-listen-port: {a: 1}\n", "f:1: is not plain text"},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(take(NULL, (const char *const[]){"eth2", NULL}).code, 0);
        assert_int_equal(web3signer_take_file(&w, "f", span_str(texts[i][0])).code, 0);
        assert_int_equal(w.fault_count, 1);
        assert_true(says(&w.faults, texts[i][1]));
    }
}

static void tls(void **state)
{
    (void)state;
    PLAN("--http-listen-port=9443", "--tls-keystore-file=a.p12",
         "--tls-keystore-password-file=a.txt", "--tls-known-clients-file=known", "eth2", OFF);
    assert_int_equal(w.fault_count, 0);
    assert_string_equal(set("tls.mode"), "file");
    assert_string_equal(set("tls.listen_port"), "9443");
    assert_string_equal(set("server.listen_port"), "0");
    assert_string_equal(set("tls.file.pkcs12_path"), "a.p12");
    assert_string_equal(set("tls.file.password"), "file:a.txt");
    assert_string_equal(set("tls.file.known_clients_path"), "known");
    assert_string_equal(set("tls.file.client_auth"), "required");
    PLAN("--tls-keystore-file=a.p12", "--tls-keystore-password-file=a.txt",
         "--tls-allow-any-client", "eth2", OFF);
    assert_int_equal(w.fault_count, 0);
    assert_null(set("tls.file.client_auth"));
    char own[] = "CONTAINMENT_TLS__FILE__CLIENT_CA_PATH=/ca";
    char *variables[] = {own, NULL};
    PLAN_IN(variables, "--tls-keystore-file=a.p12", "--tls-keystore-password-file=a.txt",
            "--tls-allow-ca-clients", "eth2", OFF);
    assert_int_equal(w.fault_count, 0);
    assert_string_equal(set("tls.file.client_auth"), "required");
}

static void urls_of_databases(void **state)
{
    (void)state;
    static const struct {
        const char *jdbc, *user, *password, *url, *shown;
    } rows[] = {
        {"jdbc:postgresql://h:5433/d", NULL, NULL, "postgresql://h:5433/d", NULL},
        {"jdbc:postgresql://h/d", "u", NULL, "postgresql://u@h/d", NULL},
        {"jdbc:postgresql://a:1,b:2/d?targetServerType=primary", "u", "p",
         "postgresql://u:p@a:1,b:2/d", "postgresql://u@a:1,b:2/d"},
        {"jdbc:postgresql://[::1]:5432/d?user=x&password=y%40", NULL, NULL,
         "postgresql://x:y%40@[::1]:5432/d", "postgresql://x@[::1]:5432/d"},
        {"jdbc:postgresql://h/d?ssl=true&sslrootcert=/ca.pem", NULL, NULL,
         "postgresql://h/d?sslmode=verify-full&sslrootcert=/ca.pem", NULL},
        {"jdbc:postgresql://h/d?sslmode=require&ApplicationName=w", NULL, NULL,
         "postgresql://h/d?sslmode=require&application_name=w", NULL},
        {"jdbc:postgresql://h/d", "a b:c", "\xc3\xa4", "postgresql://a%20b%3Ac:%C3%A4@h/d",
         "postgresql://a%20b%3Ac@h/d"},
    };
    static const char *const refused[] = {"jdbc:postgresql:d",
                                          "jdbc:postgresql://",
                                          "jdbc:postgresql:///d",
                                          "jdbc:mysql://h/d",
                                          "postgresql://h/d",
                                          "jdbc:postgresql://h/",
                                          "jdbc:postgresql://u@h/d",
                                          "jdbc:postgresql://h/d?foo=1",
                                          "jdbc:postgresql://h/d/e",
                                          "jdbc:postgresql://h/d?currentSchema=x",
                                          "jdbc:postgresql://h/d?password=a+b"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf url = buf_init(4096), shown = buf_init(4096);
        assert_int_equal(
            web3signer_database_url(rows[i].jdbc, rows[i].user, rows[i].password, &url, &shown)
                .code,
            0);
        assert_string_equal((const char *)url.data, rows[i].url);
        assert_string_equal((const char *)shown.data, rows[i].shown ? rows[i].shown : rows[i].url);
        buf_release(&url);
        buf_release(&shown);
    }
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct buf url = buf_init(4096), shown = buf_init(4096);
        assert_true(
            error_is(web3signer_database_url(refused[i], NULL, NULL, &url, &shown), ERROR_CONFIG));
        assert_int_equal(url.len, 0);
        buf_release(&url);
        buf_release(&shown);
    }
}

static void put(const char *directory, const char *name, const void *data, size_t len)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void a_network_from_a_file_takes_its_genesis_from_beside_it(void **state)
{
    (void)state;
    char directory[] = "/tmp/cc-w3s-XXXXXX", option[300], path[512];
    assert_non_null(mkdtemp(directory));
    (void)snprintf(option, sizeof option, "--network=%s/config.yaml", directory);
    static const char root[] = "0x04700007fabc8282644aed6d1c7c9e21d38a03a0c4ba193f3afe428824b3a673";
    put(directory, "genesis_validators_root.txt", "0x12\n", 5);
    PLAN("eth2", OFF, option);
    assert_int_equal(w.fault_count, 1);
    put(directory, "genesis_validators_root.txt", root, sizeof root - 1);
    PLAN("eth2", OFF, option);
    assert_int_equal(w.fault_count, 0);
    assert_string_equal(set("genesis_validators_root"), root);
    assert_null(set("genesis_time"));
    uint8_t head[64] = {0x15, 0xcd, 0x5b, 0x07}; /* 123456789, then the root */
    head[8] = 0xab;
    put(directory, "genesis.ssz", head, 39);
    PLAN("eth2", OFF, option);
    assert_null(set("genesis_time"));
    put(directory, "genesis.ssz", head, sizeof head);
    PLAN("eth2", OFF, option);
    assert_string_equal(set("genesis_time"), "123456789");
    assert_string_equal(set("genesis_validators_root"),
                        "0xab00000000000000000000000000000000000000000000000000000000000000");
    for (int i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", directory,
                       i ? "genesis.ssz" : "genesis_validators_root.txt");
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(directory), 0);
}

static void a_task_keeps_its_arguments(void **state)
{
    (void)state;
    assert_int_equal(take(NULL, (const char *const[]){"eth2", OFF, "export", "--to=x", NULL}).code,
                     0);
    assert_string_equal(w.task, "export");
    assert_int_equal(arguments.count, 1);
    assert_string_equal(arguments.items[0], "--to=x");
}

static void no_memory(void **state)
{
    (void)state;
    static const char *const argv[] = {
        "--http-host-allowlist=a",
        "--http-host-allowlist=b",
        "--metrics-host-allowlist=*",
        "--foo",
        "eth2",
        "--slashing-protection-db-url=jdbc:postgresql://h/d?ssl=true",
        "--slashing-protection-db-password=p",
        NULL};
    for (uint64_t nth = 1;; nth++) {
        web3signer_release(&w);
        (void)alloc_fail_nth(nth);
        cc_err err = take(NULL, argv);
        if (!err.code)
            err = web3signer_plan(&w, "/here");
        uint64_t made = alloc_fail_nth(0);
        if (made < nth)
            break;
        assert_true(error_is(err, ERROR_NO_MEMORY));
        assert_true(nth < 1000);
    }
    assert_int_equal(w.fault_count, 1);
}

static int end(void **state)
{
    (void)state;
    web3signer_release(&w);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_has_a_fate),
        cmocka_unit_test(what_ethereum_package_says),
        cmocka_unit_test(what_eth_docker_says),
        cmocka_unit_test(what_a_chart_says),
        cmocka_unit_test(flags_are_before_variables_and_those_before_the_file),
        cmocka_unit_test(own_variables_are_before_defaults),
        cmocka_unit_test(booleans),
        cmocka_unit_test(a_clouds_options_name_those_of_an_import),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(a_file_that_is_wrong),
        cmocka_unit_test(tls),
        cmocka_unit_test(urls_of_databases),
        cmocka_unit_test(a_network_from_a_file_takes_its_genesis_from_beside_it),
        cmocka_unit_test(a_task_keeps_its_arguments),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
