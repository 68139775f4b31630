/* The table of the sealed chamber: its names, and that the state which facts give is the one to which its rows lead. What the rows
 * together never allow: tests/spin.
 */
#include <string.h>

#include "seal/machine.h"
#include "support/test.h"
#include "wire/seal.h"

static const uint32_t modes[] = {0, SEAL_LOCAL, SEAL_KMS, SEAL_QUORUM, SEAL_OPERATORS};

static void test_every_number_has_one_name(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < SEAL_STATE_END; i++)
        for (uint32_t k = 0; k < i; k++)
            assert_string_not_equal(seal_state_name(i), seal_state_name(k));
    for (uint32_t i = 0; i < SEAL_EVENT_END; i++)
        for (uint32_t k = 0; k < i; k++)
            assert_string_not_equal(seal_event_name(i), seal_event_name(k));
    for (uint32_t i = 1; i < SEAL_PHASE_END; i++) {
        uint32_t phase = 99;
        assert_true(seal_phase_of(span_str(seal_phase_name(i)), &phase) && phase == i);
    }
    assert_null(seal_state_name(SEAL_STATE_END));
    assert_null(seal_event_name(SEAL_EVENT_END));
    assert_null(seal_phase_name(SEAL_PHASE_END));
    assert_null(seal_phase_name(SEAL_PHASE_NONE));
}

/* The names are those of the API and of the older releases. */
static void test_the_names_of_the_states(void **state)
{
    (void)state;
    assert_string_equal(seal_state_name(SEAL_STATE_NOT_CONFIGURED), "not_configured");
    assert_string_equal(seal_state_name(SEAL_STATE_UNINITIALIZED), "uninitialized");
    assert_string_equal(seal_state_name(SEAL_STATE_AWAITING_REGISTRATION), "awaiting_registration");
    assert_string_equal(seal_state_name(SEAL_STATE_SEALED), "sealed");
    assert_string_equal(seal_state_name(SEAL_STATE_KMS_UNSEALED), "kms_unsealed");
    assert_string_equal(seal_state_name(SEAL_STATE_UNSEALED), "unsealed");
    assert_string_equal(seal_state_name(SEAL_STATE_AWAITING_ROTATION), "awaiting_rotation");
}

static void test_what_signs(void **state)
{
    (void)state;
    for (int i = 0; i < SEAL_STATE_END; i++)
        assert_int_equal(seal_state_signs((enum seal_state)i),
                         i == SEAL_STATE_NOT_CONFIGURED || i == SEAL_STATE_UNSEALED ||
                             i == SEAL_STATE_AWAITING_ROTATION);
}

static bool steps(enum seal_state from, enum seal_event event, uint32_t mode, enum seal_state to)
{
    enum seal_state next;
    enum seal_need need;
    return seal_step(from, event, mode, &next, &need) && next == to;
}

/* Every state, in every mode. */
static void test_it_can_always_be_sealed(void **state)
{
    (void)state;
    for (int i = 0; i < SEAL_STATE_END; i++)
        for (size_t k = 0; k < ARRAY_LEN(modes); k++)
            assert_true(steps((enum seal_state)i, SEAL_EVENT_SEAL, modes[k], SEAL_STATE_SEALED));
}

static void test_no_restart_opens_anything(void **state)
{
    (void)state;
    for (int i = 0; i < SEAL_STATE_END; i++)
        for (size_t k = 0; k < ARRAY_LEN(modes); k++) {
            enum seal_state next;
            enum seal_need need;
            if (!seal_step((enum seal_state)i, SEAL_EVENT_RESTARTED, modes[k], &next, &need))
                continue;
            assert_true(!seal_state_signs(next) || modes[k] == SEAL_LOCAL);
        }
}

/* All facts that there can be. */
static uint32_t facts_of(unsigned number, struct seal_facts *ret_facts)
{
    *ret_facts = (struct seal_facts){.mode = modes[number % 5],
                                     .phase = (enum seal_phase)(number / 5 % SEAL_PHASE_END),
                                     .latched = number / 30 % 2,
                                     .open = number / 60 % 2,
                                     .kms_open = number / 120 % 2};
    return number < 240;
}

static bool are_possible(const struct seal_facts *f)
{
    const bool has_kms = f->mode == SEAL_KMS || f->mode == SEAL_QUORUM;
    if (!f->mode &&
        (f->open || f->phase == SEAL_PHASE_PROPOSED || f->phase == SEAL_PHASE_REWRITING))
        return false;
    if (f->mode == SEAL_LOCAL && f->open == f->latched)
        return false;
    /* An image opens the master key of mode quorum whether or not KMS has opened its own layer. */
    return f->kms_open ? has_kms : !(f->open && f->mode == SEAL_KMS);
}

/* What an event does to the facts. */
static struct seal_facts after(struct seal_facts f, enum seal_event event, uint32_t new_mode)
{
    switch (event) {
    case SEAL_EVENT_INIT:
        f.phase = SEAL_PHASE_STAGED;
        break;
    case SEAL_EVENT_PROPOSED:
        f.phase = SEAL_PHASE_PROPOSED;
        break;
    case SEAL_EVENT_STAGED:
    case SEAL_EVENT_REGISTERED:
    case SEAL_EVENT_REGISTERED_ALL:
    case SEAL_EVENT_REWRITE:
    case SEAL_EVENT_EXPIRED:
        break;
    case SEAL_EVENT_COMMITTED:
        f.phase = SEAL_PHASE_NONE;
        f.open = f.open || (!f.mode && new_mode == SEAL_KMS);
        f.kms_open = f.open && (new_mode == SEAL_KMS || new_mode == SEAL_QUORUM);
        f.mode = new_mode;
        break;
    case SEAL_EVENT_CANCELLED:
        f.phase = SEAL_PHASE_NONE;
        break;
    case SEAL_EVENT_KMS_OPENED:
        f.kms_open = true;
        f.open = f.mode == SEAL_KMS;
        break;
    case SEAL_EVENT_QUORUM_OPENED:
    case SEAL_EVENT_IMAGE_OPENED:
        f.open = true;
        break;
    case SEAL_EVENT_DROPPED:
        f.open = f.kms_open = false;
        break;
    case SEAL_EVENT_SEAL:
        f.latched = true;
        f.open = f.kms_open = false;
        break;
    case SEAL_EVENT_UNLATCHED:
        f.latched = false;
        f.open = f.open || f.mode == SEAL_LOCAL;
        break;
    case SEAL_EVENT_RESTARTED:
        f.open = f.mode == SEAL_LOCAL && !f.latched;
        f.kms_open = false;
        break;
    case SEAL_EVENT_END:
        fail();
    }
    return f;
}

/* While there is a next set, an open replica is in awaiting_rotation by itself: nobody tells it of a proposal that it finds. */
static enum seal_state settled(enum seal_state state, const struct seal_facts *facts)
{
    const bool open = state == SEAL_STATE_UNSEALED || state == SEAL_STATE_NOT_CONFIGURED;
    if (facts->latched)
        return SEAL_STATE_SEALED;
    if (state == SEAL_STATE_UNINITIALIZED && facts->phase != SEAL_PHASE_NONE)
        return SEAL_STATE_AWAITING_REGISTRATION;
    return open && facts->phase != SEAL_PHASE_NONE ? SEAL_STATE_AWAITING_ROTATION : state;
}

/* A row that holds in the state that the facts give leads to the state that the changed facts give. */
static void test_rows_and_facts_agree(void **state)
{
    struct seal_facts facts;
    unsigned held = 0;
    (void)state;
    for (unsigned n = 0; facts_of(n, &facts); n++) {
        if (!are_possible(&facts) || facts.latched)
            continue;
        const enum seal_state from = seal_state_of(&facts);
        for (int e = 0; e < SEAL_EVENT_END; e++)
            for (size_t k = 0; k < ARRAY_LEN(modes); k++) {
                const enum seal_event event = (enum seal_event)e;
                enum seal_state next;
                enum seal_need need;
                if ((event != SEAL_EVENT_COMMITTED && modes[k] != facts.mode) ||
                    (event == SEAL_EVENT_COMMITTED && !modes[k]) ||
                    !seal_step(from, event, modes[k], &next, &need))
                    continue;
                struct seal_facts then = after(facts, event, modes[k]);
                /* Nobody hands on what is closed; the first set's operators have to show that they can open it. */
                if (!seal_state_signs(from) && event == SEAL_EVENT_COMMITTED)
                    then.open = then.kms_open = next == SEAL_STATE_UNSEALED;
                if (event == SEAL_EVENT_SEAL)
                    next = SEAL_STATE_SEALED;
                const enum seal_state now = seal_state_of(&then);
                if (now != settled(next, &then))
                    fail_msg("%s in %s: the row leads to %s, the facts give %s",
                             seal_event_name(event), seal_state_name(from), seal_state_name(next),
                             seal_state_name(now));
                held++;
            }
    }
    assert_true(held > 100);
}

static void test_a_latched_chamber_is_sealed_whatever_else_there_is(void **state)
{
    struct seal_facts facts;
    (void)state;
    for (unsigned n = 0; facts_of(n, &facts); n++)
        if (facts.latched)
            assert_int_equal(seal_state_of(&facts), SEAL_STATE_SEALED);
}

/* From no set to no set: by every phase, or back from each before the last. */
static void test_a_new_set_goes_forward_or_back(void **state)
{
    static const enum seal_event way[] = {
        SEAL_EVENT_PROPOSED,       SEAL_EVENT_STAGED,  SEAL_EVENT_REGISTERED, SEAL_EVENT_REGISTERED,
        SEAL_EVENT_REGISTERED_ALL, SEAL_EVENT_REWRITE, SEAL_EVENT_COMMITTED};
    enum seal_phase phase = SEAL_PHASE_NONE;
    enum seal_phase next;
    enum seal_need need;
    (void)state;
    assert_false(seal_phase_step(phase, SEAL_EVENT_CANCELLED, &next, &need));
    for (size_t i = 0; i < ARRAY_LEN(way); i++) {
        assert_true(seal_phase_step(phase, way[i], &phase, &need));
        assert_true(phase != SEAL_PHASE_PROPOSED || need == SEAL_NEED_PROPOSER);
        assert_true(phase != SEAL_PHASE_STAGED || need == SEAL_NEED_APPROVAL);
        const bool back = seal_phase_step(phase, SEAL_EVENT_CANCELLED, &next, &need);
        assert_int_equal(back, phase != SEAL_PHASE_NONE && phase != SEAL_PHASE_REWRITING);
        assert_true(!back || (next == SEAL_PHASE_NONE && need == SEAL_NEED_CANCEL));
    }
    assert_int_equal(phase, SEAL_PHASE_NONE);
    assert_false(seal_phase_step(SEAL_PHASE_PROPOSED, SEAL_EVENT_REWRITE, &next, &need));
    assert_false(seal_phase_step(SEAL_PHASE_STAGED, SEAL_EVENT_COMMITTED, &next, &need));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number_has_one_name),
        cmocka_unit_test(test_the_names_of_the_states),
        cmocka_unit_test(test_what_signs),
        cmocka_unit_test(test_it_can_always_be_sealed),
        cmocka_unit_test(test_no_restart_opens_anything),
        cmocka_unit_test(test_rows_and_facts_agree),
        cmocka_unit_test(test_a_latched_chamber_is_sealed_whatever_else_there_is),
        cmocka_unit_test(test_a_new_set_goes_forward_or_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
