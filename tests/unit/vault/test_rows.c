/* Rows of key stores at door B: what opens where, and what a core must not get by them. */
#include <stdlib.h>
#include <string.h>

#include "crypto/bls.h"
#include "support/core_room.h"
#include "support/key_room.h"
#include "support/test.h"
#include "support/vault_group.h"

/* No answer holds a byte of the key. */
static void ask(uint16_t type, const void *item, size_t size, uint16_t answer_type)
{
    uint8_t secret[32];
    test_secret(1, secret);
    assert_int_equal(core_ask(&room, type, item, size, 1, answer).code, 0);
    assert_int_equal(answer->head.type, answer_type);
    assert_null(memmem(answer->items, answer->head.item_size, secret, 8));
}

static struct b_row import(const struct k_keystore *keystore, enum row_status status)
{
    struct b_row row;
    const struct b_import question = {
        .id = 7, .status = status, .version = 1, .keystore = *keystore};
    ask(B_IMPORT, &question, sizeof question, B_ROW);
    memcpy(&row, answer->items, sizeof row);
    assert_int_equal(row.id, 7);
    return row;
}

static struct sealed_row sealed(enum row_status status)
{
    const struct k_keystore keystore = test_keystore(1);
    const struct b_row row = import(&keystore, status);
    assert_int_equal(row.error, 0);
    return row.row;
}

static struct b_opened open_row(const struct sealed_row *row)
{
    struct b_opened opened;
    const struct b_open_row question = {.id = 8, .source = B_KEY_FROM_ROW, .row = *row};
    ask(B_OPEN_ROW, &question, sizeof question, B_OPENED);
    memcpy(&opened, answer->items, sizeof opened);
    assert_int_equal(opened.id, 8);
    return opened;
}

static struct b_row reseal(const struct sealed_row *row, uint32_t status, uint64_t version)
{
    struct b_row answered;
    const struct b_seal_row question = {.id = 9, .status = status, .version = version, .row = *row};
    ask(B_SEAL_ROW, &question, sizeof question, B_ROW);
    memcpy(&answered, answer->items, sizeof answered);
    return answered;
}

static uint32_t sign(struct key_handle key, uint64_t target, uint8_t variant)
{
    struct b_signed result;
    struct b_sign request = {
        .id = 1, .key = key, .pubkey = test_pubkey(1), .claim = B_CLAIM_ATTESTATION};
    request.body.attestation.target.epoch = target;
    request.body.attestation.beacon_block_root.bytes[0] = variant;
    ask(B_SIGN, &request, sizeof request, B_SIGNED);
    memcpy(&result, answer->items, sizeof result);
    return result.error;
}

static uint32_t held(void)
{
    const struct b_keys question = {.id = 3};
    struct b_key_list list;
    ask(B_KEYS, &question, sizeof question, B_KEY_LIST);
    memcpy(&list, answer->items, sizeof list);
    return list.count;
}

static void test_P15_an_import_puts_no_key_into_the_table(void **state)
{
    (void)state;
    const struct sealed_row row = sealed(ROW_ACTIVE);
    assert_int_equal(held(), 0);
    assert_int_equal(sign((struct key_handle){0, 1}, 10, 1), ERROR_KEY_UNKNOWN);
    const struct b_opened opened = open_row(&row);
    assert_int_equal(opened.error, 0);
    assert_int_equal(held(), 1);
    assert_int_equal(sign(opened.key, 10, 1), 0);
    const struct k_keystore keystore = test_keystore(1);
    assert_int_equal(import(&keystore, ROW_ACTIVE).held, 1);
}

static void test_P13_a_keystore_is_checked_whole(void **state)
{
    struct k_keystore keystore = test_keystore(1);
    (void)state;
    keystore.pubkey.bytes[9] ^= 1;
    struct b_row row = import(&keystore, ROW_ACTIVE);
    assert_int_equal(row.error, ERROR_KEYSTORE_PUBKEY);
    static const struct sealed_row none;
    assert_memory_equal(&row.row, &none, sizeof none);
    keystore = test_keystore(1);
    keystore.password[0] ^= 1;
    assert_int_equal(import(&keystore, ROW_ACTIVE).error, ERROR_KEYSTORE_PASSWORD);
    keystore = test_keystore(1);
    keystore.has_pubkey = 0;
    row = import(&keystore, ROW_ACTIVE);
    assert_int_equal(row.error, 0);
    assert_memory_equal(&row.row.pubkey, &keystore.pubkey, sizeof keystore.pubkey);
    assert_int_equal(import(&keystore, ROW_DELETED).error, ERROR_PROTOCOL);
    assert_int_equal(import(&keystore, (enum row_status)0).error, ERROR_PROTOCOL);
}

/* What a store's writer could try: each part of the place, and each part of what is sealed. */
static void test_T03_a_row_opens_only_where_it_was_sealed(void **state)
{
    (void)state;
    const struct sealed_row row = sealed(ROW_ACTIVE);
    struct sealed_row forged = row;
    forged.version++;
    assert_int_equal(open_row(&forged).error, ERROR_TAMPERED);
    forged = row;
    forged.generation++;
    assert_int_equal(open_row(&forged).error, ERROR_TAMPERED);
    forged = row;
    forged.pubkey = test_keystore(2).pubkey;
    assert_int_equal(open_row(&forged).error, ERROR_TAMPERED);
    for (size_t i = 0; i < sizeof row.sealed; i++) {
        forged = row;
        forged.sealed[i] ^= 0x40;
        assert_int_equal(open_row(&forged).error, ERROR_TAMPERED);
    }
    forged = row;
    forged.version = 0;
    assert_int_equal(open_row(&forged).error, ERROR_PROTOCOL);
    forged.status = ROW_DELETED;
    assert_int_equal(open_row(&forged).error, ERROR_PROTOCOL);
    const struct sealed_row inactive = sealed(ROW_INACTIVE);
    assert_int_equal(open_row(&inactive).error, ERROR_DENIED);
    forged = inactive;
    forged.status = ROW_ACTIVE;
    assert_int_equal(open_row(&forged).error, ERROR_TAMPERED);
    assert_int_equal(held(), 0);
    assert_int_equal(open_row(&row).error, 0);
}

static void test_T03_another_chambers_row_does_not_open(void **state)
{
    struct test_chamber other;
    struct vault_room first = room;
    (void)state;
    const struct sealed_row row = sealed(ROW_ACTIVE);
    test_chamber_make(&other);
    vault_room_start(&room, &other, ROOM_MODE_SERVE, false);
    vault_room_greet(&room, &other);
    assert_int_equal(open_row(&row).error, ERROR_TAMPERED);
    assert_int_equal(vault_room_stop(&room), 0);
    test_chamber_remove(&other);
    room = first;
}

static void test_a_row_is_sealed_anew_for_a_later_version_only(void **state)
{
    (void)state;
    const struct sealed_row row = sealed(ROW_ACTIVE);
    assert_int_equal(reseal(&row, ROW_INACTIVE, 1).error, ERROR_PROTOCOL);
    assert_int_equal(reseal(&row, ROW_DELETED, 2).error, ERROR_PROTOCOL);
    const struct b_row inactive = reseal(&row, ROW_INACTIVE, 2);
    assert_int_equal(inactive.error, 0);
    assert_int_equal(inactive.row.status, ROW_INACTIVE);
    assert_int_equal(inactive.row.version, 2);
    assert_memory_not_equal(inactive.row.sealed, row.sealed, sizeof row.sealed);
    assert_int_equal(open_row(&inactive.row).error, ERROR_DENIED);
    const struct b_row active = reseal(&inactive.row, ROW_ACTIVE, 9);
    assert_int_equal(active.error, 0);
    assert_int_equal(open_row(&active.row).error, 0);
    struct sealed_row forged = row;
    forged.sealed[20] ^= 1;
    assert_int_equal(reseal(&forged, ROW_INACTIVE, 2).error, ERROR_TAMPERED);
}

/* C9: a core that takes a key out and in again has not made the vault forget. */
static void test_C09_a_floor_outlives_the_reload_of_a_row(void **state)
{
    (void)state;
    const struct sealed_row row = sealed(ROW_ACTIVE);
    struct b_opened opened = open_row(&row);
    assert_int_equal(sign(opened.key, 10, 1), 0);
    const struct b_key gone = {.id = 4, .key = opened.key};
    ask(B_REMOVE, &gone, sizeof gone, B_ANSWER);
    assert_int_equal(sign(opened.key, 11, 1), ERROR_KEY_UNKNOWN);
    opened = open_row(&row);
    assert_int_equal(opened.error, 0);
    assert_int_equal(sign(opened.key, 10, 2), ERROR_SLASHABLE);
    assert_int_equal(sign(opened.key, 10, 1), 0);
}

static void test_nothing_before_the_history_is_proved(void **state)
{
    const struct k_keystore keystore = test_keystore(1);
    const struct sealed_row row = {.status = ROW_ACTIVE, .generation = 1, .version = 1};
    (void)state;
    assert_int_equal(import(&keystore, ROW_ACTIVE).error, ERROR_IDENTITY);
    assert_int_equal(open_row(&row).error, ERROR_IDENTITY);
    assert_int_equal(reseal(&row, ROW_INACTIVE, 2).error, ERROR_IDENTITY);
}

static void test_T03_a_closed_master_key_takes_the_keys_of_rows_along(void **state)
{
    const struct b_set_drop pending = {.id = 4, .what = B_DROP_PENDING};
    const struct b_set_drop open = {.id = 4, .what = B_DROP_OPEN};
    struct b_set present = {.id = 5, .which = B_SET_PRESENT, .set = chamber.set};
    uint8_t file[32];
    (void)state;
    const struct sealed_row row = sealed(ROW_ACTIVE);
    const struct b_opened opened = open_row(&row);
    assert_int_equal(opened.error, 0);
    assert_int_equal(sign(opened.key, 5, 1), 0);
    test_secret(2, file);
    const struct k_result loaded = loader_add_raw(&room, file);
    ask(B_SET_DROP, &pending, sizeof pending, B_SEAL_STATE);
    assert_int_equal(held(), 2);
    ask(B_SET_DROP, &open, sizeof open, B_SEAL_STATE);
    assert_int_equal(held(), 1);
    assert_int_equal(sign(opened.key, 6, 1), ERROR_KEY_UNKNOWN);
    assert_int_equal(open_row(&row).error, ERROR_SEALED);
    assert_int_equal(reseal(&row, ROW_ACTIVE, 2).error, ERROR_SEALED);
    (void)loaded;
    ask(B_SET_OPEN, &present, sizeof present, B_SEAL_STATE);
    const struct b_opened again = open_row(&row);
    assert_int_equal(again.error, 0);
    assert_int_equal(sign(again.key, 6, 1), 0);
    assert_int_equal(sign(again.key, 6, 2), ERROR_SLASHABLE); /* the floor has stayed */
}

static void test_a_sealed_vault_opens_nothing(void **state)
{
    const struct k_keystore keystore = test_keystore(1);
    const struct b_seal seal = {.id = 5};
    (void)state;
    const struct sealed_row row = sealed(ROW_ACTIVE);
    ask(B_SEAL, &seal, sizeof seal, B_ANSWER);
    assert_int_equal(import(&keystore, ROW_ACTIVE).error, ERROR_SEALED);
    assert_int_equal(open_row(&row).error, ERROR_SEALED);
    assert_int_equal(reseal(&row, ROW_INACTIVE, 2).error, ERROR_SEALED);
}

/* Signing goes on while keystores are opened: they have threads of their own. */
static void test_a_slow_keystore_holds_up_no_signature(void **state)
{
    struct b_row row;
    (void)state;
    const struct sealed_row good = sealed(ROW_ACTIVE);
    const struct b_opened opened = open_row(&good);
    struct b_import slow = {
        .id = 77, .status = ROW_ACTIVE, .version = 1, .keystore = test_keystore(2)};
    slow.keystore.c = 1 << 21; /* about a second */
    assert_int_equal(door_send(room.core, room.core_life, B_IMPORT, &slow, sizeof slow, 1).code, 0);
    slow.id = 78;
    assert_int_equal(door_send(room.core, room.core_life, B_IMPORT, &slow, sizeof slow, 1).code, 0);
    for (uint64_t target = 20; target < 24; target++)
        assert_int_equal(sign(opened.key, target, 1), 0); /* its answer comes first */
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(door_receive(room.core, room.core_life, door_b_to_core, answer).code, 0);
        assert_int_equal(answer->head.type, B_ROW);
        memcpy(&row, answer->items, sizeof row);
        assert_int_equal(row.error, ERROR_KEYSTORE_PASSWORD);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vault_setup_greeted, vault_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_P15_an_import_puts_no_key_into_the_table),
        TEST(test_P13_a_keystore_is_checked_whole),
        TEST(test_T03_a_row_opens_only_where_it_was_sealed),
        TEST(test_T03_another_chambers_row_does_not_open),
        TEST(test_a_row_is_sealed_anew_for_a_later_version_only),
        TEST(test_C09_a_floor_outlives_the_reload_of_a_row),
        cmocka_unit_test_setup_teardown(test_nothing_before_the_history_is_proved, vault_setup,
                                        vault_teardown),
        TEST(test_T03_a_closed_master_key_takes_the_keys_of_rows_along),
        TEST(test_a_sealed_vault_opens_nothing),
        TEST(test_a_slow_keystore_holds_up_no_signature),
    };
    return cmocka_run_group_tests(tests, vault_group_setup, vault_group_teardown);
}
