/* C9: a core under an attacker's control asks a real vault, in a process of its own, for blobs by which an image opens the chamber. It was
 * captured when all was made long ago, and has every record that there ever was; the operators come to unseal, and approve what they want.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "seal/envelope.h"
#include "seal/proposal.h"
#include "support/ceremony_kit.h"
#include "support/test.h"
#include "support/vault_room.h"
#include "vault/auto_unseal.h"

enum {
    KEYS = 2
};

static const struct rite_plan plan = {
    .mode = SEAL_OPERATORS, .operator_count = 2, .operator_threshold = 2};

static struct rite_chamber rite;
static struct rite_operator operators[SEAL_OPERATORS_MAX];
static struct test_chamber chamber;
static struct vault_room room;
static struct door_message *answer;

/* The records of earlier lives. */
static struct seal_set first, staged, present;
static struct seal_auto of_first, of_present;

static struct seal_auto_proposal proposal_of(const struct seal_set *set, uint8_t byte)
{
    struct seal_auto_proposal p = {.threshold = KEYS, .count = KEYS};
    memcpy(p.chamber_id, rite.stored.chamber_id, sizeof p.chamber_id);
    memcpy(p.from, set->fingerprint, sizeof p.from);
    memset(p.id, byte, sizeof p.id);
    memset(p.image.pcr0, byte, sizeof p.image.pcr0);
    memset(p.kms_keys, 7, sizeof p.kms_keys);
    return p;
}

/* --- before: sets, a rotation and two blobs, as they should be --------------------------------------------------------------- */

static void agree(struct rite_vault *vault, const uint8_t digest[static 32])
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(rite_visit(vault, SEAL_TO_APPROVE, &operators[i], digest, NULL, NULL).code,
                         0);
}

static void
store_blob(struct rite_vault *vault, const struct b_auto_make *request, struct seal_auto *ret_blob)
{
    assert_int_equal(auto_unseal_make(vault->sets, request, ret_blob).code, 0);
    assert_int_equal(sets_drop(vault->sets, B_DROP_AUTO).code, 0);
}

static void make_records(void)
{
    struct rite_vault vault;
    struct rite_parts parts;
    uint8_t digest[32];
    struct rite_plan again = plan;
    again.keep = SEAL_KEEP_OPERATORS;
    rite_make(&rite, false);
    rite_start(&vault, &rite);
    auto_unseal_allow(vault.sets);
    struct seal_proposal proposal = rite_proposal(&rite, NULL, &plan);
    assert_int_equal(rite_stage(&vault, &proposal, &parts, operators, &first).code, 0);
    rite_switch(&vault, &first);
    const struct b_auto_make make = {.proposal = proposal_of(&first, 0xaa)};
    proposal_auto_digest(&make.proposal, digest);
    agree(&vault, digest);
    store_blob(&vault, &make, &of_first);
    proposal = rite_proposal(&rite, &first, &again);
    proposal_digest(&proposal, digest);
    agree(&vault, digest);
    assert_int_equal(rite_stage(&vault, &proposal, &parts, NULL, &staged).code, 0);
    present = staged;
    rite_switch(&vault, &present);
    const struct b_auto_make renewed = {.renews = 1, .before = of_first};
    store_blob(&vault, &renewed, &of_present);
    rite_stop(&vault);
}

static int begin(void **state)
{
    (void)state;
    static const char key[] = "containment-chamber-key-v1\n"
                              "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    answer = calloc(1, sizeof *answer);
    make_records();
    chamber = (struct test_chamber){.directory = "/tmp/cc-test-vault-XXXXXX"};
    if (!answer || !mkdtemp(chamber.directory))
        return -1;
    (void)snprintf(chamber.key_path, sizeof chamber.key_path, "%s/chamber.key", chamber.directory);
    int fd = open(chamber.key_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, key, sizeof key - 1) != (ssize_t)sizeof key - 1 || close(fd) != 0)
        return -1;
    chamber.stored = rite.stored;
    chamber.hello = rite.hello;
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(answer);
    test_chamber_remove(&chamber);
    return 0;
}

/* --- now ---------------------------------------------------------------------------------------------------------------------- */

static int start(void **state)
{
    (void)state;
    vault_room_start_by_image(&room, &chamber);
    vault_room_open_root(&room, &chamber);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return vault_room_stop(&room);
}

static const void *ask(uint16_t type, const void *item, size_t size, uint16_t answer_type)
{
    assert_int_equal(core_ask(&room, type, item, size, 1, answer).code, 0);
    assert_int_equal(answer->head.type, answer_type);
    return answer->items;
}

static struct b_seal_state give(uint32_t which, const struct seal_set *set)
{
    const struct b_set item = {.id = 2, .which = which, .set = *set};
    const struct b_seal_state *told = ask(B_SET_OPEN, &item, sizeof item, B_SEAL_STATE);
    assert_int_equal(told->error, 0);
    return *told;
}

/* All operators, by the vault's door. */
static struct b_seal_state visit(uint32_t purpose, const uint8_t *digest)
{
    struct b_seal_state told = {0};
    for (int i = 0; i < 2; i++) {
        struct seal_envelope envelope = {.credential_len = 32};
        struct seal_box box;
        struct b_challenge question = {.purpose = purpose, .which = B_SET_PRESENT};
        struct b_envelope sent = {.purpose = purpose, .which = B_SET_PRESENT};
        memcpy(question.name, operators[i].name, sizeof question.name);
        memcpy(sent.name, operators[i].name, sizeof sent.name);
        if (digest)
            memcpy(sent.digest, digest, sizeof sent.digest);
        const struct b_challenged *challenged =
            ask(B_CHALLENGE, &question, sizeof question, B_CHALLENGED);
        assert_int_equal(challenged->error, 0);
        memcpy(envelope.credential, operators[i].credential, 32);
        assert_int_equal(envelope_seal(&envelope, &challenged->challenge, sent.digest, &box).code,
                         0);
        sent.len = box.len;
        memcpy(sent.box, box.bytes, box.len);
        const struct b_enveloped *enveloped = ask(B_ENVELOPE, &sent, sizeof sent, B_ENVELOPED);
        assert_int_equal(enveloped->error, 0);
        told = enveloped->state;
    }
    return told;
}

static void unseal(const struct seal_set *set)
{
    assert_int_equal(give(B_SET_PRESENT, set).open, 0);
    assert_int_equal(visit(SEAL_TO_UNSEAL, NULL).open, 1);
}

static uint32_t make(const struct b_auto_make *request, struct seal_auto *ret_blob)
{
    const struct b_auto *made = ask(B_AUTO_MAKE, request, sizeof *request, B_AUTO);
    static const struct seal_auto none;
    if (made->error)
        assert_memory_equal(&made->blob, &none, sizeof none);
    *ret_blob = made->blob;
    return made->error;
}

/* How many shares of a blob's key the vault gives. */
static uint32_t shares_given(void)
{
    static const uint8_t none[SEAL_SHARE_SIZE];
    uint32_t given = 0;
    for (uint32_t i = 0; i <= SEAL_KMS_MAX; i++) {
        const struct b_set_part part = {.id = 3, .kind = B_PART_AUTO, .index = i};
        const struct b_share *share = ask(B_SET_SHARE, &part, sizeof part, B_SHARE);
        if (share->error)
            assert_memory_equal(share->share, none, sizeof none);
        else
            given++;
    }
    return given;
}

static void drop(uint32_t what)
{
    const struct b_set_drop item = {.id = 4, .what = what};
    const struct b_seal_state *told = ask(B_SET_DROP, &item, sizeof item, B_SEAL_STATE);
    assert_int_equal(told->error, 0);
}

/* By every record that it has: no blob, and no share. */
static void gets_nothing(void)
{
    struct seal_auto blob;
    for (uint8_t byte = 0xaa; byte <= 0xad; byte++) {
        const struct b_auto_make of_old = {.proposal = proposal_of(&first, byte)};
        const struct b_auto_make of_new = {.proposal = proposal_of(&present, byte)};
        assert_int_not_equal(make(&of_old, &blob), 0);
        assert_int_not_equal(make(&of_new, &blob), 0);
    }
    const struct b_auto_make renewed = {.renews = 1, .before = of_first};
    const struct b_auto_make same = {.renews = 1, .before = of_present};
    struct b_auto_make forged = renewed;
    forged.before.generation++;
    assert_int_not_equal(make(&renewed, &blob), 0);
    assert_int_not_equal(make(&same, &blob), 0);
    assert_int_not_equal(make(&forged, &blob), 0);
    assert_int_equal(shares_given(), 0);
}

static void test_C09_T25_a_core_that_is_captured_later_has_no_key_of_a_blob(void **state)
{
    (void)state;
    gets_nothing();
    unseal(&present);
    gets_nothing();
}

/* Positive control: what was approved in this life is made, once. */
static void test_C09_T25_an_approval_is_used_up_when_its_blob_is_stored(void **state)
{
    (void)state;
    uint8_t digest[32];
    struct seal_auto blob, again;
    const struct b_auto_make request = {.proposal = proposal_of(&present, 0xab)};
    unseal(&present);
    proposal_auto_digest(&request.proposal, digest);
    assert_int_equal(visit(SEAL_TO_APPROVE, digest).approved, 1);
    assert_int_equal(make(&request, &blob), 0);
    assert_int_equal(shares_given(), KEYS);
    vault_room_next_core(&room); /* it dies, and the next one goes on */
    vault_room_open_root(&room, &chamber);
    assert_int_equal(give(B_SET_PRESENT, &present).open, 1);
    assert_int_equal(make(&request, &again), 0);
    assert_memory_equal(&again, &blob, sizeof blob);
    drop(B_DROP_AUTO);
    gets_nothing();
}

/* A life that is given the sets of before the rotation, and then the rotation, as it was. */
static void test_C09_T12_a_rotation_that_is_played_again_renews_nothing(void **state)
{
    (void)state;
    unseal(&first);
    gets_nothing();
    assert_int_equal(give(B_SET_STAGED, &staged).staged_open, 1);
    gets_nothing();
    assert_int_equal(give(B_SET_PRESENT, &present).open, 1);
    gets_nothing();
}

#define VAULT(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        VAULT(test_C09_T25_a_core_that_is_captured_later_has_no_key_of_a_blob),
        VAULT(test_C09_T25_an_approval_is_used_up_when_its_blob_is_stored),
        VAULT(test_C09_T12_a_rotation_that_is_played_again_renews_nothing),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
