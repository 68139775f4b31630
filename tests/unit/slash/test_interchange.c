/* EIP-3076 files in and out: strictness, messages, round trips. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#include "support/slash_kit.h"
#include "support/test.h"

#define GENESIS "0x04700007fabc8282644aed6d1c7c9e21d38a03a0c4ba193f3afe428824b3a673"
#define KEY_A                                                                                      \
    "0xb845089a1457f811bfc000588fbb4e713669be8ce060ea6be3c6ece09afc3794106c91ca73acda5e5457122d58723bed"
#define KEY_B                                                                                      \
    "0xa99a76ed7796f7be22d5b7e85deeb7c5677e88e511e0b337618f8c4eb61349b4bf2d153f649f7b53359fe8b94a38e44c"
#define ROOT "0x4ff6f743a43f3b4f95350831aeaf0a122a1a392922c45d804280284a69eb850b"
#define META                                                                                       \
    "\"metadata\":{\"interchange_format_version\":\"5\",\"genesis_validators_root\":\"" GENESIS    \
    "\"}"

static struct interchange_result result;
static struct slash_store *store;

static int setup(void **state)
{
    (void)state;
    static const struct slash_identity nobody;
    result = (struct interchange_result){.messages = buf_init(INTERCHANGE_MESSAGES_MAX)};
    return slash_memory_open(&nobody, &store).code;
}

static int teardown(void **state)
{
    (void)state;
    buf_release(&result.messages);
    slash_store_close(store);
    return 0;
}

static int import(const char *file)
{
    struct kit_text text = {file, strlen(file), 0, 7};
    struct interchange_source source = kit_source(&text);
    buf_release(&result.messages);
    result = (struct interchange_result){.messages = buf_init(INTERCHANGE_MESSAGES_MAX)};
    return interchange_import(store, &source, NULL, &result).code;
}

static const char *messages(void)
{
    static char text[8192];
    (void)snprintf(text, sizeof text, "%.*s", (int)result.messages.len,
                   result.messages.len ? (const char *)result.messages.data : "");
    return text;
}

static uint64_t stored(void)
{
    struct slash_status status;
    assert_int_equal(slash_status(store, &status).code, 0);
    return status.validators + status.blocks + status.attestations;
}

/* --- what is read ------------------------------------------------------------------------------------ */

static void test_a_whole_file(void **state)
{
    (void)state;
    assert_int_equal(
        import("{" META ",\"data\":["
               "{\"pubkey\":\"" KEY_A
               "\",\"signed_blocks\":[{\"slot\":\"81952\",\"signing_root\":\"" ROOT
               "\"},{\"slot\":\"81951\"}],\"signed_attestations\":[{\"source_epoch\":\"2290\","
               "\"target_epoch\":\"3007\",\"signing_root\":\"" ROOT
               "\"},{\"source_epoch\":\"2290\","
               "\"target_epoch\":\"3008\",\"signing_root\":null}]}]}"),
        0);
    assert_int_equal(result.report.validators, 1);
    assert_int_equal(result.report.blocks, 2);
    assert_int_equal(result.report.attestations, 2);
    assert_int_equal(result.faults, 0);
    assert_int_equal(stored(), 5);
    assert_true(store->identity.has_genesis_validators_root);
}

/* Data before metadata, fields in any order, fields that nobody knows, white space, any case of hex. */
static void test_any_order_and_unknown_fields(void **state)
{
    (void)state;
    assert_int_equal(
        import(
            "\n{\"x\":[{\"slot\":1}],\"data\":[{\"signed_attestations\":[{\"target_epoch\":\"2\","
            "\"note\":{\"a\":[]},\"source_epoch\":\"1\"}],\"index\":7,\"signed_blocks\":[ ],"
            "\"pubkey\":\"0xB845089A1457F811BFC000588FBB4E713669BE8CE060EA6BE3C6ECE09AFC3794106C91CA73"
            "ACDA5E5457122D58723BED\"}], " META "}\n"),
        0);
    assert_int_equal(result.report.attestations, 1);
}

static void test_a_validator_that_comes_twice_is_merged_twice(void **state)
{
    (void)state;
    assert_int_equal(
        import("{" META ",\"data\":["
               "{\"pubkey\":\"" KEY_A
               "\",\"signed_blocks\":[{\"slot\":\"5\"}],\"signed_attestations\":[]},"
               "{\"pubkey\":\"" KEY_A
               "\",\"signed_blocks\":[{\"slot\":\"6\"}],\"signed_attestations\":[]}]}"),
        0);
    assert_int_equal(result.report.validators, 2);
    assert_int_equal(stored(), 3);
}

static void test_P14_numbers_up_to_the_last(void **state)
{
    (void)state;
    assert_int_equal(
        import(
            "{" META ",\"data\":[{\"pubkey\":\"" KEY_A
            "\",\"signed_blocks\":[{\"slot\":\"18446744073709551615\"},{\"slot\":\"9007199254740993\"},"
            "{\"slot\":\"0\"}],\"signed_attestations\":[]}]}"),
        0);
    assert_int_equal(result.report.blocks, 3);
}

/* --- what is refused ------------------------------------------------------------------------------------ */

#define DATA(blocks, votes)                                                                        \
    "{" META ",\"data\":[{\"pubkey\":\"" KEY_A "\",\"signed_blocks\":[" blocks                     \
    "],\"signed_attestations\":[" votes "]}]}"

static const struct {
    const char *file;
    int code;
    const char *message;
} refused[] = {
    {"", ERROR_JSON_SYNTAX, "line 1: "},
    {"[]", ERROR_INTERCHANGE, "must be an object"},
    {"{}", ERROR_INTERCHANGE, "metadata: is missing"},
    {"{" META "}", ERROR_INTERCHANGE, "data: is missing"},
    {"{\"data\":[]}", ERROR_INTERCHANGE, "metadata: is missing"},
    {"{" META ",\"data\":{}}", ERROR_INTERCHANGE, "data: must be an array"},
    {"{" META ",\"data\":null}", ERROR_INTERCHANGE, "data: must be an array"},
    {"{" META "," META ",\"data\":[]}", ERROR_INTERCHANGE, "metadata: comes twice"},
    {"{" META ",\"data\":[]} x", ERROR_JSON_SYNTAX, "text after the end"},
    {"{" META ",\"data\":[", ERROR_JSON_SYNTAX, "ends too early"},
    {"{\"metadata\":{\"interchange_format_version\":\"4\",\"genesis_validators_root\":\"" GENESIS
     "\"},\"data\":[]}",
     ERROR_INTERCHANGE_VERSION, "interchange_format_version: must be \"5\""},
    {"{\"metadata\":{\"interchange_format_version\":5,\"genesis_validators_root\":\"" GENESIS
     "\"},\"data\":[]}",
     ERROR_INTERCHANGE, "interchange_format_version: must be a string"},
    {"{\"metadata\":{\"interchange_format_version\":\"5\"},\"data\":[]}", ERROR_INTERCHANGE,
     "genesis_validators_root: is missing"},
    {"{\"metadata\":{\"genesis_validators_root\":\"" GENESIS "\"},\"data\":[]}", ERROR_INTERCHANGE,
     "interchange_format_version: is missing"},
    {"{\"metadata\":{\"interchange_format_version\":\"5\",\"genesis_validators_root\":\"0x12\"},"
     "\"data\":[]}",
     ERROR_INTERCHANGE, "genesis_validators_root: has the wrong length"},
    {"{" META ",\"data\":[5]}", ERROR_INTERCHANGE, "data[0]: must be an object"},
    {"{" META ",\"data\":[{\"signed_blocks\":[],\"signed_attestations\":[]}]}", ERROR_INTERCHANGE,
     "data[0].pubkey: is missing"},
    {"{" META ",\"data\":[{\"pubkey\":\"" KEY_A "\",\"signed_attestations\":[]}]}",
     ERROR_INTERCHANGE, "data[0].signed_blocks: is missing"},
    {"{" META ",\"data\":[{\"pubkey\":\"" KEY_A "\",\"signed_blocks\":[]}]}", ERROR_INTERCHANGE,
     "data[0].signed_attestations: is missing"},
    {"{" META
     ",\"data\":[{\"pubkey\":\"0xabcd\",\"signed_blocks\":[],\"signed_attestations\":[]}]}",
     ERROR_INTERCHANGE, "data[0].pubkey: has the wrong length"},
    {"{" META ",\"data\":[{\"pubkey\":\"" KEY_A "\",\"pubkey\":\"" KEY_B
     "\",\"signed_blocks\":[],\"signed_attestations\":[]}]}",
     ERROR_INTERCHANGE, "data[0].pubkey: comes twice"},
    {"{" META ",\"data\":[{\"pubkey\":\"b845\",\"signed_blocks\":{},\"signed_attestations\":[]}]}",
     ERROR_INTERCHANGE, "data[0].signed_blocks: must be an array"},
    {DATA("{\"slot\":5}", ""), ERROR_INTERCHANGE,
     "data[0].signed_blocks[0].slot: must be a string"},
    {DATA("{\"slot\":\"-5\"}", ""), ERROR_INTERCHANGE, "slot: is not a decimal number"},
    {DATA("{\"slot\":\"0x5\"}", ""), ERROR_INTERCHANGE, "slot: is not a decimal number"},
    {DATA("{\"slot\":\"5.0\"}", ""), ERROR_INTERCHANGE, "slot: is not a decimal number"},
    {DATA("{\"slot\":\"\"}", ""), ERROR_INTERCHANGE, "slot: is not a decimal number"},
    {DATA("{\"slot\":\" 5\"}", ""), ERROR_INTERCHANGE, "slot: is not a decimal number"},
    {DATA("{\"slot\":\"18446744073709551616\"}", ""), ERROR_INTERCHANGE, "slot: is 2^64 or more"},
    {DATA("{\"signing_root\":\"" ROOT "\"}", ""), ERROR_INTERCHANGE, "[0].slot: is missing"},
    {DATA("{\"slot\":\"5\",\"slot\":\"6\"}", ""), ERROR_INTERCHANGE, "slot: comes twice"},
    {DATA("{\"slot\":[\"5\"]}", ""), ERROR_INTERCHANGE, "slot: must be a string"},
    {DATA("{\"slot\":\"5\",\"signing_root\":\"0x00\"}", ""), ERROR_INTERCHANGE,
     "signing_root: has the wrong length"},
    {DATA("{\"slot\":\"5\",\"signing_root\":\"zz\"}", ""), ERROR_INTERCHANGE,
     "signing_root: is not 0x-prefixed hex"},
    {DATA("{\"slot\":\"5\",\"signing_root\":{}}", ""), ERROR_INTERCHANGE,
     "signing_root: must be a string"},
    {DATA("\"5\"", ""), ERROR_INTERCHANGE, "data[0].signed_blocks[0]: must be an object"},
    {DATA("", "{\"source_epoch\":\"1\"}"), ERROR_INTERCHANGE,
     "data[0].signed_attestations[0].target_epoch: is missing"},
    {DATA("", "{\"target_epoch\":\"1\"}"), ERROR_INTERCHANGE, "source_epoch: is missing"},
    {DATA("", "{\"source_epoch\":\"1\",\"target_epoch\":2}"), ERROR_INTERCHANGE,
     "target_epoch: must be a string"},
    {DATA("", "{\"source_epoch\":null,\"target_epoch\":\"2\"}"), ERROR_INTERCHANGE,
     "source_epoch: must be a string"},
    {DATA("", "[]"), ERROR_INTERCHANGE, "data[0].signed_attestations[0]: must be an object"},
};

static void test_what_is_refused_says_where_and_why(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        int code = import(refused[i].file);
        if (code != refused[i].code || !strstr(messages(), refused[i].message) || stored() != 0)
            fail_msg("%s: %s, %s", refused[i].file, error_name((cc_err){code}), messages());
        assert_true(result.faults > 0);
    }
}

/* One bad record late in the file: nothing of it is imported, and every fault is named with its line. */
static void test_nothing_is_imported_of_a_faulty_file(void **state)
{
    (void)state;
    assert_int_equal(import("{" META ",\"data\":[\n{\"pubkey\":\"" KEY_A
                            "\",\"signed_blocks\":[{\"slot\":\"5\"}],\"signed_attestations\":[]},\n"
                            "{\"pubkey\":\"" KEY_B
                            "\",\n\"signed_blocks\":[{\"slot\":\"5\"},\n{\"slot\":\"x\"},"
                            "\n{\"slot\":\"y\"}],\"signed_attestations\":[]}]}"),
                     ERROR_INTERCHANGE);
    assert_int_equal(result.faults, 2);
    assert_string_equal(messages(),
                        "line 5: data[1].signed_blocks[1].slot: is not a decimal number\n"
                        "line 6: data[1].signed_blocks[2].slot: is not a decimal number\n");
    assert_int_equal(stored(), 0);
    assert_false(store->identity.has_genesis_validators_root);
}

static void test_faults_are_bounded(void **state)
{
    (void)state;
    struct buf file = buf_init(1 << 20);
    assert_int_equal(buf_append_str(&file, "{" META ",\"data\":[").code, 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(buf_append_str(&file, i ? ",{}" : "{}").code, 0);
    assert_int_equal(buf_append_str(&file, "]}").code, 0);
    struct kit_text text = {(const char *)file.data, file.len, 0, 0};
    struct interchange_source source = kit_source(&text);
    assert_int_equal(interchange_import(store, &source, NULL, &result).code, ERROR_INTERCHANGE);
    assert_true(result.faults < INTERCHANGE_FAULTS_MAX + 4);
    buf_release(&file);
}

static void test_another_network_is_refused(void **state)
{
    (void)state;
    struct eth_root ours = {{9}};
    assert_int_equal(slash_fix_genesis(store, &ours).code, 0);
    assert_int_equal(import(DATA("{\"slot\":\"5\"}", "")), ERROR_WRONG_NETWORK);
    assert_non_null(strstr(messages(), "another network"));
    assert_int_equal(stored(), 0);
}

static cc_err check_raised(void *context, const struct slash_validator *v)
{
    size_t *count = context;
    assert_true(v->low.has_slot && v->low.has_epochs);
    assert_int_equal(v->low.slot, 40);
    assert_int_equal(v->low.source, 5);
    assert_int_equal(v->low.target, 5);
    ++*count;
    return CC_OK;
}

static int import_above(const char *file, const struct slash_watermark *floor)
{
    struct kit_text text = {file, strlen(file), 0, 7};
    struct interchange_source source = kit_source(&text);
    const struct interchange_rules rules = {.floor = *floor};
    return interchange_import(store, &source, &rules, &result).code;
}

/* An old file knows nothing of what was signed since: neither a new row nor one that is there stays below the floor for it. */
static void test_T08_no_row_lies_below_the_floor_after_an_import(void **state)
{
    (void)state;
    static const char file[] =
        "{" META ",\"data\":[{\"pubkey\":\"" KEY_A
        "\",\"signed_blocks\":[{\"slot\":\"5\"}],\"signed_attestations\":[{\"source_epoch\":\"1\","
        "\"target_epoch\":\"2\"}]},{\"pubkey\":\"" KEY_B
        "\",\"signed_blocks\":[],\"signed_attestations\":[]}]}";
    const struct slash_watermark floor = {true, true, 40, 5, 5};
    size_t count = 0;
    assert_int_equal(import(file), 0);
    for (int again = 0; again < 2; again++)
        assert_int_equal(import_above(file, &floor), 0);
    assert_int_equal(slash_visit(store, NULL, check_raised, &count).code, 0);
    assert_int_equal(count, 2);
    const struct slash_watermark lower = {true, true, 39, 4, 4};
    assert_int_equal(import_above(file, &lower), 0);
    assert_int_equal(slash_visit(store, NULL, check_raised, &count).code, 0);
}

static void test_only_the_chosen_are_imported(void **state)
{
    (void)state;
    static const char file[] =
        "{" META ",\"data\":[{\"pubkey\":\"" KEY_A "\",\"signed_blocks\":[{\"slot\":\"5\"}],"
        "\"signed_attestations\":[]},{\"pubkey\":\"" KEY_B
        "\",\"signed_blocks\":[{\"slot\":\"6\"}],\"signed_attestations\":[]}]}";
    struct kit_text text = {file, sizeof file - 1, 0, 0};
    struct interchange_source source = kit_source(&text);
    struct eth_pubkey only = {{0xa9, 0x9a, 0x76, 0xed, 0x77, 0x96, 0xf7, 0xbe, 0x22, 0xd5,
                               0xb7, 0xe8, 0x5d, 0xee, 0xb7, 0xc5, 0x67, 0x7e, 0x88, 0xe5,
                               0x11, 0xe0, 0xb3, 0x37, 0x61, 0x8f, 0x8c, 0x4e, 0xb6, 0x13,
                               0x49, 0xb4, 0xbf, 0x2d, 0x15, 0x3f, 0x64, 0x9f, 0x7b, 0x53,
                               0x35, 0x9f, 0xe8, 0xb9, 0x4a, 0x38, 0xe4, 0x4c}};
    const struct interchange_rules chosen = {.only = &only, .only_count = 1};
    assert_int_equal(interchange_import(store, &source, &chosen, &result).code, 0);
    assert_int_equal(result.report.validators, 1);
    assert_int_equal(stored(), 2);
    struct buf out = buf_init(1 << 16);
    uint64_t count;
    assert_int_equal(interchange_export(store, kit_write, &out, &only, 1, &count).code, 0);
    assert_int_equal(count, 1);
    only.bytes[0] = 1;
    assert_int_equal(interchange_export(store, kit_write, &out, &only, 1, &count).code, 0);
    assert_int_equal(count, 0);
    buf_release(&out);
}

static void test_P12_a_contradiction_is_reported_with_its_consequence(void **state)
{
    (void)state;
    assert_int_equal(import(DATA("{\"slot\":\"5\",\"signing_root\":\"" ROOT "\"}",
                                 "{\"source_epoch\":\"3\",\"target_epoch\":\"4\"},"
                                 "{\"source_epoch\":\"0\",\"target_epoch\":\"102122\"}")),
                     0);
    assert_int_equal(result.report.contradictory, 1);
    assert_int_equal(result.notes, 1);
    assert_non_null(strstr(messages(), KEY_A));
    assert_non_null(strstr(messages(), "blocks after slot 5"));
    assert_non_null(strstr(messages(), "after target epoch 102122 with source epoch 3 or later"));
}

/* --- export ---------------------------------------------------------------------------------------------- */

static char *export_text(struct slash_store *from, uint64_t *ret_count)
{
    struct buf out = buf_init(1 << 22);
    assert_int_equal(interchange_export(from, kit_write, &out, NULL, 0, ret_count).code, 0);
    char *text = calloc(1, out.len + 1);
    assert_non_null(text);
    memcpy(text, out.data, out.len);
    buf_release(&out);
    return text;
}

static void test_export_needs_a_network(void **state)
{
    (void)state;
    struct buf out = buf_init(1 << 16);
    uint64_t count;
    assert_int_equal(interchange_export(store, kit_write, &out, NULL, 0, &count).code,
                     ERROR_IDENTITY);
    assert_int_equal(out.len, 0);
}

static void grow_random(struct chance *c, struct slash_store *s, bool contradictions)
{
    struct slash_prune_step step;
    kit_register(s, 0, 4);
    for (int i = 0; i < 60; i++) {
        uint64_t key = chance_below(c, 4), t = (uint64_t)i / 4 + chance_below(c, 3);
        if (chance_below(c, 2))
            (void)kit_sign(s, kit_block(key, t, chance_below(c, 3)));
        else
            (void)kit_sign(s, kit_attestation(key, t > 1 ? t - chance_below(c, 2) : t, t, 1));
        if (contradictions && i % 20 == 19) {
            struct slash_attestation a = {chance_below(c, 12), chance_below(c, 18), false, {{0}}};
            struct slash_validator v = {.pubkey = kit_key(key), .attestations = &a};
            struct slash_import_report report = {0};
            v.attestation_count = chance_below(c, 2);
            v.low =
                (struct slash_watermark){chance_below(c, 2), chance_below(c, 2), chance_below(c, 9),
                                         chance_below(c, 9), chance_below(c, 9)};
            assert_int_equal(slash_merge(s, &v, &report).code, 0);
        }
        if (i % 30 == 29)
            assert_int_equal(slash_prune(s, 3 + chance_below(c, 6), 1, &step).code, 0);
    }
}

static struct slash_store *import_copy(const char *text)
{
    static const struct slash_identity nobody;
    struct slash_store *copy;
    assert_int_equal(slash_memory_open(&nobody, &copy).code, 0);
    struct kit_text in = {text, strlen(text), 0, 0};
    struct interchange_source source = kit_source(&in);
    struct interchange_result r = {.messages = buf_init(INTERCHANGE_MESSAGES_MAX)};
    assert_int_equal(interchange_import(copy, &source, NULL, &r).code, 0);
    buf_release(&r.messages);
    return copy;
}

static void test_export_and_import_come_round(void **state)
{
    (void)state;
    struct chance c = chance_new("round trip");
    for (int round = 0; round < 200; round++) {
        static const struct slash_identity known = {.has_genesis_validators_root = true};
        struct slash_store *s;
        uint64_t count;
        assert_int_equal(slash_memory_open(&known, &s).code, 0);
        grow_random(&c, s, false);
        char *first = export_text(s, &count);
        struct slash_store *copy = import_copy(first);
        char *second = export_text(copy, &count);
        assert_int_equal(count, 4);
        assert_string_equal(first, second);
        slash_store_close(copy);
        slash_store_close(s);
        free(first);
        free(second);
    }
}

/* Whatever has happened to a history: who imports its export is at least as strict. */
static void test_P12_an_importer_is_never_looser_than_the_exporter(void **state)
{
    (void)state;
    struct chance c = chance_new("never looser");
    for (int round = 0; round < 300; round++) {
        static const struct slash_identity known = {.has_genesis_validators_root = true};
        struct slash_store *s;
        uint64_t count;
        assert_int_equal(slash_memory_open(&known, &s).code, 0);
        grow_random(&c, s, true);
        char *text = export_text(s, &count);
        for (int i = 0; i < 40; i++) {
            struct slash_store *copy = import_copy(text);
            uint64_t key = chance_below(&c, 4), target = chance_below(&c, 20);
            struct slash_claim claim = kit_attestation(key, chance_below(&c, 20), target, 7);
            if (i % 3 == 0)
                claim = kit_block(key, chance_below(&c, 20), 7);
            if (slash_may_sign(kit_sign(copy, claim))) {
                /* Only tried on the original when the copy says yes: trying records. */
                assert_true(slash_may_sign(kit_sign(s, claim)));
                slash_store_close(copy);
                break;
            }
            slash_store_close(copy);
        }
        slash_store_close(s);
        free(text);
    }
}

static void test_C07_out_of_memory(void **state)
{
    (void)state;
    static const char file[] =
        DATA("{\"slot\":\"5\"}", "{\"source_epoch\":\"3\",\"target_epoch\":\"4\"}");
    struct kit_text text = {file, sizeof file - 1, 0, 0};
    struct interchange_source source = kit_source(&text);
    for (uint64_t nth = 1; nth < 200; nth++) {
        struct buf out = buf_init(1 << 16);
        uint64_t count;
        assert_int_equal(source.rewind(source.context).code, 0);
        (void)alloc_fail_nth(nth);
        cc_err err = interchange_import(store, &source, NULL, &result);
        if (!err.code)
            err = interchange_export(store, kit_write, &out, NULL, 0, &count);
        (void)alloc_fail_nth(0);
        buf_release(&out);
        if (!err.code) {
            assert_true(nth > 5);
            return;
        }
        assert_int_equal(err.code, ERROR_NO_MEMORY);
    }
    fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_a_whole_file),
        T(test_any_order_and_unknown_fields),
        T(test_a_validator_that_comes_twice_is_merged_twice),
        T(test_P14_numbers_up_to_the_last),
        T(test_what_is_refused_says_where_and_why),
        T(test_nothing_is_imported_of_a_faulty_file),
        T(test_faults_are_bounded),
        T(test_another_network_is_refused),
        T(test_T08_no_row_lies_below_the_floor_after_an_import),
        T(test_only_the_chosen_are_imported),
        T(test_P12_a_contradiction_is_reported_with_its_consequence),
        T(test_export_needs_a_network),
        T(test_export_and_import_come_round),
        T(test_P12_an_importer_is_never_looser_than_the_exporter),
        T(test_C07_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
