/* C9: the test is a core under an attacker's control, against a real vault in a process of its own.
 *
 * Whatever it asks for, in whatever order, through however many lives: never two conflicting signatures of one key, and
 * no byte of a secret in any answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/bls.h"
#include "crypto/random.h"
#include "crypto/scalar_split.h"
#include "support/ledger.h"
#include "support/test.h"
#include "support/vault_group.h"

static struct ledger ledger;
static uint8_t
    secret[32]; /* random: made after the fork, so that the vault has no other copy of it */
static struct k_result key;

static int start_closed(void **state)
{
    (void)vault_setup(state);
    assert_int_equal(random_bytes(secret, sizeof secret).code, 0);
    secret[0] &= 0x3f; /* below the group order */
    key = loader_add_raw(&room, secret);
    return 0;
}

static int start(void **state)
{
    (void)start_closed(state);
    vault_room_greet(&room, &chamber);
    return 0;
}

/* The same with the fastest engine there is. */
static int start_fast(void **state)
{
    (void)state;
    vault_room_start_engine(&room, &chamber, SIGNING_AUTO);
    assert_int_equal(random_bytes(secret, sizeof secret).code, 0);
    secret[0] &= 0x3f;
    key = loader_add_raw(&room, secret);
    vault_room_greet(&room, &chamber);
    return 0;
}

static int stop(void **state)
{
    ledger_release(&ledger);
    return vault_teardown(state);
}

static cc_err ask(uint16_t type, const void *items, size_t size, size_t count)
{
    cc_err err = core_ask(&room, type, items, size, count, answer);
    if (!err.code)
        assert_false(test_contains(answer->items,
                                   (size_t)answer->head.count * answer->head.item_size, secret));
    return err;
}

/* Asks for signatures; every one that is given goes to the ledger. */
static const struct b_signed *sign(const struct b_sign *requests, size_t count)
{
    assert_int_equal(ask(B_SIGN, requests, sizeof *requests, count).code, 0);
    assert_int_equal(answer->head.type, B_SIGNED);
    assert_int_equal(answer->head.count, count);
    const struct b_signed *results = (const void *)answer->items;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(results[i].id, requests[i].id);
        if (results[i].error) {
            static const struct eth_signature none;
            assert_memory_equal(&results[i].signature, &none, sizeof none);
            continue;
        }
        assert_true(ledger_add(&ledger, &requests[i], &results[i]));
        assert_int_equal(
            bls_verify(requests[i].pubkey.bytes, results[i].root.bytes, results[i].signature.bytes)
                .code,
            0);
    }
    return results;
}

static struct b_sign vote(uint64_t source, uint64_t target, uint8_t block_root)
{
    struct b_sign r = {
        .id = target, .key = key.key, .pubkey = key.pubkey, .claim = B_CLAIM_ATTESTATION};
    r.body.attestation.slot = target * 32;
    r.body.attestation.source.epoch = source;
    r.body.attestation.target.epoch = target;
    memset(&r.body.attestation.beacon_block_root, block_root, 32);
    return r;
}

static struct b_sign proposal(uint64_t slot, uint8_t body_root)
{
    struct b_sign r = {.id = slot, .key = key.key, .pubkey = key.pubkey, .claim = B_CLAIM_BLOCK};
    r.body.block.slot = slot;
    memset(&r.body.block.body_root, body_root, 32);
    return r;
}

static struct b_sign object(const uint8_t type[static 4])
{
    struct b_sign r = {.id = 1, .key = key.key, .pubkey = key.pubkey, .claim = B_CLAIM_OBJECT};
    memcpy(r.body.object.domain.bytes, type, 4);
    return r;
}

static uint32_t error_of(struct b_sign request)
{
    return sign(&request, 1)->error;
}

static void test_C09_conflicting_claims(void **state)
{
    (void)state;
    assert_int_equal(error_of(vote(10, 20, 1)), 0);
    assert_int_equal(error_of(vote(10, 20, 1)), 0);
    assert_int_equal(error_of(vote(10, 20, 2)), ERROR_SLASHABLE);
    assert_int_equal(error_of(vote(9, 21, 1)), ERROR_SLASHABLE);
    const struct b_signed *s = sign(&(struct b_sign[]){vote(11, 19, 1)}[0], 1);
    assert_int_equal(s->error, ERROR_SLASHABLE);
    assert_int_equal(s->earlier_source, 10);
    assert_int_equal(s->earlier_target, 20);
    assert_int_equal(error_of(proposal(7, 1)), 0);
    assert_int_equal(error_of(proposal(7, 1)), 0);
    assert_int_equal(error_of(proposal(7, 2)), ERROR_SLASHABLE);
}

/* One batch is folded in order: of two that conflict only the first is signed. */
static void test_C09_conflicts_inside_one_batch(void **state)
{
    (void)state;
    const struct b_sign batch[] = {vote(10, 20, 1), vote(10, 20, 2), vote(10, 20, 1),
                                   vote(9, 21, 1), vote(10, 21, 1)};
    const struct b_signed *s = sign(batch, ARRAY_LEN(batch));
    assert_int_equal(s[0].error, 0);
    assert_int_equal(s[1].error, ERROR_SLASHABLE);
    assert_int_equal(s[2].error, 0);
    assert_memory_equal(&s[0].signature, &s[2].signature, sizeof s[0].signature);
    assert_int_equal(s[3].error, ERROR_SLASHABLE);
    assert_int_equal(s[4].error, 0);
}

/* The domain's version and genesis root are the core's words: changing them makes another root, not another floor. */
static void test_C09_another_domain_is_no_way_around(void **state)
{
    (void)state;
    struct b_sign other = vote(10, 20, 1);
    assert_int_equal(error_of(vote(10, 20, 1)), 0);
    other.version.bytes[3] = 5;
    assert_int_equal(error_of(other), ERROR_SLASHABLE);
    other = vote(10, 20, 1);
    other.genesis_validators_root.bytes[0] = 1;
    assert_int_equal(error_of(other), ERROR_SLASHABLE);
}

static void test_C09_slashable_domains_need_their_claim(void **state)
{
    (void)state;
    assert_int_equal(error_of(object((const uint8_t[4]){0, 0, 0, 0})), ERROR_PROTOCOL);
    assert_int_equal(error_of(object((const uint8_t[4]){1, 0, 0, 0})), ERROR_PROTOCOL);
    for (uint8_t type = 2; type < 14; type++)
        assert_int_equal(error_of(object((const uint8_t[4]){type, 0, 0, 0})), 0);
    assert_int_equal(error_of(object((const uint8_t[4]){0, 0, 0, 1})), 0);
    struct b_sign unknown = vote(1, 2, 3);
    for (unsigned claim = B_CLAIM_BLOCK + 1; claim < 6; claim++) {
        unknown.claim = claim;
        assert_int_equal(error_of(unknown), ERROR_PROTOCOL);
    }
    unknown.claim = UINT32_MAX;
    assert_int_equal(error_of(unknown), ERROR_PROTOCOL);
}

static void test_C09_handles_of_other_keys_and_times(void **state)
{
    (void)state;
    uint8_t second[32] = {[31] = 77};
    const struct k_result other = loader_add_raw(&room, second);
    struct b_sign r = vote(1, 2, 3);
    r.pubkey = other.pubkey;
    assert_int_equal(error_of(r), ERROR_KEY_UNKNOWN);
    r = vote(1, 2, 3);
    r.key = other.key;
    assert_int_equal(error_of(r), ERROR_KEY_UNKNOWN);
    r = vote(1, 2, 3);
    r.key.generation++;
    assert_int_equal(error_of(r), ERROR_KEY_UNKNOWN);
    r = vote(1, 2, 3);
    r.key.index = UINT32_MAX;
    assert_int_equal(error_of(r), ERROR_KEY_UNKNOWN);
}

/* Remove the key, have the loader bring it again, ask for what was refused. */
static void test_C09_loading_a_key_again_forgets_nothing(void **state)
{
    (void)state;
    assert_int_equal(error_of(vote(10, 20, 1)), 0);
    const struct b_sign stale = vote(10, 30, 1);
    const struct b_key remove = {.id = 3, .key = key.key};
    assert_int_equal(ask(B_REMOVE, &remove, sizeof remove, 1).code, 0);
    assert_int_equal(((const struct b_answer *)(const void *)answer->items)->error, 0);
    assert_int_equal(error_of(stale), ERROR_KEY_UNKNOWN);
    vault_room_next_loader(&room);
    key = loader_add_raw(&room, secret);
    assert_false(key.existed);
    assert_int_equal(error_of(stale), ERROR_KEY_UNKNOWN); /* an old handle */
    assert_int_equal(error_of(vote(10, 20, 2)), ERROR_SLASHABLE);
    assert_int_equal(error_of(vote(10, 20, 1)), 0);
}

static uint32_t hello_error(const struct b_hello *hello)
{
    assert_int_equal(ask(B_HELLO, hello, sizeof *hello, 1).code, 0);
    return ((const struct b_answer *)(const void *)answer->items)->error;
}

/* A new life of the core has to prove the history before anything is signed, and finds the same floor. */
static void test_C09_a_new_life_begins_with_the_history(void **state)
{
    (void)state;
    assert_int_equal(error_of(vote(10, 20, 1)), 0);
    vault_room_next_core(&room);
    assert_int_equal(error_of(vote(10, 20, 1)), ERROR_IDENTITY);
    assert_int_equal(error_of(object((const uint8_t[4]){2, 0, 0, 0})), ERROR_IDENTITY);
    struct b_hello forged = chamber.hello;
    forged.history_id[31] ^= 1;
    assert_int_equal(hello_error(&forged), ERROR_IDENTITY);
    assert_int_equal(error_of(vote(10, 20, 1)), ERROR_IDENTITY);
    assert_int_equal(hello_error(&chamber.hello), 0);
    assert_int_equal(error_of(vote(10, 20, 2)), ERROR_SLASHABLE);
    assert_int_equal(error_of(vote(10, 20, 1)), 0);
}

static void test_C09_before_the_chamber_is_open_nothing_is_signed(void **state)
{
    (void)state;
    assert_int_equal(error_of(vote(10, 20, 1)), ERROR_IDENTITY);
    assert_int_equal(hello_error(&chamber.hello), ERROR_SEALED);
    struct b_digest digest = {.id = 1, .purpose = B_PURPOSE_STATE_HEAD};
    assert_int_equal(ask(B_DIGEST, &digest, sizeof digest, 1).code, 0);
    assert_int_equal(((const struct b_proof *)(const void *)answer->items)->error, ERROR_SEALED);
    assert_int_equal(((const struct b_proof *)(const void *)answer->items)->len, 0);
}

static const struct b_subkey_is *ask_subkey(uint32_t purpose)
{
    const struct b_subkey question = {.id = 9, .purpose = purpose};
    assert_int_equal(ask(B_SUBKEY, &question, sizeof question, 1).code, 0);
    assert_int_equal(answer->head.type, B_SUBKEY_IS);
    const struct b_subkey_is *subkey = (const void *)answer->items;
    assert_int_equal(subkey->id, 9);
    return subkey;
}

static uint32_t hand_over_error(void)
{
    const struct b_digest digest = {.id = 1, .purpose = B_PURPOSE_HAND_OVER};
    assert_int_equal(ask(B_DIGEST, &digest, sizeof digest, 1).code, 0);
    return ((const struct b_proof *)(const void *)answer->items)->error;
}

static void refused_subkey(uint32_t purpose, enum error_code error)
{
    static const uint8_t none[32];
    const struct b_subkey_is *subkey = ask_subkey(purpose);
    assert_int_equal(subkey->error, error);
    assert_memory_equal(subkey->key, none, sizeof none);
}

/* The keys of mirror and tokens are for the core that showed the history, on its own door; after a seal there are none. */
static void test_C09_a_subkey_only_after_hello(void **state)
{
    (void)state;
    refused_subkey(B_SUBKEY_MIRROR, ERROR_IDENTITY);
    refused_subkey(B_SUBKEY_TOKENS, ERROR_IDENTITY);
    assert_int_equal(hand_over_error(), ERROR_IDENTITY);
    vault_room_greet(&room, &chamber);
    assert_int_equal(hand_over_error(), 0);
    uint8_t key_of_mirror[32];
    uint8_t key_of_tokens[32];
    const struct b_subkey_is *subkey = ask_subkey(B_SUBKEY_MIRROR);
    assert_int_equal(subkey->error, 0);
    memcpy(key_of_mirror, subkey->key, sizeof key_of_mirror);
    refused_subkey(0, ERROR_PROTOCOL);
    refused_subkey(99, ERROR_PROTOCOL);
    assert_int_equal(ask_subkey(B_SUBKEY_TOKENS)->error, 0);
    memcpy(key_of_tokens, ask_subkey(B_SUBKEY_TOKENS)->key, sizeof key_of_tokens);
    assert_memory_not_equal(key_of_tokens, key_of_mirror, sizeof key_of_tokens);

    vault_room_next_core(&room);
    refused_subkey(B_SUBKEY_MIRROR, ERROR_IDENTITY);
    assert_int_equal(hand_over_error(), ERROR_IDENTITY);
    vault_room_greet(&room, &chamber);
    assert_memory_equal(ask_subkey(B_SUBKEY_MIRROR)->key, key_of_mirror, sizeof key_of_mirror);
    assert_memory_equal(ask_subkey(B_SUBKEY_TOKENS)->key, key_of_tokens, sizeof key_of_tokens);
    const struct b_seal seal = {1};
    assert_int_equal(ask(B_SEAL, &seal, sizeof seal, 1).code, 0);
    refused_subkey(B_SUBKEY_MIRROR, ERROR_SEALED);
    refused_subkey(B_SUBKEY_TOKENS, ERROR_SEALED);
}

static void test_P03_no_proof_for_a_history_of_ones_own(void **state)
{
    (void)state;
    static const uint32_t purposes[] = {B_PURPOSE_HISTORY, 0, B_PURPOSE_HAND_OVER + 1, UINT32_MAX};
    for (size_t n = 0; n < ARRAY_LEN(purposes); n++) {
        struct b_digest digest = {.id = 1, .purpose = purposes[n]};
        assert_int_equal(ask(B_DIGEST, &digest, sizeof digest, 1).code, 0);
        const struct b_proof *proof = (const void *)answer->items;
        assert_int_equal(proof->error, n == 0 ? ERROR_DENIED : ERROR_PROTOCOL);
        assert_int_equal(proof->len, 0);
        for (size_t i = 0; i < sizeof proof->bytes; i++)
            assert_int_equal(proof->bytes[i], 0);
    }
    const struct b_create create = {1};
    assert_int_equal(ask(B_CREATE, &create, sizeof create, 1).code, 0);
    assert_int_equal(((const struct b_chamber *)(const void *)answer->items)->error, ERROR_DENIED);
}

/* The vault hangs up on what is malformed, lives on, and serves the next life with the same floor. */
static void hang_up_after(const void *packet, size_t len)
{
    assert_int_equal(send(room.core, packet, len, MSG_NOSIGNAL), len);
    assert_true(door_receive(room.core, room.core_life, door_b_to_core, answer).code != 0);
    vault_room_next_core(&room);
    assert_int_equal(hello_error(&chamber.hello), 0);
    assert_int_equal(error_of(vote(10, 20, 2)), ERROR_SLASHABLE);
}

static void test_C09_malformed_messages(void **state)
{
    (void)state;
    assert_int_equal(error_of(vote(10, 20, 1)), 0);
    struct {
        struct door_head head;
        struct b_sign item;
    } packet = {{DOOR_VERSION, B_SIGN, 0, 1, sizeof(struct b_sign)}, vote(10, 20, 2)};
    const struct door_head good = packet.head;
    for (int fault = 0; fault < 9; fault++) {
        size_t len = sizeof packet;
        packet.head = good;
        packet.head.life = room.core_life;
        if (fault == 0)
            packet.head.version ^= 1;
        else if (fault == 1)
            packet.head.life--;
        else if (fault == 2)
            packet.head.count = 0;
        else if (fault == 3)
            packet.head.count = 2;
        else if (fault == 4)
            packet.head.item_size--;
        else if (fault == 5)
            packet.head.type = B_SIGNED;
        else if (fault == 6)
            packet.head.type = K_RAW;
        else if (fault == 7)
            len -= 1;
        else
            len = 3;
        hang_up_after(&packet, len);
    }
}

/* Batches of random claims with many conflicts, over several lives; the ledger compares all pairs. */
static void test_C09_random_batches(void **state)
{
    (void)state;
    const char *given = getenv("CC_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : 97;
    struct b_sign *batch = calloc(64, sizeof *batch);
    assert_non_null(batch);
    print_message("CC_SEED=%u\n", seed);
    for (unsigned round = 0; round < 30; round++) {
        for (size_t i = 0; i < 64; i++) {
            const uint64_t a = (uint64_t)rand_r(&seed) % 16 + round / 2;
            const uint64_t b = (uint64_t)rand_r(&seed) % 16 + round / 2;
            const uint8_t root = (uint8_t)(rand_r(&seed) % 2);
            batch[i] = rand_r(&seed) % 4 ? vote(a, b, root) : proposal(a, root);
        }
        (void)sign(batch, 64);
        if (round % 10 == 9) {
            vault_room_next_core(&room);
            assert_int_equal(hello_error(&chamber.hello), 0);
        }
    }
    assert_true(ledger.count > 20);
    free(batch);
}

static void test_lists_public_keys_only(void **state)
{
    (void)state;
    const struct b_keys keys = {.id = 5};
    assert_int_equal(ask(B_KEYS, &keys, sizeof keys, 1).code, 0);
    const struct b_key_list *list = (const void *)answer->items;
    assert_int_equal(list->count, 1);
    assert_int_equal(list->next_index, 0);
    assert_memory_equal(&list->keys[0].pubkey, &key.pubkey, sizeof key.pubkey);
    assert_memory_equal(&list->keys[0].key, &key.key, sizeof key.key);
}

static void test_T25_seal_ends_signing_for_this_life(void **state)
{
    (void)state;
    const struct b_seal seal = {.id = 4};
    struct k_raw raw = {.id = 1};
    assert_int_equal(error_of(vote(10, 20, 1)), 0);
    assert_int_equal(ask(B_SEAL, &seal, sizeof seal, 1).code, 0);
    assert_int_equal(error_of(vote(10, 21, 1)), ERROR_SEALED);
    memcpy(raw.secret, secret, sizeof raw.secret);
    assert_int_equal(loader_ask(&room, K_RAW, &raw, sizeof raw, 1, answer).code, 0);
    assert_int_equal(((const struct k_result *)(const void *)answer->items)->error, ERROR_SEALED);
    vault_room_next_core(&room);
    assert_int_equal(hello_error(&chamber.hello), ERROR_SEALED);
    assert_int_equal(error_of(vote(10, 21, 1)), ERROR_SEALED);
}

/* The fast engines work on parts of a scalar; these must not stay either. */
static void split_secret(uint8_t ret_parts[static 32])
{
    struct bls_secret parsed;
    struct scalar_split split;
    _Static_assert(sizeof split == 32, "searched like a scalar");
    assert_int_equal(bls_secret_parse(secret, &parsed).code, 0);
    scalar_split(&parsed, &split);
    memcpy(ret_parts, &split, sizeof split);
}

/* Different roots, and one root as often as every engine wants it; a repeat is signed again. */
static void test_C03_no_copy_of_a_key_stays_in_the_vault(void **state)
{
    (void)state;
    struct b_sign batch[40];
    uint8_t control[32];
    uint8_t parts[32];
    memcpy(control, key.pubkey.bytes, sizeof control);
    split_secret(parts);
    for (uint64_t i = 0; i < ARRAY_LEN(batch); i++)
        batch[i] = vote(1, i < 8 ? 2 + i : 10, 1);
    (void)sign(batch, ARRAY_LEN(batch));
    assert_true(vault_room_holds(&room, control)); /* the search finds what is there */
    const struct b_seal seal = {.id = 4};
    assert_int_equal(ask(B_SEAL, &seal, sizeof seal, 1).code, 0);
    assert_false(vault_room_holds(&room, secret));
    assert_false(vault_room_holds(&room, parts));
}

/* A password longer than a hash's block, and one that is not; both derivations. */
static void test_C03_no_copy_of_a_password_stays_in_the_vault(void **state)
{
    (void)state;
    struct k_keystore k = {.id = 1, .c = 2, .n = 16, .r = 8, .p = 1, .salt_len = 8};
    for (unsigned i = 0; i < 4; i++) {
        k.kdf = i % 2 ? K_KDF_SCRYPT : K_KDF_PBKDF2_SHA256;
        k.password_len = i < 2 ? 32 : 200;
        assert_int_equal(random_bytes(k.password, k.password_len).code, 0);
        assert_int_equal(loader_ask(&room, K_KEYSTORE, &k, sizeof k, 1, answer).code, 0);
        assert_int_equal(((const struct k_result *)(const void *)answer->items)->error,
                         ERROR_KEYSTORE_PASSWORD);
        assert_false(vault_room_holds(&room, k.password));
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, start, stop)
#define FAST(test) cmocka_unit_test_setup_teardown(test, start_fast, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_C09_conflicting_claims),
        CASE(test_C09_conflicts_inside_one_batch),
        CASE(test_C09_another_domain_is_no_way_around),
        CASE(test_C09_slashable_domains_need_their_claim),
        CASE(test_C09_handles_of_other_keys_and_times),
        CASE(test_C09_loading_a_key_again_forgets_nothing),
        CASE(test_C09_a_new_life_begins_with_the_history),
        cmocka_unit_test_setup_teardown(test_C09_before_the_chamber_is_open_nothing_is_signed,
                                        start_closed, stop),
        cmocka_unit_test_setup_teardown(test_C09_a_subkey_only_after_hello, start_closed, stop),
        CASE(test_P03_no_proof_for_a_history_of_ones_own),
        CASE(test_C09_malformed_messages),
        CASE(test_C09_random_batches),
        CASE(test_lists_public_keys_only),
        CASE(test_T25_seal_ends_signing_for_this_life),
        CASE(test_C03_no_copy_of_a_key_stays_in_the_vault),
        FAST(test_C09_random_batches),
        FAST(test_C09_conflicts_inside_one_batch),
        FAST(test_C03_no_copy_of_a_key_stays_in_the_vault),
        CASE(test_C03_no_copy_of_a_password_stays_in_the_vault),
    };
    return cmocka_run_group_tests(tests, vault_group_setup, vault_group_teardown);
}
