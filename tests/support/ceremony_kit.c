#include "support/ceremony_kit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#include "crypto/random.h"
#include "seal/challenge.h"
#include "support/test.h"

static void give_key(struct chamber *chamber)
{
    static const char file[] = "containment-chamber-key-v1\n"
                               "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], file, sizeof file - 1), sizeof file - 1);
    (void)close(fds[1]);
    assert_int_equal(chamber_take_key(chamber, fds[0]).code, 0);
}

static void open_parts(struct rite_vault *vault)
{
    *vault = (struct rite_vault){.now_ms = clock_mono_ms()};
    assert_int_equal(arena_new(1, 64, &vault->arena).code, 0);
    assert_int_equal(chamber_new(vault->arena, &vault->chamber).code, 0);
    assert_int_equal(master_new(vault->arena, &vault->master).code, 0);
    assert_int_equal(sets_new(vault->chamber, vault->master, &vault->sets).code, 0);
    give_key(vault->chamber);
}

void rite_stop(struct rite_vault *vault)
{
    sets_free(vault->sets);
    master_free(vault->master);
    chamber_free(vault->chamber);
    arena_free(vault->arena);
}

void rite_make(struct rite_chamber *chamber, bool with_set)
{
    struct rite_vault vault;
    *chamber = (struct rite_chamber){.stored = {.id = 0}};
    open_parts(&vault);
    chamber_set_mode(vault.chamber, ROOM_MODE_INIT);
    assert_int_equal(chamber_create(vault.chamber, &chamber->stored).code, 0);
    memset(chamber->hello.history_id, 3, sizeof chamber->hello.history_id);
    assert_int_equal(
        chamber_prove_history(vault.chamber, chamber->hello.history_id, chamber->hello.proof).code,
        0);
    if (with_set) {
        enum b_set_which which = B_SET_STAGED;
        const struct rite_plan plan = {.mode = SEAL_LOCAL};
        const struct seal_proposal proposal = rite_proposal(chamber, NULL, &plan);
        assert_int_equal(sets_make(vault.sets, &proposal, &which, &chamber->set).code, 0);
        assert_int_equal(which, B_SET_PRESENT);
    }
    rite_stop(&vault);
}

void rite_start(struct rite_vault *vault, const struct rite_chamber *chamber)
{
    open_parts(vault);
    assert_int_equal(chamber_open(vault->chamber, &chamber->stored).code, 0);
    assert_int_equal(chamber_check_history(vault->chamber, &chamber->hello).code, 0);
    memcpy(vault->identity, chamber->stored.identity_public, sizeof vault->identity);
    sets_allow_ceremony(vault->sets);
}

struct seal_proposal rite_proposal(const struct rite_chamber *chamber,
                                   const struct seal_set *from,
                                   const struct rite_plan *plan)
{
    static const uint8_t point[32] = {9}; /* X25519's base: nobody needs its secret here */
    struct seal_proposal p = {.generation = from ? from->generation + 1 : 1,
                              .mode = plan->mode,
                              .keep = plan->keep,
                              .kms_count = plan->kms_count,
                              .kms_threshold = plan->kms_threshold,
                              .operator_count = plan->operator_count,
                              .operator_threshold = plan->operator_threshold};
    memcpy(p.chamber_id, chamber->stored.chamber_id, sizeof p.chamber_id);
    if (from)
        memcpy(p.from, from->fingerprint, sizeof p.from);
    assert_int_equal(random_bytes(p.id, sizeof p.id).code, 0);
    for (uint32_t i = 0; i < plan->operator_count; i++) {
        (void)snprintf(p.operators[i].name, SEAL_NAME_SIZE, "op-%u", i + 1);
        p.operators[i].recipient.kind = SEAL_RECIPIENT_AGE;
        memcpy(p.operators[i].recipient.key, point, sizeof point);
    }
    if (plan->break_glass)
        p.break_glass_count = p.break_glass_threshold = 2;
    for (uint32_t i = 0; i < p.break_glass_count && !(plan->keep & SEAL_KEEP_KMS); i++) {
        p.break_glass[i].kind = SEAL_RECIPIENT_AGE;
        memcpy(p.break_glass[i].key, point, sizeof point);
    }
    return p;
}

struct b_seal_state rite_state(struct rite_vault *vault)
{
    struct b_seal_state state = {0};
    sets_state(vault->sets, &state);
    return state;
}

static enum b_set_which which_of(uint32_t purpose)
{
    return purpose == SEAL_TO_REGISTER ? B_SET_STAGED : B_SET_PRESENT;
}

struct seal_challenge
rite_challenge(struct rite_vault *vault, enum seal_purpose purpose, const char *name)
{
    struct seal_challenge challenge;
    struct b_challenge request = {.purpose = purpose, .which = which_of(purpose)};
    (void)snprintf(request.name, sizeof request.name, "%s", name);
    assert_int_equal(ceremony_challenge(vault->sets, &request, vault->now_ms, &challenge).code, 0);
    return challenge;
}

cc_err rite_send(struct rite_vault *vault,
                 const struct seal_challenge *challenge,
                 struct seal_envelope *envelope,
                 const uint8_t *digest,
                 struct b_enveloped *ret_answer)
{
    static const uint8_t none[32];
    struct b_enveloped answer = {0};
    struct seal_box box;
    struct b_envelope request = {.purpose = challenge->purpose,
                                 .which = which_of(challenge->purpose)};
    memcpy(request.name, challenge->name, sizeof request.name);
    memcpy(request.digest, digest ? digest : none, sizeof request.digest);
    assert_int_equal(envelope_seal(envelope, challenge, request.digest, &box).code, 0);
    request.len = box.len;
    memcpy(request.box, box.bytes, box.len);
    cc_err err = ceremony_envelope(vault->sets, &request, vault->now_ms, &answer);
    if (ret_answer)
        *ret_answer = answer;
    return err;
}

cc_err rite_visit(struct rite_vault *vault,
                  enum seal_purpose purpose,
                  struct rite_operator *
                  operator,
                  const uint8_t * digest,
                  const uint8_t *next,
                  struct b_enveloped *ret_answer)
{
    const struct seal_challenge challenge = rite_challenge(vault, purpose, operator->name);
    struct seal_envelope envelope = {.credential_len = 32};
    assert_int_equal(challenge_verify(&challenge, vault->identity).code, 0);
    memcpy(envelope.credential, operator->credential, sizeof operator->credential);
    if (next) {
        envelope.next.factor = SEAL_FACTOR_PASSPHRASE;
        envelope.next.memory_kib = CREDENTIAL_MEMORY_MIN_KIB;
        envelope.next.passes = CREDENTIAL_PASSES_MIN;
        memcpy(envelope.next.credential, next, 32);
    }
    cc_err err = rite_send(vault, &challenge, &envelope, digest, ret_answer);
    if (next && !err.code)
        memcpy(operator->credential, next, 32);
    return err;
}

cc_err rite_open(struct rite_vault *vault, enum b_set_which which, const struct seal_set *set)
{
    return sets_open(vault->sets, which, set);
}

static void take_parts(struct rite_vault *vault, struct rite_parts *ret_parts)
{
    const struct making *making = &vault->sets->secrets->making;
    for (uint32_t i = 0; i < making->kms_count; i++)
        assert_int_equal(sets_part(vault->sets, i, ret_parts->kms[i]).code, 0);
    memcpy(ret_parts->break_glass, making->break_glass, sizeof making->break_glass);
    memcpy(ret_parts->tokens, making->tokens, sizeof making->tokens);
}

static void enrol(struct rite_vault *vault,
                  struct rite_operator *
                  operator,
                  const uint8_t token[static 32],
                  struct seal_set *set)
{
    uint8_t credential[32];
    struct b_enveloped answer;
    assert_int_equal(random_bytes(credential, sizeof credential).code, 0);
    memcpy(operator->credential, token, 32);
    assert_int_equal(
        rite_visit(vault, SEAL_TO_REGISTER, operator, set->fingerprint, credential, &answer).code,
        0);
    assert_int_equal(answer.changed, 1);
    *set = answer.set;
    assert_int_equal(rite_open(vault, B_SET_STAGED, set).code, 0);
}

cc_err rite_stage(struct rite_vault *vault,
                  const struct seal_proposal *proposal,
                  struct rite_parts *ret_parts,
                  struct rite_operator *operators,
                  struct seal_set *ret_set)
{
    enum b_set_which which = B_SET_PRESENT;
    const bool all_new = !(proposal->keep & SEAL_KEEP_OPERATORS);
    CC_TRY(sets_make(vault->sets, proposal, &which, ret_set));
    assert_int_equal(which, B_SET_STAGED);
    take_parts(vault, ret_parts);
    CC_TRY(rite_open(vault, B_SET_STAGED, ret_set));
    for (uint32_t i = 0; all_new && i < proposal->operator_count; i++) {
        (void)snprintf(operators[i].name, SEAL_NAME_SIZE, "op-%u", i + 1);
        enrol(vault, &operators[i], ret_parts->tokens[i], ret_set);
    }
    return CC_OK;
}

void rite_switch(struct rite_vault *vault, struct seal_set *set)
{
    set->has_bridge = 0;
    memset(set->bridge, 0, sizeof set->bridge);
    assert_int_equal(rite_open(vault, B_SET_PRESENT, set).code, 0);
}
