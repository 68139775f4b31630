#include <inttypes.h>
#include <stdio.h>

#include "base/num.h"

#include "config/config.h"
#include "config/config_table.h"
#include "support/test.h"

static const enum config_room rooms[] = {CONFIG_FOR_FRONT, CONFIG_FOR_CORE, CONFIG_FOR_VAULT,
                                         CONFIG_FOR_LOADER, CONFIG_FOR_FORWARDER};

static struct config full;
static struct config part;

/* Every row has a value of its own that is not its default. */
static void fill(void)
{
    config_defaults(&full);
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        char number[24];
        (void)snprintf(number, sizeof number, "%" PRIu64, u64_min(row->max, 200));
        const char *value = config_row_is_list(row)       ? "A=1,B=2"
                            : row->type == CONFIG_ADDRESS ? "192.0.2.1"
                            : row->type == CONFIG_ROOT    ? ""
                            : row->type == CONFIG_BOOL
                                ? (strcmp(row->default_text, "true") ? "true" : "false")
                            : row->type == CONFIG_CHOICE ? strrchr(row->choices, '|')
                            : row->type == CONFIG_TEXT   ? "/x"
                                                         : number;
        if (row->type == CONFIG_POLICIES)
            value = ""; /* below */
        if (row->type == CONFIG_CHOICE)
            value = value ? value + 1 : row->choices;
        assert_int_equal(config_value_set(&full, row, span_str(value)).code, 0);
    }
    full.auth.policies.count = 1;
    memcpy(full.auth.policies.items[0].name, "old", 4);
}

static void test_each_room_gets_its_rows_and_no_other(void **state)
{
    (void)state;
    static struct config defaults;
    config_defaults(&defaults);
    fill();
    for (size_t r = 0; r < ARRAY_LEN(rooms); r++) {
        CC_CLEANUP(buf_release) struct buf blob = buf_init(1 << 17);
        assert_int_equal(config_encode(&full, rooms[r], &blob).code, 0);
        assert_int_equal(config_decode(buf_span(&blob), rooms[r], &part).code, 0);
        for (size_t i = 0; i < config_row_count; i++) {
            const struct config_row *row = &config_rows[i];
            const struct config *expected = row->rooms & (unsigned)rooms[r] ? &full : &defaults;
            assert_memory_equal((const uint8_t *)&part + row->offset,
                                (const uint8_t *)expected + row->offset, row->size);
        }
    }
}

static void test_what_only_the_loader_needs_stays_with_it(void **state)
{
    (void)state;
    const struct config_row *paths = config_row_find("key_sources.filesystem.paths");
    assert_int_equal(paths->rooms, CONFIG_FOR_LOADER);
    const struct config_row *data_dir = config_row_find("data_dir");
    assert_int_equal(data_dir->rooms, CONFIG_FOR_CORE);
}

static void test_another_rooms_part_is_refused(void **state)
{
    (void)state;
    fill();
    CC_CLEANUP(buf_release) struct buf blob = buf_init(1 << 17);
    assert_int_equal(config_encode(&full, CONFIG_FOR_CORE, &blob).code, 0);
    assert_true(error_is(config_decode(buf_span(&blob), CONFIG_FOR_FRONT, &part), ERROR_PROTOCOL));
}

static void test_every_shorter_blob_is_refused(void **state)
{
    (void)state;
    fill();
    CC_CLEANUP(buf_release) struct buf blob = buf_init(1 << 17);
    assert_int_equal(config_encode(&full, CONFIG_FOR_FRONT, &blob).code, 0);
    for (size_t len = 0; len < blob.len; len++)
        assert_true(error_is(config_decode(span_of(blob.data, len), CONFIG_FOR_FRONT, &part),
                             ERROR_PROTOCOL));
    assert_int_equal(buf_append(&blob, "", 1).code, 0);
    assert_true(error_is(config_decode(buf_span(&blob), CONFIG_FOR_FRONT, &part), ERROR_PROTOCOL));
}

/* A blob whose field `path` is all ones. */
static void refuses_field(const char *path, enum config_room room)
{
    fill();
    const struct config_row *row = config_row_find(path);
    memset((uint8_t *)&full + row->offset, 0xff, row->size);
    CC_CLEANUP(buf_release) struct buf blob = buf_init(1 << 17);
    assert_int_equal(config_encode(&full, room, &blob).code, 0);
    assert_true(error_is(config_decode(buf_span(&blob), room, &part), ERROR_PROTOCOL));
}

static void test_unsound_fields_are_refused(void **state)
{
    (void)state;
    refuses_field("data_dir", CONFIG_FOR_CORE);
    refuses_field("server.host_allowlist", CONFIG_FOR_FRONT);
    refuses_field("key_sources.filesystem.paths", CONFIG_FOR_LOADER);
    refuses_field("logging.level", CONFIG_FOR_VAULT);
    refuses_field("auth.mode", CONFIG_FOR_CORE);
    refuses_field("auth_policies", CONFIG_FOR_CORE);
    refuses_field("anti_slashing.i_accept_slashing_risk", CONFIG_FOR_CORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_room_gets_its_rows_and_no_other),
        cmocka_unit_test(test_what_only_the_loader_needs_stays_with_it),
        cmocka_unit_test(test_another_rooms_part_is_refused),
        cmocka_unit_test(test_every_shorter_blob_is_refused),
        cmocka_unit_test(test_unsound_fields_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
