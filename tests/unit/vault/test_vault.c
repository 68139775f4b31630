/* The vault as a whole: a real vault_main() in a child, with the test as supervisor, core and loader. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/utf8.h"
#include "crypto/bls.h"
#include "eth/signing_root.h"
#include "secret/ct.h"
#include "support/child.h"
#include "support/test.h"
#include "support/vault_group.h"
#include "vault/chamber_key.h"
#include "vault/sign.h"
#include "vault/vault.h"

/* A published test key: BLS test vectors, sign_case_11b8c7cad5238946. */
static const uint8_t test_key[32] = {
    0x47, 0xb8, 0x19, 0x2d, 0x77, 0xbf, 0x87, 0x1b, 0x62, 0xe8, 0x78, 0x59, 0xd6, 0x53, 0x92, 0x27,
    0x25, 0x72, 0x4a, 0x5c, 0x03, 0x1a, 0xfe, 0xab, 0xc6, 0x0b, 0xce, 0xf5, 0xff, 0x66, 0x51, 0x38};

static struct b_sign
attestation(const struct k_result *key, uint64_t source, uint64_t target, uint8_t vote)
{
    struct b_sign r = {
        .id = 100 + target, .key = key->key, .pubkey = key->pubkey, .claim = B_CLAIM_ATTESTATION};
    r.body.attestation.slot = target * 32;
    r.body.attestation.source.epoch = source;
    r.body.attestation.target.epoch = target;
    memset(&r.body.attestation.beacon_block_root, vote, 32);
    return r;
}

static struct b_signed sign(const struct b_sign *request)
{
    struct b_signed result;
    assert_int_equal(core_ask(&room, B_SIGN, request, sizeof *request, 1, answer).code, 0);
    assert_int_equal(answer->head.type, B_SIGNED);
    assert_int_equal(answer->head.count, 1);
    memcpy(&result, answer->items, sizeof result);
    assert_int_equal(result.id, request->id);
    return result;
}

static void test_signs_an_attestation_with_its_own_root(void **state)
{
    (void)state;
    vault_room_greet(&room, &chamber);
    const struct k_result key = loader_add_raw(&room, test_key);
    struct b_sign r = attestation(&key, 1, 2, 5);
    struct b_signed s = sign(&r);
    assert_int_equal(s.error, 0);
    struct eth_domain domain;
    domain_compute((const uint8_t[4]){1, 0, 0, 0}, &r.version, &r.genesis_validators_root, &domain);
    struct eth_root object = attestation_data_root(&r.body.attestation);
    struct signing_root root = signing_root_of(&object, &domain);
    assert_memory_equal(&root, &s.root, sizeof root);
    assert_int_equal(bls_verify(key.pubkey.bytes, root.bytes, s.signature.bytes).code, 0);
}

static struct b_sign proposal(const struct k_result *key, uint64_t slot)
{
    struct b_sign r = {.id = slot, .key = key->key, .pubkey = key->pubkey, .claim = B_CLAIM_BLOCK};
    r.body.block.slot = slot;
    r.body.block.proposer_index = 9;
    return r;
}

static void test_signs_a_block_with_its_own_root(void **state)
{
    (void)state;
    vault_room_greet(&room, &chamber);
    const struct k_result key = loader_add_raw(&room, test_key);
    struct b_sign r = proposal(&key, 11);
    struct b_signed s = sign(&r);
    assert_int_equal(s.error, 0);
    struct eth_domain domain;
    domain_compute((const uint8_t[4]){0, 0, 0, 0}, &r.version, &r.genesis_validators_root, &domain);
    struct eth_root object_root = block_header_root(&r.body.block);
    struct signing_root root = signing_root_of(&object_root, &domain);
    assert_memory_equal(&root, &s.root, sizeof root);
    assert_int_equal(bls_verify(key.pubkey.bytes, root.bytes, s.signature.bytes).code, 0);
}

/* A full batch of many keys and few roots: each answer is in its place, by its key, over its root. */
static void test_a_full_batch_is_answered_in_order(void **state)
{
    (void)state;
    enum {
        KEYS = 16
    };
    struct k_result keys[KEYS];
    struct b_sign *batch = calloc(B_SIGN_MAX, sizeof *batch);
    assert_non_null(batch);
    vault_room_greet(&room, &chamber);
    for (uint8_t i = 0; i < KEYS; i++) {
        const uint8_t secret[32] = {[30] = 1, [31] = i};
        keys[i] = loader_add_raw(&room, secret);
    }
    for (uint64_t i = 0; i < B_SIGN_MAX; i++)
        batch[i] = attestation(&keys[i % KEYS], 1, 2 + i / KEYS / 8, 1);
    assert_int_equal(core_ask(&room, B_SIGN, batch, sizeof *batch, B_SIGN_MAX, answer).code, 0);
    assert_int_equal(answer->head.count, B_SIGN_MAX);
    const struct b_signed *s = (const void *)answer->items;
    for (size_t i = 0; i < B_SIGN_MAX; i++) {
        assert_int_equal(s[i].id, batch[i].id);
        assert_int_equal(s[i].error, 0);
        /* Verifying is slow: the first of each key and root, and that the others are equal to it. */
        if (i < KEYS)
            assert_int_equal(
                bls_verify(batch[i].pubkey.bytes, s[i].root.bytes, s[i].signature.bytes).code, 0);
        else if (i < 8 * KEYS)
            assert_memory_equal(&s[i].signature, &s[i % KEYS].signature, sizeof s[i].signature);
    }
    free(batch);
}

/* --- engines ------------------------------------------------------------------------------------------- */

enum {
    MANY_KEYS = 96,
    SAME_ROOT = 72 /* the rest has roots of its own */
};

struct many {
    struct bls_secret secrets[MANY_KEYS];
    struct b_sign requests[2 * MANY_KEYS];
};

/* r - 1, r - 2, small ones and others; each key twice, so that a batch holds every key with itself. */
static void make_many(struct many *many)
{
    static const uint8_t last[32] = {0x73, 0xed, 0xa7, 0x53, 0x29, 0x9d, 0x7d, 0x48,
                                     0x33, 0x39, 0xd8, 0x08, 0x09, 0xa1, 0xd8, 0x05,
                                     0x53, 0xbd, 0xa4, 0x02, 0xff, 0xfe, 0x5b, 0xfe,
                                     0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0};
    for (uint8_t i = 0; i < MANY_KEYS; i++) {
        uint8_t bytes[32] = {[3] = i < 32 ? 0 : i, [17] = i < 32 ? 0 : 5, [31] = (uint8_t)(i + 1)};
        if (i < 2)
            memcpy(bytes, last, sizeof bytes);
        if (i == 1) {
            bytes[27] = 0xfe;
            memset(bytes + 28, 0xff, 4);
        }
        assert_int_equal(bls_secret_parse(bytes, &many->secrets[i]).code, 0);
        const struct k_result key = loader_add_raw(&room, bytes);
        many->requests[i] = attestation(&key, 1, 2, i < SAME_ROOT ? 0 : i);
        many->requests[i].id = i;
        many->requests[MANY_KEYS + i] = many->requests[i];
    }
}

static void check_many(const struct many *many, const struct b_signed *signed_)
{
    for (size_t i = 0; i < ARRAY_LEN(many->requests); i++) {
        struct bls_hash hash;
        uint8_t signature[BLS_SIGNATURE_SIZE];
        assert_int_equal(signed_[i].error, 0);
        assert_int_equal(signed_[i].id, many->requests[i].id);
        bls_hash(signed_[i].root.bytes, &hash);
        bls_sign(&many->secrets[i % MANY_KEYS], &hash, signature);
        assert_memory_equal(signed_[i].signature.bytes, signature, sizeof signature);
    }
}

static struct b_counts count(void)
{
    const struct b_count question = {.id = 77};
    struct b_counts counts;
    assert_int_equal(core_ask(&room, B_COUNT, &question, sizeof question, 1, answer).code, 0);
    assert_int_equal(answer->head.type, B_COUNTS);
    memcpy(&counts, answer->items, sizeof counts);
    assert_int_equal(counts.id, 77);
    return counts;
}

static uint64_t signatures_of(const struct b_counts *counts)
{
    uint64_t n = 0;
    for (size_t i = 0; i < B_ENGINES; i++)
        n += counts->signatures[i];
    return n;
}

/* Whatever signs, it is what blst signs, bit for bit, through the doors and under the sandbox. */
static void sign_with(enum signing_engine engine)
{
    struct many *many = calloc(1, sizeof *many);
    assert_non_null(many);
    vault_room_start_engine(&room, &chamber, engine);
    vault_room_greet(&room, &chamber);
    make_many(many);
    for (int round = 0; round < 2; round++) { /* the second time hash and table are there */
        assert_int_equal(core_ask(&room, B_SIGN, many->requests, sizeof many->requests[0],
                                  ARRAY_LEN(many->requests), answer)
                             .code,
                         0);
        check_many(many, (const void *)answer->items);
    }
    const struct b_counts counts = count();
    assert_true(counts.engine < B_ENGINES && counts.engine != SIGNING_AUTO);
    assert_true(engine == SIGNING_AUTO || counts.engine == engine || counts.engine == SIGNING_BLST);
    assert_int_equal(counts.self_test_failed, 0);
    assert_int_equal(counts.failed_checks, 0);
    assert_int_equal(signatures_of(&counts), 2 * ARRAY_LEN(many->requests));
    assert_true(counts.engine == SIGNING_BLST || counts.signatures[counts.engine] > SAME_ROOT);
    free(many);
    assert_int_equal(vault_room_stop(&room), 0);
}

static void test_blst_signs_like_blst(void **state)
{
    (void)state;
    sign_with(SIGNING_BLST);
}

static void test_auto_signs_like_blst(void **state)
{
    (void)state;
    sign_with(SIGNING_AUTO);
}

static void test_fixed_base_signs_like_blst(void **state)
{
    (void)state;
    sign_with(SIGNING_FIXED_BASE);
}

static void test_ifma_signs_like_blst(void **state)
{
    (void)state;
    sign_with(SIGNING_IFMA);
}

/* Each event is told once; of a vault that has signed nothing there is nothing to tell. */
static void test_counts_what_it_signs(void **state)
{
    (void)state;
    vault_room_greet(&room, &chamber);
    struct b_counts counts = count();
    assert_int_equal(counts.engine, SIGNING_BLST);
    assert_int_equal(signatures_of(&counts), 0);
    assert_int_equal(counts.hash_hits + counts.hash_misses, 0);
    const struct k_result key = loader_add_raw(&room, test_key);
    const struct b_sign r = attestation(&key, 1, 2, 5);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sign(&r).error, 0);
    counts = count();
    assert_int_equal(counts.signatures[SIGNING_BLST], 3);
    assert_int_equal(signatures_of(&counts), 3);
    assert_int_equal(counts.hash_misses, 1);
    assert_int_equal(counts.hash_hits, 2);
    counts = count();
    assert_int_equal(signatures_of(&counts), 0);
    assert_int_equal(counts.hash_hits + counts.hash_misses, 0);
}

/* The scrypt example of EIP-2335: 256 MiB of memory, under the sandbox. */
static void test_opens_a_keystore_under_the_sandbox(void **state)
{
    (void)state;
    struct k_keystore k = {.id = 4, .kdf = K_KDF_SCRYPT, .n = 262144, .r = 8, .p = 1};
    struct eth_pubkey pubkey;
    size_t len = 0;
    k.salt_len = 32;
    assert_int_equal(
        ct_hex_decode("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3", k.salt,
                      32)
            .code,
        0);
    assert_int_equal(ct_hex_decode("264daa3f303d7259501c93d997d84fe6", k.iv, 16).code, 0);
    assert_int_equal(
        ct_hex_decode("d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484",
                      k.checksum, 32)
            .code,
        0);
    assert_int_equal(
        ct_hex_decode("06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f",
                      k.ciphertext, 32)
            .code,
        0);
    assert_int_equal(
        ct_hex_decode("9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27"
                      "f4ae4040902382ae2910c15e2b420d07",
                      pubkey.bytes, sizeof pubkey.bytes)
            .code,
        0);
    assert_int_equal(utf8_password(span_str("\xf0\x9d\x94\xb1\xf0\x9d\x94\xa2\xf0\x9d\x94\xb0"
                                            "\xf0\x9d\x94\xb1\xf0\x9d\x94\xad\xf0\x9d\x94\x9e"
                                            "\xf0\x9d\x94\xb0\xf0\x9d\x94\xb0\xf0\x9d\x94\xb4"
                                            "\xf0\x9d\x94\xac\xf0\x9d\x94\xaf\xf0\x9d\x94\xa1"
                                            "\xf0\x9f\x94\x91"),
                                   k.password, sizeof k.password, &len)
                         .code,
                     0);
    k.password_len = (uint32_t)len;
    assert_int_equal(loader_ask(&room, K_KEYSTORE, &k, sizeof k, 1, answer).code, 0);
    const struct k_result *result = (const void *)answer->items;
    assert_int_equal(result->error, 0);
    assert_memory_equal(&result->pubkey, &pubkey, sizeof pubkey);
}

/* A core that asks and never reads is reported to the supervisor; the vault goes on with the next one. */
static void test_a_core_that_does_not_read_is_given_up(void **state)
{
    (void)state;
    const struct b_keys keys = {.id = 1};
    struct control report;
    int fd = -1;
    vault_room_greet(&room, &chamber);
    const struct k_result key = loader_add_raw(&room, test_key);
    const struct b_sign first = attestation(&key, 1, 2, 1);
    assert_int_equal(sign(&first).error, 0);
    /* Until the vault itself reads no more, because every thread of it waits to answer. */
    while (!door_send(room.core, room.core_life, B_KEYS, &keys, sizeof keys, 1).code)
        ;
    assert_int_equal(control_receive(room.control, &report, &fd).code, 0);
    assert_int_equal(report.type, CONTROL_PEER_STALLED);
    assert_int_equal(report.value, ROOM_CORE);
    assert_int_equal(report.life, room.core_life);
    vault_room_next_core(&room);
    vault_room_greet(&room, &chamber);
    const struct b_sign conflict = attestation(&key, 1, 2, 7);
    assert_int_equal(sign(&conflict).error, ERROR_SLASHABLE);
}

/* What the supervisor sends by mistake does not end the room, and descriptors are not kept. */
static void test_odd_control_messages_are_survived(void **state)
{
    (void)state;
    const uint32_t types[] = {CONTROL_DOOR_FRONT,
                              CONTROL_LISTENER,
                              CONTROL_RELOAD,
                              CONTROL_DRAIN,
                              CONTROL_READY,
                              CONTROL_LOG_LEVEL,
                              0,
                              9999};
    int pipe_fds[2];
    char byte;
    assert_int_equal(pipe(pipe_fds), 0);
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        assert_int_equal(control_send(room.control, types[i], 0, 0, pipe_fds[1]).code, 0);
    assert_int_equal(control_send(room.control, CONTROL_DOOR_VAULT, 9, 0, -1).code, 0);
    assert_int_equal(control_send(room.control, CONTROL_DOOR_KEY, 9, 0, -1).code, 0);
    assert_int_equal(control_send(room.control, CONTROL_CHAMBER_KEY, 9, 0, -1).code, 0);
    (void)close(pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], &byte, 1), 0); /* every copy of it is closed */
    (void)close(pipe_fds[0]);
    vault_room_greet(&room, &chamber);
}

static int start_with_bad_key(void *context)
{
    struct test_chamber *bad = context;
    struct config *config = calloc(1, sizeof *config);
    int line[2];
    int fd = -1;
    if (!config || control_pair(line).code || chamber_key_open(bad->key_path, &fd).code)
        return 250;
    config_defaults(config);
    if (control_send(line[0], CONTROL_CHAMBER_KEY, 0, 0, fd).code)
        return 251;
    const struct room_context context_of_room = {config, line[1], NULL};
    int code = vault_main(&context_of_room).code;
    free(config);
    return code;
}

static void test_a_chamber_key_out_of_its_format_ends_the_start(void **state)
{
    (void)state;
    struct test_chamber bad = {.directory = "/tmp/cc-test-bad-XXXXXX"};
    assert_non_null(mkdtemp(bad.directory));
    (void)snprintf(bad.key_path, sizeof bad.key_path, "%s/chamber.key", bad.directory);
    int fd = open(bad.key_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "not a key\n", 10), 10);
    (void)close(fd);
    assert_int_equal(child_run(start_with_bad_key, &bad), -ERROR_TAMPERED);
    test_chamber_remove(&bad);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, vault_setup, vault_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_signs_an_attestation_with_its_own_root),
        CASE(test_signs_a_block_with_its_own_root),
        CASE(test_a_full_batch_is_answered_in_order),
        cmocka_unit_test(test_blst_signs_like_blst),
        cmocka_unit_test(test_auto_signs_like_blst),
        cmocka_unit_test(test_fixed_base_signs_like_blst),
        cmocka_unit_test(test_ifma_signs_like_blst),
        CASE(test_counts_what_it_signs),
        CASE(test_opens_a_keystore_under_the_sandbox),
        CASE(test_a_core_that_does_not_read_is_given_up),
        CASE(test_odd_control_messages_are_survived),
        cmocka_unit_test(test_a_chamber_key_out_of_its_format_ends_the_start),
    };
    return cmocka_run_group_tests(tests, vault_group_setup, vault_group_teardown);
}
