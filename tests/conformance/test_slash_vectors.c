/* The EIP-3076 test vectors (v5.3.0), as a signer with a complete history must answer them, on every backend.
 * They live outside the tree: CC_VECTORS names the folder.
 */
#include <cjson/cJSON.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/num.h"

#include "codec/hex.h"
#include "support/slash_kit.h"
#include "support/test.h"

static char folder[512];

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    assert_non_null(text);
    return text;
}

static uint64_t number_of(const cJSON *object, const char *name)
{
    uint64_t value;
    assert_int_equal(u64_parse(span_str(text_of(object, name)), &value).code, 0);
    return value;
}

static struct slash_claim claim_of(const cJSON *object, enum slash_claim_kind kind)
{
    struct slash_claim claim = {.kind = kind};
    assert_int_equal(hex_decode(span_str(text_of(object, "pubkey")), claim.pubkey.bytes, 48).code,
                     0);
    assert_int_equal(
        hex_decode(span_str(text_of(object, "signing_root")), claim.root.bytes, 32).code, 0);
    if (kind == SLASH_CLAIM_BLOCK) {
        claim.slot = number_of(object, "slot");
    } else {
        claim.source = number_of(object, "source_epoch");
        claim.target = number_of(object, "target_epoch");
    }
    return claim;
}

static void
run_claims(struct slash_fixture *f, const char *name, const cJSON *list, enum slash_claim_kind kind)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        struct slash_claim claim = claim_of(item, kind);
        /* The vectors also sign with validators that no file has named. */
        assert_int_equal(slash_register_keys(f->store, &claim.pubkey, 1, NULL).code, 0);
        enum slash_rule rule = kit_sign(f->store, claim);
        bool wanted =
            cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "should_succeed_complete"));
        if (slash_may_sign(rule) != wanted) {
            char *text = cJSON_PrintUnformatted(item);
            fail_msg("%s on %s: %s: %s", name, f->backend->name, text, slash_rule_name(rule));
        }
    }
}

static void run_step(struct slash_fixture *f, const char *name, const cJSON *step)
{
    char *file = cJSON_Print(cJSON_GetObjectItemCaseSensitive(step, "interchange"));
    assert_non_null(file);
    struct kit_text text = {.text = file, .len = strlen(file)};
    struct interchange_source source = kit_source(&text);
    struct interchange_result result = {.messages = buf_init(INTERCHANGE_MESSAGES_MAX)};
    cc_err err = interchange_import(f->store, &source, NULL, &result);
    bool wanted = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(step, "should_succeed"));
    if ((err.code == 0) != wanted)
        fail_msg("%s on %s: import: %s", name, f->backend->name, error_name(err));
    buf_release(&result.messages);
    cJSON_free(file);
    run_claims(f, name, cJSON_GetObjectItemCaseSensitive(step, "blocks"), SLASH_CLAIM_BLOCK);
    run_claims(f, name, cJSON_GetObjectItemCaseSensitive(step, "attestations"),
               SLASH_CLAIM_ATTESTATION);
}

static void run_file(const char *name)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    struct buf content = buf_init(1 << 20);
    assert_int_equal(file_read(path, &content).code, 0);
    cJSON *vector = cJSON_ParseWithLength((const char *)content.data, content.len);
    assert_non_null(vector);
    for (size_t i = 0; i < slash_backend_count; i++) {
        struct slash_fixture f;
        struct eth_root root;
        if (!slash_backend_wanted(&slash_backends[i]))
            continue;
        slash_fixture_setup(&f, &slash_backends[i]);
        const char *text = text_of(vector, "genesis_validators_root");
        assert_int_equal(hex_decode(span_str(text), root.bytes, 32).code, 0);
        assert_int_equal(slash_fix_genesis(f.store, &root).code, 0);
        const cJSON *step;
        cJSON_ArrayForEach(step, cJSON_GetObjectItemCaseSensitive(vector, "steps"))
        {
            run_step(&f, name, step);
            if (f.backend->keeps)
                slash_fixture_reopen(&f);
        }
        slash_fixture_teardown(&f);
    }
    cJSON_Delete(vector);
    buf_release(&content);
}

static void test_eip3076_vectors_complete_strategy(void **state)
{
    (void)state;
    const char *vectors = getenv("CC_VECTORS");
    (void)snprintf(folder, sizeof folder, "%s/eip3076-interchange/v5.3.0",
                   vectors ? vectors : "../shared/vectors");
    DIR *dir = opendir(folder);
    if (!dir) {
        print_message("EIP-3076 vectors left out: no folder %s\n", folder);
        return;
    }
    int files = 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (!strstr(e->d_name, ".json"))
            continue;
        run_file(e->d_name);
        files++;
    }
    (void)closedir(dir);
    print_message("%d files\n", files);
    assert_int_equal(files, 38);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eip3076_vectors_complete_strategy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
