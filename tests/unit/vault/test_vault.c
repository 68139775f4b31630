/* The vault as a whole: a real vault_main() in a child, with the test as supervisor, core and loader. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/bls.h"
#include "crypto/ed25519.h"
#include "eth/signing_root.h"
#include "support/test.h"
#include "support/vault_room.h"

static struct test_chamber chamber;
static struct vault_room room;
static struct door_message *answer;
/* A published test key: BLS test vectors, sign_case_11b8c7cad5238946. */
static const uint8_t test_key[32] = {
    0x47, 0xb8, 0x19, 0x2d, 0x77, 0xbf, 0x87, 0x1b, 0x62, 0xe8, 0x78, 0x59, 0xd6, 0x53, 0x92, 0x27,
    0x25, 0x72, 0x4a, 0x5c, 0x03, 0x1a, 0xfe, 0xab, 0xc6, 0x0b, 0xce, 0xf5, 0xff, 0x66, 0x51, 0x38};

static int make_chamber(void **state)
{
    (void)state;
    answer = calloc(1, sizeof *answer);
    test_chamber_make(&chamber);
    return answer ? 0 : -1;
}

static int remove_chamber(void **state)
{
    (void)state;
    free(answer);
    test_chamber_remove(&chamber);
    return 0;
}

static int start(void **state)
{
    (void)state;
    vault_room_start(&room, &chamber, ROOM_MODE_SERVE, false);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return vault_room_stop(&room);
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_signs_an_attestation_with_its_own_root, start, stop),
    };
    return cmocka_run_group_tests(tests, make_chamber, remove_chamber);
}
