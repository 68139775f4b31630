/* A load against the real vault: what the loader sends is what the vault takes. */
#include <stdio.h>
#include <unistd.h>

#include "base/span.h"

#include "keys/load.h"
#include "support/folder.h"
#include "support/keystore.h"
#include "support/test.h"
#include "support/vault_room.h"

static struct folder folder;
static struct filesystem_config config;

static void write_keystore(const char *name, uint8_t secret, const char *password, uint8_t claimed)
{
    uint8_t other[32] = {[31] = claimed};
    struct eth_pubkey pubkey = keystore_pubkey(other);
    struct keystore_recipe recipe = {
        .password = password, .scrypt = secret % 2, .pubkey = &pubkey, .secret[31] = secret};
    struct buf text = buf_init(4096);
    assert_int_equal(keystore_make(&recipe, &text).code, 0);
    folder_write(&folder, name, text.data, text.len, 0600);
    buf_release(&text);
}

/* Runs a load with the room's next key door and counts what the core hears. */
static void load(struct vault_room *room, struct l_done *ret_done, uint64_t *ret_existed)
{
    static struct door_message message;
    int load_door[2];
    assert_int_equal(door_pair(load_door).code, 0);
    const struct load_doors doors = {.key_fd = room->loader,
                                     .key_life = room->loader_life,
                                     .load_fd = load_door[0],
                                     .load_life = 1};
    assert_int_equal(load_run(&config, &doors).code, 0);
    (void)close(load_door[0]);
    *ret_existed = 0;
    while (!door_receive(load_door[1], 1, door_load_to_core, &message).code) {
        if (message.head.type == L_DONE) {
            memcpy(ret_done, message.items, sizeof *ret_done);
            continue;
        }
        for (uint32_t i = 0; i < message.head.count; i++) {
            struct l_key key;
            memcpy(&key, message.items + i * sizeof key, sizeof key);
            *ret_existed += key.existed;
        }
    }
    (void)close(load_door[1]);
    vault_room_next_loader(room);
}

static void test_keys_of_every_sort_reach_the_vault(void **state)
{
    (void)state;
    struct test_chamber chamber;
    struct vault_room room;
    struct l_done done = {0};
    uint64_t existed = 0;
    char name[32];
    folder_make(&folder);
    log_set_level(LOG_LEVEL_ERROR);
    config = (struct filesystem_config){.path_count = 1, .keystore_load_concurrency = 128};
    (void)snprintf(config.paths[0], sizeof config.paths[0], "%s", folder.path);
    (void)snprintf(config.password_file, sizeof config.password_file, "%s/shared", folder.path);
    folder_write_text(&folder, "shared", "p");
    for (uint8_t i = 1; i <= 200; i++) {
        (void)snprintf(name, sizeof name, "k%03u.json", i);
        write_keystore(name, i, "p", i);
    }
    folder_write_text(&folder, "raw.yaml",
                      "type: file-raw\nprivateKey: "
                      "0x00000000000000000000000000000000000000000000000000000000000000ff\n");
    write_keystore("pair.json", 201, "p", 202);
    write_keystore("password.json", 203, "q", 203);
    test_chamber_make(&chamber);
    vault_room_start(&room, &chamber, ROOM_MODE_SERVE, true);
    vault_room_greet(&room, &chamber);
    load(&room, &done, &existed);
    assert_int_equal(done.files, 203);
    assert_int_equal(done.loaded, 201);
    assert_int_equal(done.failed, 2);
    assert_int_equal(existed, 0);
    load(&room, &done, &existed);
    assert_int_equal(done.loaded, 201);
    assert_int_equal(done.failed, 2);
    assert_int_equal(existed, 201);
    assert_int_equal(vault_room_stop(&room), 0);
    test_chamber_remove(&chamber);
    folder_remove(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_of_every_sort_reach_the_vault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
