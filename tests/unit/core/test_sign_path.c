/* Every refusal of core/sign_path.h, and the order in which they come. */
#include <string.h>

#include "core/sign_path.h"
#include "eth/signing_root.h"
#include "support/test.h"

static struct eth_network network;
static struct auth_config anybody = {.mode = AUTH_OPEN,
                                     .open_operations = {.count = 1, .items = {"*"}}};
static struct authority *authority; /* of mode open; made once */
static struct sign_rules rules;
static struct key_lookup active = {KEY_STATE_ACTIVE, true, {7, 3}};

enum {
    EPOCH = 300000
};

/* The first millisecond of `epoch`. */
static uint64_t wall_of(uint64_t epoch)
{
    return (network.genesis_time +
            epoch * network.preset.slots_per_epoch * network.seconds_per_slot) *
           1000;
}

static int set_up(void **state)
{
    const struct authority_settings settings = {.auth = &anybody, .data_dir = "/nonexistent"};
    (void)state;
    assert_int_equal(network_load("sepolia", &network).code, 0);
    if (!authority)
        assert_int_equal(authority_new(&settings, &authority).code, 0);
    rules = (struct sign_rules){.network = &network,
                                .has_genesis_validators_root = true,
                                .genesis_validators_root = network.genesis_validators_root,
                                .max_future_epochs = 2};
    return 0;
}

static struct sign_request request_of(enum eth_kind kind)
{
    struct sign_request r = {.kind = kind, .flags = SIGN_HAS_FORK_INFO, .epoch = EPOCH};
    memset(&r.pubkey, 0xab, sizeof r.pubkey);
    r.fork_info.fork.current_version = network.forks[FORK_FULU].version;
    r.fork_info.fork.previous_version = network.forks[FORK_ELECTRA].version;
    r.fork_info.fork.epoch = network.forks[FORK_FULU].epoch;
    r.fork_info.genesis_validators_root = network.genesis_validators_root;
    return r;
}

static struct sign_request attestation(void)
{
    struct sign_request r = request_of(KIND_ATTESTATION);
    r.claim.attestation.slot = EPOCH * 32 + 5;
    r.claim.attestation.source.epoch = EPOCH - 1;
    r.claim.attestation.target.epoch = EPOCH;
    return r;
}

static struct sign_request block(void)
{
    struct sign_request r = request_of(KIND_BLOCK_V2);
    r.claim.block.slot = EPOCH * 32 + 5;
    return r;
}

static struct sign_request registration(void)
{
    struct sign_request r = request_of(KIND_VALIDATOR_REGISTRATION);
    memset(&r.claim.fees.fee_recipient, 0x44, sizeof r.claim.fees.fee_recipient);
    r.claim.fees.gas_limit = 60000000;
    r.claim.fees.timestamp = 1700000000;
    r.claim.fees.pubkey = r.pubkey;
    r.object_root = registration_root(&r);
    return r;
}

static struct sign_outcome
judge_at(const struct sign_request *r, const struct key_lookup *key, uint64_t epoch)
{
    const struct caller caller = {0};
    struct auth_verdict verdict = {0};
    struct sign_outcome outcome;
    if (sign_path_is_whole(&rules, r)) {
        const struct auth_question question = sign_path_question(r);
        authority_judge(authority, &caller, &question, &verdict);
    }
    sign_path_judge(&rules, r, &verdict, key, wall_of(epoch), &outcome);
    return outcome;
}

static struct sign_outcome judge(const struct sign_request *r)
{
    return judge_at(r, &active, EPOCH);
}

static bool is_zero(const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= at[i];
    return any == 0;
}

/* Nothing that could be sent on is left in a refusal. */
static void
assert_refused(const struct sign_request *r, const struct key_lookup *key, enum error_code error)
{
    const struct sign_outcome outcome = judge_at(r, key, EPOCH);
    assert_int_equal(outcome.error, error);
    assert_true(is_zero(&outcome.claim, sizeof outcome.claim));
}

static void test_an_attestation_becomes_a_claim_and_a_message(void **state)
{
    struct sign_request r = attestation();
    struct signing_parts parts;
    struct signing_root root;
    const struct sign_outcome outcome = judge(&r);
    (void)state;
    assert_int_equal(signing_root_compute(&network, &r, &parts, &root).code, 0);
    assert_int_equal(outcome.error, 0);
    assert_int_equal(outcome.slashable, SLASHABLE_ATTESTATION);
    assert_memory_equal(&outcome.root, &root, sizeof root);
    assert_int_equal(outcome.claim.kind, SLASH_CLAIM_ATTESTATION);
    assert_int_equal(outcome.claim.source, EPOCH - 1);
    assert_int_equal(outcome.claim.target, EPOCH);
    assert_memory_equal(&outcome.claim.root, &root, sizeof root);
    assert_memory_equal(&outcome.claim.pubkey, &r.pubkey, sizeof r.pubkey);
    assert_int_equal(outcome.message.claim, B_CLAIM_ATTESTATION);
    assert_int_equal(outcome.message.key.index, 7);
    assert_int_equal(outcome.message.key.generation, 3);
    assert_memory_equal(&outcome.message.body.attestation, &r.claim.attestation,
                        sizeof r.claim.attestation);
    assert_memory_equal(&outcome.message.version, &parts.version, sizeof parts.version);
}

static void test_a_block_becomes_a_claim_and_a_message(void **state)
{
    struct sign_request r = block();
    const struct sign_outcome outcome = judge(&r);
    (void)state;
    assert_int_equal(outcome.error, 0);
    assert_int_equal(outcome.claim.kind, SLASH_CLAIM_BLOCK);
    assert_int_equal(outcome.claim.slot, r.claim.block.slot);
    assert_int_equal(outcome.message.claim, B_CLAIM_BLOCK);
    assert_memory_equal(&outcome.message.body.block, &r.claim.block, sizeof r.claim.block);
}

static void test_an_object_goes_with_root_and_domain(void **state)
{
    struct sign_request r = request_of(KIND_RANDAO_REVEAL);
    struct signing_parts parts;
    struct signing_root root;
    (void)state;
    memset(&r.object_root, 0x11, sizeof r.object_root);
    assert_int_equal(signing_root_compute(&network, &r, &parts, &root).code, 0);
    const struct sign_outcome outcome = judge(&r);
    assert_int_equal(outcome.error, 0);
    assert_int_equal(outcome.message.claim, B_CLAIM_OBJECT);
    assert_memory_equal(&outcome.message.body.object.root, &r.object_root, sizeof r.object_root);
    assert_memory_equal(&outcome.message.body.object.domain, &parts.domain, sizeof parts.domain);
    assert_true(is_zero(&outcome.claim, sizeof outcome.claim));
}

static void test_a_kind_out_of_the_table_is_unknown(void **state)
{
    static const uint32_t kinds[] = {KIND_END, KIND_END + 1, 255, 0x80000000, UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct sign_request r = attestation();
        r.kind = kinds[i];
        assert_refused(&r, &active, ERROR_KIND_UNKNOWN);
        assert_int_equal(judge(&r).kind, KIND_END);
    }
}

static void test_unknown_flags_are_malformed(void **state)
{
    struct sign_request r = attestation();
    (void)state;
    for (unsigned bit = 2; bit < 32; bit++) {
        r.flags = SIGN_HAS_FORK_INFO | 1U << bit;
        assert_refused(&r, &active, ERROR_MALFORMED);
    }
}

static void test_fork_info_is_required_where_the_domain_needs_it(void **state)
{
    (void)state;
    for (int kind = 0; kind < KIND_END; kind++) {
        const struct kind_info *info = kind_info((enum eth_kind)kind);
        bool needed = info->version_from == VERSION_FORK || info->version_from == VERSION_EXIT;
        struct sign_request r = request_of((enum eth_kind)kind);
        r.flags = 0;
        r.claim.attestation.target.epoch = EPOCH;
        if (info->slashable == SLASHABLE_BLOCK)
            r.claim.block.slot = EPOCH * 32;
        const struct sign_outcome outcome = judge(&r);
        assert_int_equal(outcome.error == ERROR_FIELD_MISSING, needed);
    }
}

/* A captured front can't have the same vote signed under a second fork version by lying about its epoch. */
static void test_the_epoch_must_be_the_claims_own(void **state)
{
    struct sign_request r = attestation();
    (void)state;
    r.epoch = EPOCH - 1;
    assert_refused(&r, &active, ERROR_MALFORMED);
    r = block();
    r.epoch = EPOCH + 1;
    assert_refused(&r, &active, ERROR_MALFORMED);
}

static void test_T20_what_policy_does_not_allow_is_denied_with_its_rule(void **state)
{
    struct sign_request r = request_of(KIND_VOLUNTARY_EXIT);
    (void)state;
    assert_refused(&r, &active, ERROR_DENIED);
    assert_int_equal(judge(&r).rule, POLICY_NOT_ROUTINE);
}

static void test_keys_that_cannot_sign(void **state)
{
    const struct key_lookup loading = {.state = KEY_STATE_LOADING, .set_known = true};
    const struct key_lookup absent = {.state = KEY_STATE_ABSENT, .set_known = true};
    const struct key_lookup unknown_yet = {.state = KEY_STATE_ABSENT, .set_known = false};
    const struct key_lookup failed = {.state = KEY_STATE_FAILED, .set_known = true};
    struct sign_request r = attestation();
    (void)state;
    assert_refused(&r, &loading, ERROR_KEY_LOADING);
    assert_refused(&r, &absent, ERROR_KEY_UNKNOWN);
    assert_refused(&r, &unknown_yet, ERROR_KEY_LOADING);
    assert_refused(&r, &failed, ERROR_KEY_UNKNOWN);
}

static void test_another_networks_root_is_refused(void **state)
{
    struct sign_request r = attestation();
    (void)state;
    r.fork_info.genesis_validators_root.bytes[31] ^= 1;
    assert_refused(&r, &active, ERROR_WRONG_NETWORK);
    const struct sign_outcome outcome = judge(&r);
    assert_true(is_zero(&outcome.root, sizeof outcome.root));
}

static void test_a_request_never_fixes_the_root(void **state)
{
    struct sign_request r = attestation();
    (void)state;
    rules.has_genesis_validators_root = false;
    assert_refused(&r, &active, ERROR_WRONG_NETWORK);
    assert_refused(&r, &active, ERROR_WRONG_NETWORK);
    assert_false(rules.has_genesis_validators_root);
    (void)set_up(NULL);
}

static void test_kinds_without_fork_info_pass_the_guard(void **state)
{
    struct sign_request r = registration();
    (void)state;
    r.flags = 0;
    memset(&r.fork_info, 0, sizeof r.fork_info);
    assert_int_equal(judge(&r).error, 0);
}

/* Else a captured front could name a fee recipient that a policy allows, and have another one signed. */
static void test_a_registration_is_what_its_root_says(void **state)
{
    struct sign_request r = registration();
    (void)state;
    r.claim.fees.fee_recipient.bytes[19] ^= 1;
    assert_refused(&r, &active, ERROR_MALFORMED);
    r = registration();
    r.claim.fees.gas_limit++;
    assert_refused(&r, &active, ERROR_MALFORMED);
    r = registration();
    r.claim.fees.timestamp++;
    assert_refused(&r, &active, ERROR_MALFORMED);
    r = registration();
    r.claim.fees.pubkey.bytes[47] ^= 1;
    assert_refused(&r, &active, ERROR_MALFORMED);
    r = registration();
    r.object_root.bytes[0] ^= 1;
    assert_refused(&r, &active, ERROR_MALFORMED);
}

/* P27: the refusal names the policy and its rule, and neither key nor history was looked at. */
static void test_P27_a_denied_exit_names_its_rule(void **state)
{
    struct sign_request r = request_of(KIND_VOLUNTARY_EXIT);
    const struct auth_verdict denied = {.error = ERROR_DENIED,
                                        .rule = POLICY_RULE,
                                        .reason = {.policy = "vc-alpha", .number = 2},
                                        .principal = "token:alpha"};
    const struct key_lookup absent = {.state = KEY_STATE_ABSENT, .set_known = true};
    struct sign_outcome outcome;
    (void)state;
    sign_path_judge(&rules, &r, &denied, &absent, wall_of(EPOCH), &outcome);
    assert_int_equal(outcome.error, ERROR_DENIED);
    assert_int_equal(outcome.rule, POLICY_RULE);
    assert_string_equal(outcome.reason.policy, "vc-alpha");
    assert_int_equal(outcome.reason.number, 2);
    assert_string_equal(outcome.principal, "token:alpha");
    assert_true(is_zero(&outcome.root, sizeof outcome.root));
    assert_true(is_zero(&outcome.message, sizeof outcome.message));
}

/* Fees are part of the question for the kinds that have them, and for no other. */
static void test_a_question_has_the_fees_of_its_message(void **state)
{
    unsigned with = 0;
    (void)state;
    for (int kind = 0; kind < KIND_END; kind++) {
        const struct sign_request r = request_of((enum eth_kind)kind);
        const struct auth_question q = sign_path_question(&r);
        assert_int_equal(q.scope, SCOPE_SIGN);
        assert_int_equal(q.kind, kind);
        assert_ptr_equal(q.pubkey, &r.pubkey);
        assert_int_equal(!q.fee_recipient, !q.gas_limit);
        with += q.fee_recipient != NULL;
    }
    assert_int_equal(with, 4);
}

static void test_a_clients_root_must_match(void **state)
{
    struct sign_request r = attestation();
    const struct signing_root right = judge(&r).root;
    (void)state;
    r.flags |= SIGN_HAS_CLIENT_ROOT;
    memcpy(&r.client_root, &right, sizeof right);
    assert_int_equal(judge(&r).error, 0);
    for (size_t i = 0; i < sizeof right; i++) {
        memcpy(&r.client_root, &right, sizeof right);
        r.client_root.bytes[i] ^= 0x80;
        const struct sign_outcome outcome = judge(&r);
        assert_int_equal(outcome.error, ERROR_ROOT_MISMATCH);
        assert_memory_equal(&outcome.root, &right, sizeof right); /* for the message */
        assert_true(is_zero(&outcome.claim, sizeof outcome.claim));
    }
}

static void test_P14_the_future_is_refused_from_the_clock_on(void **state)
{
    struct sign_request r = attestation();
    (void)state;
    assert_int_equal(judge_at(&r, &active, EPOCH - 2).error, 0);
    const struct sign_outcome outcome = judge_at(&r, &active, EPOCH - 3);
    assert_int_equal(outcome.error, ERROR_SLASHABLE);
    assert_int_equal(outcome.rule, SLASH_FUTURE);
    assert_true(is_zero(&outcome.claim, sizeof outcome.claim));
    r = block();
    assert_int_equal(judge_at(&r, &active, EPOCH - 2).error, 0);
    assert_int_equal(judge_at(&r, &active, EPOCH - 3).rule, SLASH_FUTURE);
}

static void test_P14_edges_of_the_integers_are_the_future(void **state)
{
    static const uint64_t edges[] = {1ULL << 31, 1ULL << 53, INT64_MAX, 1ULL << 63, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        struct sign_request r = attestation();
        r.epoch = r.claim.attestation.target.epoch = edges[i];
        assert_int_equal(judge(&r).rule, SLASH_FUTURE);
        r = block();
        r.claim.block.slot = edges[i];
        r.epoch = network_epoch_of(&network, edges[i]);
        assert_int_equal(judge(&r).error, ERROR_SLASHABLE);
    }
}

static void test_without_a_genesis_time_there_is_no_clock_rule(void **state)
{
    struct sign_request r = attestation();
    (void)state;
    network.genesis_time = 0;
    r.epoch = r.claim.attestation.target.epoch = UINT64_MAX;
    assert_int_equal(judge(&r).error, 0);
    (void)set_up(NULL);
}

static void test_before_genesis_the_epoch_is_zero(void **state)
{
    (void)state;
    assert_int_equal(sign_path_last_epoch(&rules, 0), 2);
    rules.max_future_epochs = UINT64_MAX;
    assert_true(sign_path_last_epoch(&rules, wall_of(5)) == UINT64_MAX);
    (void)set_up(NULL);
}

/* All that can be wrong at once; each repair shows the next refusal. */
static void test_the_order_of_refusals(void **state)
{
    struct key_lookup key = {.state = KEY_STATE_ABSENT, .set_known = true};
    struct sign_request r = attestation();
    struct sign_outcome outcome;
    const struct auth_verdict denied = {.error = ERROR_DENIED, .rule = POLICY_NOT_LISTED};
    const struct auth_verdict may = {0};
    (void)state;
    r.flags = SIGN_HAS_FORK_INFO | SIGN_HAS_CLIENT_ROOT | 0x100;
    r.fork_info.genesis_validators_root.bytes[0] ^= 1;

    sign_path_judge(&rules, &r, &denied, &key, wall_of(0), &outcome);
    assert_int_equal(outcome.error, ERROR_MALFORMED);
    r.flags &= ~0x100U;
    sign_path_judge(&rules, &r, &denied, &key, wall_of(0), &outcome);
    assert_int_equal(outcome.error, ERROR_DENIED);
    sign_path_judge(&rules, &r, &may, &key, wall_of(0), &outcome);
    assert_int_equal(outcome.error, ERROR_KEY_UNKNOWN);
    key = active;
    sign_path_judge(&rules, &r, &may, &key, wall_of(0), &outcome);
    assert_int_equal(outcome.error, ERROR_WRONG_NETWORK);
    r.fork_info.genesis_validators_root.bytes[0] ^= 1;
    sign_path_judge(&rules, &r, &may, &key, wall_of(0), &outcome);
    assert_int_equal(outcome.error, ERROR_ROOT_MISMATCH);
    memcpy(&r.client_root, &outcome.root, sizeof r.client_root);
    sign_path_judge(&rules, &r, &may, &key, wall_of(0), &outcome);
    assert_int_equal(outcome.error, ERROR_SLASHABLE);
    sign_path_judge(&rules, &r, &may, &key, wall_of(EPOCH), &outcome);
    assert_int_equal(outcome.error, 0);
}

/* What another enclave may have signed, whatever its parent's stores say, is not signed by one that starts now. */
static void test_P26_an_enclave_signs_nothing_that_an_earlier_one_may_have_signed(void **state)
{
    struct sign_request a = attestation();
    struct sign_request b = block();
    struct slash_watermark floor = {0};
    struct sign_rules before;
    (void)state;
    before = rules;
    assert_true(sign_path_enclave_floor(&rules, wall_of(EPOCH), 30000, &floor));
    assert_int_equal(floor.target, EPOCH + 2); /* the rule for the future let it go so far */
    assert_true(sign_path_enclave_floor(&rules, wall_of(EPOCH + 1) - 1, 30000, &floor));
    assert_int_equal(floor.target, EPOCH + 3); /* and its clock may have been ahead */
    rules.max_future_epochs =
        1; /* of this image; the one before may have had the most that is allowed */
    assert_true(sign_path_enclave_floor(&rules, wall_of(EPOCH + 1), 0, &floor));
    assert_int_equal(floor.target, EPOCH + 3);
    rules.max_future_epochs = 5; /* on test networks alone */
    assert_true(sign_path_enclave_floor(&rules, wall_of(EPOCH + 1), 0, &floor));
    assert_int_equal(floor.target, EPOCH + 6);
    rules = before;
    assert_true(sign_path_enclave_floor(&rules, wall_of(EPOCH + 1), 0, &floor));
    rules.floor = floor;
    /* All that passed until now is refused now. */
    for (uint64_t epoch = EPOCH - 1; epoch <= EPOCH + 3; epoch++) {
        a.epoch = a.claim.attestation.target.epoch = epoch;
        a.claim.attestation.source.epoch = epoch;
        b.epoch = epoch;
        b.claim.block.slot = epoch * 32 + 31;
        rules = before;
        assert_int_equal(judge_at(&a, &active, EPOCH + 1).error, 0);
        assert_int_equal(judge_at(&b, &active, EPOCH + 1).error, 0);
        rules.floor = floor;
        assert_refused(&a, &active, ERROR_SLASHABLE);
        assert_int_equal(judge_at(&a, &active, EPOCH + 1).rule,
                         epoch < floor.source ? SLASH_SOURCE_BELOW : SLASH_TARGET_BELOW);
        assert_int_equal(judge_at(&b, &active, EPOCH + 1).rule, SLASH_BLOCK_BELOW);
    }
    /* A vote around all of those. */
    a.epoch = a.claim.attestation.target.epoch = EPOCH + 4;
    a.claim.attestation.source.epoch = EPOCH + 2;
    assert_int_equal(judge_at(&a, &active, EPOCH + 4).rule, SLASH_SOURCE_BELOW);
    a.claim.attestation.source.epoch = EPOCH + 3;
    assert_int_equal(judge_at(&a, &active, EPOCH + 4).error, 0);
    b.epoch = EPOCH + 4;
    b.claim.block.slot = (EPOCH + 4) * 32;
    assert_int_equal(judge_at(&b, &active, EPOCH + 4).error, 0);
    /* Nobody knows how far it is. */
    network.genesis_time = 0;
    assert_false(sign_path_enclave_floor(&rules, 1, 1, &floor));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_an_attestation_becomes_a_claim_and_a_message, set_up),
        cmocka_unit_test_setup(test_a_block_becomes_a_claim_and_a_message, set_up),
        cmocka_unit_test_setup(test_an_object_goes_with_root_and_domain, set_up),
        cmocka_unit_test_setup(test_a_kind_out_of_the_table_is_unknown, set_up),
        cmocka_unit_test_setup(test_unknown_flags_are_malformed, set_up),
        cmocka_unit_test_setup(test_fork_info_is_required_where_the_domain_needs_it, set_up),
        cmocka_unit_test_setup(test_the_epoch_must_be_the_claims_own, set_up),
        cmocka_unit_test_setup(test_T20_what_policy_does_not_allow_is_denied_with_its_rule, set_up),
        cmocka_unit_test_setup(test_keys_that_cannot_sign, set_up),
        cmocka_unit_test_setup(test_another_networks_root_is_refused, set_up),
        cmocka_unit_test_setup(test_a_request_never_fixes_the_root, set_up),
        cmocka_unit_test_setup(test_kinds_without_fork_info_pass_the_guard, set_up),
        cmocka_unit_test_setup(test_a_registration_is_what_its_root_says, set_up),
        cmocka_unit_test_setup(test_P27_a_denied_exit_names_its_rule, set_up),
        cmocka_unit_test_setup(test_a_question_has_the_fees_of_its_message, set_up),
        cmocka_unit_test_setup(test_a_clients_root_must_match, set_up),
        cmocka_unit_test_setup(test_P14_the_future_is_refused_from_the_clock_on, set_up),
        cmocka_unit_test_setup(test_P14_edges_of_the_integers_are_the_future, set_up),
        cmocka_unit_test_setup(test_without_a_genesis_time_there_is_no_clock_rule, set_up),
        cmocka_unit_test_setup(test_before_genesis_the_epoch_is_zero, set_up),
        cmocka_unit_test_setup(
            test_P26_an_enclave_signs_nothing_that_an_earlier_one_may_have_signed, set_up),
        cmocka_unit_test_setup(test_the_order_of_refusals, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
