/* One load against a vault and a core of the test's own, each a thread at its end of a door. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

#include "keys/filesystem.h"
#include "keys/key_map.h"
#include "keys/load.h"
#include "keys/load_vault.h"
#include "support/folder.h"
#include "support/keystore.h"
#include "support/test.h"

enum {
    LIFE = 7,
    MANY = 16384
};

/* --- the vault --------------------------------------------------------------------------------------- */

struct vault {
    int fd;
    struct key_map keys; /* what it holds; stays over several loads */
    struct k_result held[MANY];
    size_t held_count;
    size_t keystores_held;
    size_t most_keystores_held; /* at one time */
    size_t most_raw_held;
    unsigned raw;
    unsigned keystores;
    unsigned have;
    unsigned leave_after; /* closes its door after so many keystores; 0: never */
    bool answer_nonsense;
};

static void vault_add(struct vault *v, struct k_result *result, const struct eth_pubkey *pubkey)
{
    result->pubkey = *pubkey;
    result->existed = key_map_find(&v->keys, pubkey) != NULL;
    if (!result->existed)
        cc_assert(!key_map_put(&v->keys, pubkey, (uint32_t)v->keys.count).code);
    result->key = (struct key_handle){*key_map_find(&v->keys, pubkey), 1};
}

static void vault_raw(struct vault *v, const struct k_raw *raw, struct k_result *result)
{
    static const uint8_t zero[32];
    v->raw++;
    if (span_equal(span_of(raw->secret, 32), span_of(zero, 32))) {
        result->error = ERROR_KEY_INVALID;
        return;
    }
    struct eth_pubkey pubkey = keystore_pubkey(raw->secret);
    vault_add(v, result, &pubkey);
}

static void vault_keystore(struct vault *v, const struct k_keystore *k, struct k_result *result)
{
    uint8_t secret[32];
    struct eth_pubkey pubkey;
    v->keystores++;
    cc_err err = keystore_open(k, secret, &pubkey);
    result->error = (uint32_t)err.code;
    if (!err.code)
        vault_add(v, result, &pubkey);
}

static void vault_have(struct vault *v, const struct k_have *have, struct k_result *result)
{
    const uint32_t *index = key_map_find(&v->keys, &have->pubkey);
    v->have++;
    result->error = index ? 0 : ERROR_KEY_UNKNOWN;
    result->existed = index != NULL;
    result->pubkey = have->pubkey;
    if (index)
        result->key = (struct key_handle){*index, 1};
}

static void vault_take(struct vault *v, const struct door_message *m)
{
    for (uint32_t i = 0; i < m->head.count; i++) {
        const uint8_t *at = m->items + (size_t)i * m->head.item_size;
        struct k_result result = {0};
        if (m->head.type == K_RAW) {
            struct k_raw raw;
            memcpy(&raw, at, sizeof raw);
            result.id = raw.id;
            vault_raw(v, &raw, &result);
        } else if (m->head.type == K_KEYSTORE) {
            struct k_keystore keystore;
            memcpy(&keystore, at, sizeof keystore);
            result.id = keystore.id;
            vault_keystore(v, &keystore, &result);
        } else {
            struct k_have have;
            memcpy(&have, at, sizeof have);
            result.id = have.id;
            vault_have(v, &have, &result);
        }
        cc_assert(v->held_count < ARRAY_LEN(v->held));
        v->held[v->held_count++] = result;
    }
    if (m->head.type == K_KEYSTORE && ++v->keystores_held > v->most_keystores_held)
        v->most_keystores_held = v->keystores_held;
    if (m->head.type == K_RAW && v->held_count > v->most_raw_held)
        v->most_raw_held = v->held_count;
}

/* Answers when nothing more comes, the last first. */
static void vault_answer(struct vault *v)
{
    struct k_result reversed[256];
    while (v->held_count) {
        size_t n = 0;
        while (v->held_count && n < ARRAY_LEN(reversed))
            reversed[n++] = v->held[--v->held_count];
        if (v->answer_nonsense)
            reversed[0].id = 1u << 30;
        /* A loader that has gone is no fault of the vault. */
        cc_err ignored = door_send(v->fd, LIFE, K_RESULT, reversed, sizeof reversed[0], n);
        (void)ignored;
    }
    v->keystores_held = 0;
}

static void *vault_run(void *context)
{
    struct vault *v = context;
    struct door_message *m = cc_alloc(sizeof *m);
    for (;;) {
        struct pollfd p = {.fd = v->fd, .events = POLLIN};
        if (poll(&p, 1, v->held_count ? 5 : -1) == 0) {
            vault_answer(v);
            continue;
        }
        if (door_receive(v->fd, LIFE, door_key_to_vault, m).code)
            break;
        vault_take(v, m);
        if (v->leave_after && v->keystores >= v->leave_after)
            break;
    }
    (void)shutdown(v->fd, SHUT_RDWR);
    cc_free(m);
    return NULL;
}

/* --- the core ---------------------------------------------------------------------------------------- */

struct core {
    int fd;
    struct l_key keys[MANY];
    size_t count;
    size_t listed; /* keys before the first L_DONE */
    struct l_done done[2];
    unsigned done_count;
};

static void *core_run(void *context)
{
    struct core *c = context;
    struct door_message *m = cc_alloc(sizeof *m);
    while (!door_receive(c->fd, LIFE, door_load_to_core, m).code) {
        if (m->head.type == L_KEYS) {
            size_t size = m->head.count * sizeof(struct l_key);
            cc_assert(c->count + m->head.count <= MANY);
            memcpy(c->keys + c->count, m->items, size);
            c->count += m->head.count;
            continue;
        }
        cc_assert(c->done_count < 2);
        if (c->done_count == 0)
            c->listed = c->count;
        memcpy(&c->done[c->done_count++], m->items, sizeof c->done[0]);
    }
    cc_free(m);
    return NULL;
}

/* --- a load ------------------------------------------------------------------------------------------ */

static struct folder folder;
static struct filesystem_config config;
static struct vault vault;
static struct core core;

static int setup(void **state)
{
    (void)state;
    folder_make(&folder);
    vault = (struct vault){0};
    config = (struct filesystem_config){.path_count = 1, .keystore_load_concurrency = 4};
    (void)snprintf(config.paths[0], sizeof config.paths[0], "%s", folder.path);
    log_set_level(LOG_LEVEL_ERROR);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    key_map_release(&vault.keys);
    folder_remove(&folder);
    return 0;
}

static cc_err load(void)
{
    int key_door[2];
    int load_door[2];
    pthread_t vault_thread;
    pthread_t core_thread;
    memset(&core, 0, sizeof core);
    vault.held_count = 0;
    vault.keystores_held = 0;
    vault.most_keystores_held = 0;
    vault.most_raw_held = 0;
    vault.raw = vault.keystores = vault.have = 0;
    assert_int_equal(door_pair(key_door).code, 0);
    assert_int_equal(door_pair(load_door).code, 0);
    vault.fd = key_door[1];
    core.fd = load_door[1];
    assert_int_equal(pthread_create(&vault_thread, NULL, vault_run, &vault), 0);
    assert_int_equal(pthread_create(&core_thread, NULL, core_run, &core), 0);
    const struct load_doors doors = {.key_fd = key_door[0],
                                     .key_life = LIFE,
                                     .load_fd = load_door[0],
                                     .load_life = LIFE,
                                     .knows_history = true,
                                     .history_id = {1, 2, 3}};
    cc_err err = load_run(&config, &doors);
    (void)close(key_door[0]);
    (void)close(load_door[0]);
    assert_int_equal(pthread_join(vault_thread, NULL), 0);
    assert_int_equal(pthread_join(core_thread, NULL), 0);
    (void)close(key_door[1]);
    (void)close(load_door[1]);
    return err;
}

/* Runs a load that must come to its end, and checks its two L_DONE. */
static void load_and_count(uint64_t files, uint64_t loaded, uint64_t failed)
{
    assert_int_equal(load().code, 0);
    assert_int_equal(core.done_count, 2);
    assert_int_equal(core.done[0].scanned, 1);
    assert_int_equal(core.done[1].scanned, 0);
    assert_int_equal(core.done[0].files, files);
    assert_int_equal(core.done[1].files, files);
    assert_int_equal(core.done[1].loaded, loaded);
    assert_int_equal(core.done[1].failed, failed);
    assert_int_equal(core.done[0].complete, core.done[1].complete);
}

/* The nth thing said about the file `name`; state 0 when there is none. */
static const struct l_key *said(const char *name, unsigned nth)
{
    static const struct l_key nothing = {.path = "nothing"};
    const char *path = folder_at(&folder, name);
    for (size_t i = 0; i < core.count; i++)
        if (!strcmp(core.keys[i].path, path) && nth-- == 0)
            return &core.keys[i];
    return &nothing;
}

static void assert_failed(const char *name, enum error_code code)
{
    const struct l_key *key = said(name, 0);
    if (key->state == L_FOUND)
        key = said(name, 1);
    if (key->error != (uint32_t)code)
        print_error("%s: %s\n", name, error_name(error_from_number(key->error)));
    assert_int_equal(key->state, L_FAILED);
    assert_int_equal(key->error, code);
}

static void assert_loaded(const char *name, unsigned secret)
{
    uint8_t bytes[32] = {[30] = (uint8_t)(secret >> 8), [31] = (uint8_t)secret};
    struct eth_pubkey pubkey = keystore_pubkey(bytes);
    const struct l_key *key = said(name, 0);
    if (key->state == L_FOUND)
        key = said(name, 1);
    if (key->state != L_LOADED)
        print_error("%s: %s\n", name, error_name(error_from_number(key->error)));
    assert_int_equal(key->state, L_LOADED);
    assert_int_equal(key->has_pubkey, 1);
    assert_memory_equal(&key->pubkey, &pubkey, sizeof pubkey);
}

/* --- files ------------------------------------------------------------------------------------------- */

static struct eth_pubkey pubkey_of(unsigned secret)
{
    uint8_t bytes[32] = {[30] = (uint8_t)(secret >> 8), [31] = (uint8_t)secret};
    return keystore_pubkey(bytes);
}

static void
write_keystore(const char *name, unsigned secret, const char *password, unsigned claimed)
{
    struct keystore_recipe recipe = {.password = password, .scrypt = secret % 2};
    struct eth_pubkey pubkey;
    struct buf text = buf_init(4096);
    recipe.secret[30] = (uint8_t)(secret >> 8);
    recipe.secret[31] = (uint8_t)secret;
    if (claimed) {
        pubkey = pubkey_of(claimed);
        recipe.pubkey = &pubkey;
    }
    assert_int_equal(keystore_make(&recipe, &text).code, 0);
    folder_write(&folder, name, text.data, text.len, 0600);
    buf_release(&text);
}

static void write_raw(const char *name, unsigned secret)
{
    char text[200];
    (void)snprintf(text, sizeof text, "type: file-raw\nkeyType: BLS\nprivateKey: 0x%064x\n",
                   secret);
    folder_write_text(&folder, name, text);
}

static void write_description(const char *name, const char *keystore, const char *password)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "type: file-keystore\nkeystoreFile: %s\nkeystorePasswordFile: %s\n", keystore,
                   password);
    folder_write_text(&folder, name, text);
}

/* --- tests ------------------------------------------------------------------------------------------- */

static void test_no_files(void **state)
{
    (void)state;
    load_and_count(0, 0, 0);
    assert_int_equal(core.done[1].complete, 1);
    config.path_count = 0;
    load_and_count(0, 0, 0);
    assert_int_equal(core.done[1].complete, 1);
}

static void test_every_sort_of_good_file(void **state)
{
    (void)state;
    folder_mkdir(&folder, "passwords");
    (void)snprintf(config.passwords_path, sizeof config.passwords_path, "%s/passwords",
                   folder.path);
    (void)snprintf(config.password_file, sizeof config.password_file, "%s/shared", folder.path);
    write_raw("raw.yaml", 1);
    folder_write_text(&folder, "several.yml",
                      "type: file-raw\nprivateKey: "
                      "0000000000000000000000000000000000000000000000000000000000000002\n---\n"
                      "type: file-raw\nprivateKey: "
                      "0000000000000000000000000000000000000000000000000000000000000003\n");
    write_keystore("k10.json", 10, "p10",
                   10); /* password in its own directory, before one beside */
    folder_write_text(&folder, "passwords/k10.txt", "p10\n");
    folder_write_text(&folder, "k10.txt", "wrong\n");
    write_keystore("k11.json", 11, "p11", 11);
    folder_write_text(&folder, "k11.txt", "p11\r\n");
    write_keystore("k12.json", 12, "p12", 0); /* names no public key */
    folder_write_text(&folder, "k12.password", "p12");
    write_keystore("k13.json", 13, "for all", 13);
    folder_write_text(&folder, "shared", "for all\n");
    folder_mkdir(&folder, "elsewhere"); /* not scanned itself */
    write_keystore("elsewhere/k14", 14, "p14", 14);
    folder_write_text(&folder, "elsewhere/p", "p14");
    write_description("d14.yaml", "elsewhere/k14", "elsewhere/p");
    write_keystore("k15.json", 15, "p15", 0); /* named by a description, so no file of its own */
    folder_write_text(&folder, "elsewhere/p15", "p15");
    write_description("d15.yaml", folder_at(&folder, "k15.json"), "elsewhere/p15");
    assert_int_equal(symlink("elsewhere/k14", folder_at(&folder, "link.json")), 0);
    folder_write_text(&folder, "deposit_data-1.json", "[{\"pubkey\": \"00\"}]");
    folder_write_text(&folder, "notes.txt", "nothing");
    load_and_count(11, 9, 0);
    assert_int_equal(core.done[1].complete, 1);
    assert_loaded("raw.yaml", 1);
    assert_int_equal(said("several.yml", 0)->state, L_LOADED);
    assert_int_equal(said("several.yml", 1)->state, L_LOADED);
    assert_loaded("k10.json", 10);
    assert_loaded("k11.json", 11);
    assert_loaded("k12.json", 12);
    assert_loaded("k13.json", 13);
    assert_loaded("d14.yaml", 14);
    assert_loaded("d15.yaml", 15);
    assert_int_equal(said("k15.json", 0)->state, 0);
    assert_int_equal(said("link.json", 0)->state, 0);
    assert_int_equal(vault.keystores, 6);
    assert_int_equal(vault.raw, 3);
}

static void test_the_scan_names_every_key_before_any_decryption(void **state)
{
    (void)state;
    write_raw("r.yaml", 1);
    write_keystore("a.json", 2, "p", 2);
    folder_write_text(&folder, "a.txt", "p");
    write_keystore("b.json", 3, "p", 3); /* without a password: found all the same */
    write_keystore("c.json", 4, "p", 0); /* which key, only its decryption tells */
    folder_write_text(&folder, "c.txt", "p");
    load_and_count(4, 3, 1);
    assert_int_equal(core.listed, 4);
    for (size_t i = 0; i < core.listed; i++)
        assert_int_equal(core.keys[i].has_pubkey, core.keys[i].path != said("c.json", 0)->path);
    assert_int_equal(said("c.json", 0)->state, L_FOUND);
    assert_loaded("c.json", 4);
    assert_int_equal(said("a.json", 0)->state, L_FOUND);
    assert_int_equal(said("b.json", 0)->state, L_FOUND);
    assert_int_equal(said("r.yaml", 0)->state, L_LOADED);
    assert_failed("b.json", ERROR_PASSWORD_FILE);
    assert_int_equal(said("b.json", 1)->has_pubkey, 1);
}

static void test_one_bad_file_does_not_stop_the_rest(void **state)
{
    (void)state;
    write_keystore("good.json", 2, "p", 2);
    folder_write_text(&folder, "good.txt", "p");
    write_raw("good.yaml", 1);
    folder_write_text(&folder, "json.json", "{\"version\": 4");
    folder_write_text(&folder, "twice.json", "{\"version\": 4, \"version\": 4}");
    folder_write_text(&folder, "empty.json", "");
    folder_write_text(&folder, "v3.json", "{\"version\": 3, \"crypto\": {}}");
    write_keystore("wrong.json", 3, "p", 3);
    folder_write_text(&folder, "wrong.txt", "not p");
    write_keystore("blank.json", 4, "p", 4);
    folder_write_text(&folder, "blank.txt", "\np");
    write_keystore("latin1.json", 5, "p", 5);
    folder_write_text(&folder, "latin1.txt", "\xe9t\xe9");
    write_keystore("nopass.json", 6, "p", 6);
    write_keystore("zero.json", 0, "p", 0);
    folder_write_text(&folder, "zero.txt", "p");
    assert_int_equal(mkfifo(folder_at(&folder, "fifo.json"), 0600), 0);
    assert_int_equal(mkfifo(folder_at(&folder, "fifo.yaml"), 0600), 0);
    folder_mkdir(&folder, "dir.json");
    assert_int_equal(symlink("nowhere", folder_at(&folder, "gone.json")), 0);
    folder_write_text(&folder, "syntax.yaml", "type: [\n");
    folder_write_text(&folder, "vault.yaml", "type: hashicorp\ntoken: x\n");
    folder_write_text(&folder, "k1.yaml", "type: file-raw\nkeyType: SECP256K1\nprivateKey: 0x00\n");
    folder_write_text(&folder, "short.yaml", "type: file-raw\nprivateKey: 0x00\n");
    write_raw("zero.yaml", 0);
    write_description("lost.yaml", "lost.json", "good.txt");
    write_keystore("named", 7, "p", 7);
    write_description("nopass.yaml", "named", "lost.txt");
    load_and_count(22, 2, 20);
    assert_int_equal(core.done[1].complete, 1);
    assert_loaded("good.json", 2);
    assert_loaded("good.yaml", 1);
    assert_failed("json.json", ERROR_JSON_SYNTAX);
    assert_failed("twice.json", ERROR_JSON_DUPLICATE_KEY);
    assert_failed("empty.json", ERROR_JSON_SYNTAX);
    assert_failed("v3.json", ERROR_KEYSTORE);
    assert_failed("wrong.json", ERROR_KEYSTORE_PASSWORD);
    assert_failed("blank.json", ERROR_PASSWORD_FILE);
    assert_failed("latin1.json", ERROR_PASSWORD_TEXT);
    assert_failed("nopass.json", ERROR_PASSWORD_FILE);
    assert_failed("zero.json", ERROR_KEY_INVALID);
    assert_failed("fifo.json", ERROR_KEY_FILE);
    assert_failed("fifo.yaml", ERROR_KEY_FILE);
    assert_failed("dir.json", ERROR_KEY_FILE);
    assert_failed("gone.json", ERROR_IO);
    assert_failed("syntax.yaml", ERROR_YAML_SYNTAX);
    assert_failed("vault.yaml", ERROR_KEY_TYPE);
    assert_failed("k1.yaml", ERROR_KEY_TYPE);
    assert_failed("short.yaml", ERROR_KEY_INVALID);
    assert_failed("zero.yaml", ERROR_KEY_INVALID);
    assert_failed("lost.yaml", ERROR_IO);
    assert_failed("nopass.yaml", ERROR_PASSWORD_FILE);
}

static void test_P13_a_wrong_pair_is_refused(void **state)
{
    (void)state;
    write_keystore("pair.json", 5, "p", 6);
    folder_write_text(&folder, "pair.txt", "p");
    load_and_count(1, 0, 1);
    assert_failed("pair.json", ERROR_KEYSTORE_PUBKEY);
    assert_int_equal(vault.keys.count, 0);
}

static void test_of_two_files_with_one_key_the_first_that_loads_wins(void **state)
{
    (void)state;
    folder_mkdir(&folder, "second");
    config.path_count = 2;
    (void)snprintf(config.paths[1], sizeof config.paths[1], "%s/second", folder.path);
    write_raw("a.yaml", 1);
    write_raw("b.yaml", 1);
    write_keystore("c.json", 1, "p", 1); /* known before its decryption */
    folder_write_text(&folder, "c.txt", "p");
    write_keystore("second/d.json", 2, "p", 0); /* known only after it */
    folder_write_text(&folder, "second/d.txt", "p");
    write_raw("second/e.yaml", 2);
    write_keystore("f.json", 3, "p", 3); /* its password is wrong: so the other one wins */
    folder_write_text(&folder, "f.txt", "wrong");
    write_keystore("second/f.json", 3, "p", 3);
    folder_write_text(&folder, "second/f.txt", "p");
    load_and_count(7, 3, 1);
    bool a = said("a.yaml", 0)->state == L_LOADED;
    bool b = said("b.yaml", 0)->state == L_LOADED;
    assert_true(a != b); /* both were in flight, and this vault answers the last first */
    assert_int_equal(said(a ? "b.yaml" : "a.yaml", 0)->state, 0);
    assert_int_not_equal(said("c.json", 0)->state,
                         L_LOADED); /* found, when a and b are under way */
    assert_int_equal(said("c.json", 1)->state, 0);
    assert_loaded("second/e.yaml", 2);
    assert_int_equal(said("second/d.json", 0)->state, L_FOUND);
    assert_int_equal(said("second/d.json", 1)->state, 0);
    assert_failed("f.json", ERROR_KEYSTORE_PASSWORD);
    assert_loaded("second/f.json", 3);
}

static void test_a_reload_mentions_every_key_and_decrypts_only_new_ones(void **state)
{
    (void)state;
    write_raw("a.yaml", 1);
    write_keystore("b.json", 2, "p", 2);
    folder_write_text(&folder, "b.txt", "p");
    write_keystore("c.json", 3, "p", 0);
    folder_write_text(&folder, "c.txt", "p");
    load_and_count(3, 3, 0);
    for (size_t i = 0; i < core.count; i++)
        assert_int_equal(core.keys[i].existed, 0);
    write_keystore("d.json", 4, "p", 4);
    folder_write_text(&folder, "d.txt", "p");
    assert_int_equal(unlink(folder_at(&folder, "b.txt")), 0);
    load_and_count(4, 4, 0);
    assert_int_equal(vault.keystores, 2); /* c, which names no public key, and d */
    assert_int_equal(vault.have, 2);
    assert_loaded("a.yaml", 1);
    assert_int_equal(said("a.yaml", 0)->existed, 1);
    assert_loaded("b.json", 2);
    assert_int_equal(said("b.json", 1)->existed, 1);
    assert_loaded("c.json", 3);
    assert_int_equal(said("c.json", 1)->existed, 1);
    assert_loaded("d.json", 4);
    assert_int_equal(said("d.json", 1)->existed, 0);
}

static void test_no_more_than_the_window_is_in_flight(void **state)
{
    (void)state;
    (void)snprintf(config.password_file, sizeof config.password_file, "%s/p", folder.path);
    folder_write_text(&folder, "p", "p");
    char name[32];
    for (unsigned i = 0; i < 60; i++) {
        (void)snprintf(name, sizeof name, "k%03u.json", i);
        write_keystore(name, i + 1, "p", i % 3 ? i + 1 : 0);
        (void)snprintf(name, sizeof name, "r%03u.yaml", i);
        write_raw(name, i + 1001);
    }
    load_and_count(120, 120, 0);
    assert_int_equal(vault.most_keystores_held, 4);
    assert_true(vault.most_raw_held > 4); /* they have a window of their own */
    config.keystore_load_concurrency = 0; /* read as one */
    key_map_release(&vault.keys);
    load_and_count(120, 120, 0);
    assert_int_equal(vault.most_keystores_held, 1);
}

static void test_raw_keys_have_a_window_too(void **state)
{
    (void)state;
    enum {
        DOCUMENTS = 1003, /* no multiple of a batch */
        FILES = 10
    };
    struct buf text = buf_init(1 << 20);
    char name[32];
    for (unsigned i = 0; i < DOCUMENTS; i++)
        assert_int_equal(buf_printf(&text, "---\ntype: file-raw\nprivateKey: %064x\n", 0u).code, 0);
    for (unsigned i = 0; i < FILES; i++) {
        (void)snprintf(name, sizeof name, "r%u.yaml", i);
        folder_write(&folder, name, text.data, text.len, 0600);
    }
    buf_release(&text);
    load_and_count(FILES, 0, DOCUMENTS * FILES); /* zero is no key: the vault refuses each */
    assert_int_equal(vault.raw, DOCUMENTS * FILES);
    assert_in_range(vault.most_raw_held, LOAD_RAW_BATCH, LOAD_RAW_WINDOW);
}

static void test_more_keys_than_one_message_holds(void **state)
{
    (void)state;
    struct buf text = buf_init(1 << 20);
    for (unsigned i = 1; i <= 300; i++)
        assert_int_equal(buf_printf(&text, "---\ntype: file-raw\nprivateKey: %064x\n", i).code, 0);
    folder_write(&folder, "all.yaml", text.data, text.len, 0600);
    buf_release(&text);
    config.keystore_load_concurrency = 64;
    load_and_count(1, 300, 0);
    assert_int_equal(core.count, 300);
    char name[32];
    for (unsigned i = 1; i <= 300; i++) {
        (void)snprintf(name, sizeof name, "k%u.json", i);
        write_keystore(name, i, "p", i);
    }
    assert_int_equal(unlink(folder_at(&folder, "all.yaml")), 0);
    load_and_count(300, 300, 0); /* held already: asked in several messages, no password needed */
    assert_int_equal(vault.have, 300);
    assert_int_equal(vault.keystores, 0);
}

static void test_permissions(void **state)
{
    (void)state;
    char text[200];
    int len = snprintf(text, sizeof text, "type: file-raw\nprivateKey: %064x\n", 1u);
    folder_write(&folder, "open.yaml", text, (size_t)len, 0644);
    write_keystore("k.json", 2, "p", 2);
    folder_write(&folder, "k.txt", "p", 1, 0640);
    write_keystore("j.json", 3, "p", 3);
    assert_int_equal(chmod(folder_at(&folder, "j.json"), 0604), 0);
    folder_write(&folder, "j.txt", "p", 1, 0600);
    load_and_count(3, 3, 0);
    key_map_release(&vault.keys);
    config.strict_permissions = true;
    load_and_count(3, 0, 3);
    assert_failed("open.yaml", ERROR_KEY_FILE_MODE);
    assert_failed("k.json", ERROR_KEY_FILE_MODE);
    assert_failed("j.json", ERROR_KEY_FILE_MODE);
}

static void test_a_directory_that_cannot_be_read(void **state)
{
    (void)state;
    write_raw("a.yaml", 1);
    config.path_count = 2;
    (void)snprintf(config.paths[1], sizeof config.paths[1], "%s/none", folder.path);
    load_and_count(1, 1, 1);
    assert_int_equal(core.done[0].complete, 0);
    assert_int_equal(core.done[1].complete, 0);
    assert_failed("none", ERROR_IO);
    assert_loaded("a.yaml", 1);
}

static void test_a_long_path_is_told_by_its_tail(void **state)
{
    (void)state;
    char name[256];
    memset(name, 'n', sizeof name);
    memcpy(name + 250, ".yaml", 6);
    write_raw(name, 1);
    load_and_count(1, 1, 0);
    assert_int_equal(core.count, 1);
    assert_int_equal(strlen(core.keys[0].path), L_PATH_MAX - 1);
    assert_string_equal(core.keys[0].path + L_PATH_MAX - 1 - 5, ".yaml");
}

static void write_some_keystores(void)
{
    (void)snprintf(config.password_file, sizeof config.password_file, "%s/p", folder.path);
    folder_write_text(&folder, "p", "p");
    char name[32];
    for (unsigned i = 0; i < 12; i++) {
        (void)snprintf(name, sizeof name, "k%u.json", i);
        write_keystore(name, i + 1, "p", i + 1);
    }
}

static void test_the_vault_goes_away(void **state)
{
    (void)state;
    write_some_keystores();
    vault.leave_after = 3;
    assert_int_equal(load().code, ERROR_DOOR_CLOSED);
    assert_int_equal(core.done_count, 1); /* never said to be complete */
}

static void test_the_core_goes_away(void **state)
{
    (void)state;
    write_some_keystores();
    int key_door[2];
    int load_door[2];
    assert_int_equal(door_pair(key_door).code, 0);
    assert_int_equal(door_pair(load_door).code, 0);
    (void)close(load_door[1]);
    const struct load_doors doors = {.key_fd = key_door[0],
                                     .key_life = LIFE,
                                     .load_fd = load_door[0],
                                     .load_life = LIFE,
                                     .knows_history = true,
                                     .history_id = {1, 2, 3}};
    assert_int_equal(load_run(&config, &doors).code, ERROR_DOOR_CLOSED);
    (void)close(key_door[0]);
    (void)close(key_door[1]);
    (void)close(load_door[0]);
}

static void test_a_result_that_was_not_asked_for_ends_the_load(void **state)
{
    (void)state;
    write_some_keystores();
    vault.answer_nonsense = true;
    assert_int_equal(load().code, ERROR_PROTOCOL);
    assert_int_equal(core.done_count, 1);
}

static void test_no_password_is_left_in_the_log(void **state)
{
    (void)state;
    int ends[2];
    char text[65536];
    assert_int_equal(pipe(ends), 0);
    log_init(ends[1], false, LOG_LEVEL_DEBUG);
    write_keystore("k.json", 2, "CanaryPassword", 3);
    folder_write_text(&folder, "k.txt", "CanaryPassword");
    write_keystore("l.json", 4, "p", 4);
    folder_write_text(&folder, "l.txt", "CanaryPassword");
    folder_write_text(&folder, "m.yaml", "type: file-raw\nprivateKey: CanaryKey\n");
    load_and_count(3, 0, 3);
    log_init(STDERR_FILENO, true, LOG_LEVEL_ERROR);
    ssize_t n = read(ends[0], text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = 0;
    assert_non_null(strstr(text, "k.json")); /* the search can find something */
    assert_null(strstr(text, "Canary"));
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* Only allocations of the loading thread may fail here, so the doors' other ends are not served: no key is sent. */
static void test_each_allocation_fails(void **state)
{
    (void)state;
    write_keystore("k.json", 2, "p", 2);
    folder_write_text(&folder, "v.yaml", "type: hashicorp\n");
    folder_write_text(&folder, "w.yaml",
                      "type: file-keystore\nkeystoreFile: x\nkeystorePasswordFile: y\n");
    for (uint64_t nth = 1;; nth++) {
        int key_door[2];
        int load_door[2];
        assert_int_equal(door_pair(key_door).code, 0);
        assert_int_equal(door_pair(load_door).code, 0);
        (void)shutdown(key_door[1], SHUT_RDWR);
        const struct load_doors doors = {.key_fd = key_door[0],
                                         .key_life = LIFE,
                                         .load_fd = load_door[0],
                                         .load_life = LIFE,
                                         .knows_history = true,
                                         .history_id = {1, 2, 3}};
        (void)alloc_fail_nth(nth);
        cc_err err = load_run(&config, &doors);
        (void)alloc_fail_nth(0);
        for (int i = 0; i < 2; i++) {
            (void)close(key_door[i]);
            (void)close(load_door[i]);
        }
        if (err.code == ERROR_DOOR_CLOSED) {
            assert_true(nth > 20);
            return;
        }
        assert_int_equal(err.code, ERROR_NO_MEMORY);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_no_files),
        TEST(test_every_sort_of_good_file),
        TEST(test_the_scan_names_every_key_before_any_decryption),
        TEST(test_one_bad_file_does_not_stop_the_rest),
        TEST(test_P13_a_wrong_pair_is_refused),
        TEST(test_of_two_files_with_one_key_the_first_that_loads_wins),
        TEST(test_a_reload_mentions_every_key_and_decrypts_only_new_ones),
        TEST(test_no_more_than_the_window_is_in_flight),
        TEST(test_raw_keys_have_a_window_too),
        TEST(test_more_keys_than_one_message_holds),
        TEST(test_permissions),
        TEST(test_a_directory_that_cannot_be_read),
        TEST(test_a_long_path_is_told_by_its_tail),
        TEST(test_the_vault_goes_away),
        TEST(test_the_core_goes_away),
        TEST(test_a_result_that_was_not_asked_for_ends_the_load),
        TEST(test_no_password_is_left_in_the_log),
        TEST(test_each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
