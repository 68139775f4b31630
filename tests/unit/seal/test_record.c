/* The records of the sealed chamber: one text for each, and every other text is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seal/record.h"
#include "support/seal_kit.h"
#include "support/test.h"

static const struct seal_shape shapes[] = {
    {SEAL_LOCAL, 0, 0, 0},     {SEAL_KMS, 1, 0, 0},       {SEAL_KMS, 3, 5, 0},
    {SEAL_QUORUM, 3, 3, 3},    {SEAL_QUORUM, 16, 16, 16}, {SEAL_OPERATORS, 0, 0, 1},
    {SEAL_OPERATORS, 0, 0, 5},
};

static struct seal_current current;
static struct seal_current current_again;
static struct seal_next next;
static struct seal_next next_again;

static void put(const char *text, struct buf *out)
{
    out->len = 0;
    assert_int_equal(buf_append_str(out, text).code, 0);
}

static void write_current(struct buf *out)
{
    out->len = 0;
    assert_int_equal(seal_current_encode(&current, out).code, 0);
}

static void write_next(struct buf *out)
{
    out->len = 0;
    assert_int_equal(seal_next_encode(&next, out).code, 0);
}

static void test_every_shape_of_the_present_set_is_one_text(void **state)
{
    struct buf text = buf_init(SEAL_RECORD_MAX);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        seal_kit_current(&shapes[i], &current);
        write_current(&text);
        memset(&current_again, 0xee, sizeof current_again);
        assert_int_equal(seal_current_decode(buf_span(&text), &current_again).code, 0);
        assert_memory_equal(&current, &current_again, sizeof current);
    }
    buf_release(&text);
}

static void test_every_shape_and_phase_of_the_next_set_is_one_text(void **state)
{
    struct buf text = buf_init(SEAL_RECORD_MAX);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++)
        for (int phase = SEAL_PHASE_PROPOSED; phase < SEAL_PHASE_END; phase++) {
            seal_kit_next(&shapes[i], SEAL_KIND_MODE, (enum seal_phase)phase, &next);
            write_next(&text);
            memset(&next_again, 0xee, sizeof next_again);
            assert_int_equal(seal_next_decode(buf_span(&text), &next_again).code, 0);
            assert_memory_equal(&next, &next_again, sizeof next);
        }
    buf_release(&text);
}

/* What a record can be at most fits into the state store's limit. */
static void test_the_largest_record_fits(void **state)
{
    struct buf text = buf_init(SEAL_RECORD_MAX);
    (void)state;
    seal_kit_next(&shapes[4], SEAL_KIND_INIT, SEAL_PHASE_STAGED, &next);
    for (uint32_t i = 0; i < 16; i++) {
        struct seal_operator *o = &next.set.operators[i];
        char name[SEAL_NAME_SIZE];
        (void)snprintf(name, sizeof name, "%02u-%036u", i, 0U);
        memcpy(o->name, name, sizeof name);
        memcpy(next.proposal.operators[i].name, name, sizeof name);
        o->hint_len = SEAL_HINT_MAX;
        o->memory_kib = o->passes = UINT32_MAX;
        next.tokens[i].len = SEAL_TEXT_MAX;
        memset(next.tokens[i].bytes, 'B', SEAL_TEXT_MAX);
        next.keys[i].len = SEAL_KMS_CIPHERTEXT_MAX;
        const size_t len = strlen(next.keys[i].arn);
        memset(next.keys[i].arn + len, 'a', SEAL_ARN_SIZE - 1 - len);
        next.set.operators[i].recipient.kind = SEAL_RECIPIENT_SSH;
        for (uint32_t k = 0; k < SEAL_TEXT_MAX; k += 65) /* lines of 64 */
            next.tokens[i].bytes[k] = '\n';
    }
    next.set.number = UINT64_MAX;
    seal_kms_keys_digest(next.keys, 16, next.proposal.kms_keys);
    write_next(&text);
    assert_true(text.len > 55000);
    assert_int_equal(seal_next_decode(buf_span(&text), &next_again).code, 0);
    assert_memory_equal(&next, &next_again, sizeof next);
    buf_release(&text);
}

static void test_a_replicas_record_is_one_text(void **state)
{
    static const char text[] =
        "{\"version\":1,\"replica\":\"000102030405060708090a0b0c0d0e0f\",\"generation\":7,"
        "\"open\":true,\"staged\":"
        "\"0800000000000000000000000000000000000000000000000000000000000000\",\"staged_open\":false,\"until\":1700000000000}";
    struct seal_replica replica;
    struct buf out = buf_init(SEAL_RECORD_MAX);
    (void)state;
    assert_int_equal(seal_replica_decode(span_str(text), &replica).code, 0);
    assert_int_equal(replica.generation, 7);
    assert_int_equal(replica.staged[0], 8);
    assert_true(replica.open && !replica.staged_open);
    assert_int_equal(replica.replica[15], 15);
    assert_int_equal(seal_replica_encode(&replica, &out).code, 0);
    assert_true(span_is(buf_span(&out), text));
    replica.generation = 0; /* open, and nothing to open */
    assert_true(error_is(seal_replica_encode(&replica, &out), ERROR_TAMPERED));
    buf_release(&out);
}

/* --- refusals ------------------------------------------------------------------------------------------------- */

static bool refuses_current(struct span text)
{
    memset(&current_again, 0xee, sizeof current_again);
    struct seal_current *before = malloc(sizeof *before);
    assert_non_null(before);
    memcpy(before, &current_again, sizeof *before);
    const bool refused = error_is(seal_current_decode(text, &current_again), ERROR_TAMPERED);
    const bool untouched = memcmp(before, &current_again, sizeof *before) == 0;
    free(before);
    return refused && untouched;
}

/* `text` with the first `what` replaced. */
static void replace(const struct buf *text, const char *what, const char *by, struct buf *out)
{
    const uint8_t *at = memmem(text->data, text->len, what, strlen(what));
    assert_non_null(at);
    const size_t before = (size_t)(at - text->data);
    out->len = 0;
    assert_int_equal(buf_append(out, text->data, before).code, 0);
    assert_int_equal(buf_append_str(out, by).code, 0);
    assert_int_equal(buf_append(out, at + strlen(what), text->len - before - strlen(what)).code, 0);
}

static void test_other_texts_of_the_present_set_are_refused(void **state)
{
    static const struct {
        const char *what;
        const char *by;
    } rows[] = {
        {"{\"version\":1", "{ \"version\":1"},
        {"{\"version\":1", "{\"version\":2"},
        {"{\"version\":1", "{\"version\":\"1\""},
        {"{\"version\":1", "{\"version\":1,\"more\":1"},
        {"{\"version\":1", "{\"version\":1,\"version\":1"},
        {"{\"version\":1,", "{"},
        {"\"quorum\"", "\"Quorum\""},
        {"\"quorum\"", "\"kms\""},
        {"\"quorum\"", "\"nitro\""},
        {"\"quorum\"", "\"quoru\\u006d\""},
        {"\"generation\":1", "\"generation\":0"},
        {"\"generation\":1", "\"generation\":4294967296"},
        {"\"generation\":1", "\"generation\":1.0"},
        {"\"unseal_generation\":1,\"number\":1", "\"number\":1,\"unseal_generation\":1"},
        {"\"kms_generation\":1", "\"kms_generation\":0"},
        {"\"unseal_generation\":1", "\"unseal_generation\":2"},
        {"\"fingerprint\":\"77", "\"fingerprint\":\""},
        {"\"number\":1", "\"number\":0"},
        {"\"number\":1", "\"number\":18446744073709551616"},
        {"\"master\":\"AQ", "\"master\":\""},
        {"\"master\":\"AQ", "\"master\":\"A%"},
        {"\"master\":\"AQID", "\"master\":\""},
        {"\"check\":\"0203", "\"check\":\"02"},
        {"\"check\":\"02", "\"check\":\"0x"},
        {"\"check\":\"020304", "\"check\":\"02030G"},
        {"\"check\":\"02030405060708090a", "\"check\":\"02030405060708090A"},
        {"\"tokens\":\"AwQF", "\"tokens\":\""},
        {"\"threshold\":2,\"keys\"", "\"threshold\":0,\"keys\""},
        {"\"threshold\":2,\"keys\"", "\"threshold\":4,\"keys\""},
        {"arn:aws:kms:eu-central-1", "arn:aws:s3:eu-central-1"},
        {"arn:aws:kms:eu-central-1", "arn:aws:kms:EU"},
        {"us-east-1:111122223333:key/00000000-0000-4000-8000-000000000002",
         "eu-central-1:111122223333:key/00000000-0000-4000-8000-000000000001"},
        {"\"ciphertext\":\"0NHS", "\"ciphertext\":\"0NH"},
        {"\"threshold\":2,\"commitments\"", "\"threshold\":5,\"commitments\""},
        {"\"name\":\"operator-2\"", "\"name\":\"operator-1\""},
        {"\"name\":\"operator-2\"", "\"name\":\"-operator\""},
        {"\"name\":\"operator-2\"", "\"name\":\"\""},
        {"\"name\":\"operator-2\"", "\"name\":\"operator-two-with-a-name-of-forty-letters\""},
        {"\"name\":\"operator-2\"", "\"name\":\"op\\u0000ator\""},
        {"\"kind\":\"age\"", "\"kind\":\"rsa\""},
        {"\"factor\":\"passphrase\"", "\"factor\":\"none\""},
        {"\"factor\":\"passphrase\"", "\"factor\":\"sms\""},
        {"\"memory_kib\":262144", "\"memory_kib\":4294967296"},
        {"\"passes\":3", "\"passes\":-3"},
        {"\"threshold\":2,\"entries\"", "\"threshold\":1,\"entries\""},
        {"\"threshold\":2,\"entries\"", "\"threshold\":4,\"entries\""},
        {",\"mac\"", ",\"bridge\":\"\",\"mac\""},
        {",\"mac\":\"c0c1", ",\"mac\":\"c0"},
    };
    struct buf text = buf_init(SEAL_RECORD_MAX);
    struct buf other = buf_init(2 * SEAL_RECORD_MAX);
    (void)state;
    seal_kit_current(&shapes[3], &current);
    write_current(&text);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        replace(&text, rows[i].what, rows[i].by, &other);
        if (!refuses_current(buf_span(&other)))
            fail_msg("accepted: %s in the place of %s", rows[i].by, rows[i].what);
    }
    buf_release(&text);
    buf_release(&other);
}

/* Nothing can be cut off, and no byte is without a meaning. */
static void test_no_byte_of_a_record_is_spare(void **state)
{
    struct buf text = buf_init(SEAL_RECORD_MAX);
    struct buf other = buf_init(SEAL_RECORD_MAX);
    (void)state;
    seal_kit_current(&shapes[0], &current);
    write_current(&text);
    for (size_t len = 0; len < text.len; len++)
        assert_true(refuses_current(span_of(text.data, len)));
    for (size_t at = 0; at < text.len; at++) {
        other.len = 0;
        assert_int_equal(buf_append(&other, text.data, text.len).code, 0);
        other.data[at] ^= 1;
        if (!seal_current_decode(buf_span(&other), &current_again).code)
            assert_memory_not_equal(&current_again, &current, sizeof current);
    }
    put("", &other);
    for (size_t i = 0; i < SEAL_RECORD_MAX; i++)
        assert_int_equal(buf_append(&other, " ", 1).code, 0);
    assert_true(refuses_current(buf_span(&other)));
    buf_release(&text);
    buf_release(&other);
}

static void test_a_text_that_is_too_long_is_refused(void **state)
{
    uint8_t *text = malloc(SEAL_RECORD_MAX + 1);
    (void)state;
    assert_non_null(text);
    memset(text, ' ', SEAL_RECORD_MAX + 1);
    assert_true(refuses_current(span_of(text, SEAL_RECORD_MAX + 1)));
    free(text);
}

/* A member that says something else than the rest of the record. */
static void test_a_present_set_that_contradicts_itself_is_not_written(void **state)
{
    struct buf text = buf_init(SEAL_RECORD_MAX);
    (void)state;
#define REFUSED(shape, change)                                                                     \
    do {                                                                                           \
        seal_kit_current(&shapes[shape], &current);                                                \
        change;                                                                                    \
        if (!error_is(seal_current_encode(&current, &text), ERROR_TAMPERED))                       \
            fail_msg("written: %s", #change);                                                      \
    } while (0)
    REFUSED(0, current.set.mode = 0);
    REFUSED(0, current.set.mode = SEAL_KMS);
    REFUSED(0, current.set.mode = SEAL_QUORUM);
    REFUSED(0, current.set.mode = SEAL_OPERATORS);
    REFUSED(0, current.set.mode = 5);
    REFUSED(0, current.set.has_bridge = 1);
    REFUSED(0, current.set.kms_generation = 1);
    REFUSED(0, current.set.unseal_generation = 1);
    REFUSED(0, current.set.master.len--);
    REFUSED(1, current.keys[0].len = 0);
    REFUSED(1, current.keys[0].len = SEAL_KMS_CIPHERTEXT_MAX + 1);
    REFUSED(1, memset(current.keys[0].arn, 'a', SEAL_ARN_SIZE));
    REFUSED(2, current.set.kms.count = 17);
    REFUSED(2, current.set.break_glass.count = 17);
    REFUSED(2, current.set.kms.count = 0);
    REFUSED(2, current.set.operator_count = 1);
    REFUSED(3, memset(current.set.operators[0].name, 'a', SEAL_NAME_SIZE));
    REFUSED(3, current.set.operators[1].hint_len = SEAL_HINT_MAX + 1);
    REFUSED(3, current.set.operators[1].share.len = 93);
    REFUSED(3, current.set.operator_count = 17);
    REFUSED(6, current.set.break_glass.count = current.set.break_glass.threshold = 1);
    REFUSED(6, current.set.operators[0].share.len = 153);
#undef REFUSED
    buf_release(&text);
}

static void test_a_next_set_that_contradicts_itself_is_not_written(void **state)
{
    struct buf text = buf_init(SEAL_RECORD_MAX);
    (void)state;
#define REFUSED(phase_, change)                                                                    \
    do {                                                                                           \
        seal_kit_next(&shapes[3], SEAL_KIND_MODE, SEAL_PHASE_##phase_, &next);                     \
        change;                                                                                    \
        if (!error_is(seal_next_encode(&next, &text), ERROR_TAMPERED))                             \
            fail_msg("written: %s", #change);                                                      \
    } while (0)
    REFUSED(PROPOSED, next.kind = 0);
    REFUSED(PROPOSED, next.kind = SEAL_KIND_END);
    REFUSED(PROPOSED, next.phase = 0);
    REFUSED(PROPOSED, next.phase = SEAL_PHASE_END);
    REFUSED(PROPOSED, next.proposer[0] = 0);
    REFUSED(PROPOSED, next.proposer[0] = '"');
    REFUSED(PROPOSED, memset(next.proposer, 'a', sizeof next.proposer));
    REFUSED(PROPOSED, memset(next.proposal.from, 0, 32));
    REFUSED(PROPOSED, next.proposal.generation = 1);
    REFUSED(PROPOSED, next.proposal.generation = 0);
    REFUSED(PROPOSED, next.proposal.keep = 4);
    REFUSED(PROPOSED, next.proposal.mode = SEAL_LOCAL);
    REFUSED(PROPOSED, next.proposal.kms_keys[0] ^= 1);
    REFUSED(PROPOSED, next.proposal.kms_threshold = 0);
    REFUSED(PROPOSED, next.proposal.kms_count = 17);
    REFUSED(PROPOSED, next.proposal.kms_count = next.proposal.kms_threshold = 0);
    REFUSED(PROPOSED, next.proposal.operator_threshold = 1);
    REFUSED(PROPOSED, next.proposal.operators[1] = next.proposal.operators[0]);
    REFUSED(PROPOSED, next.proposal.operators[0].name[0] = '_');
    REFUSED(PROPOSED, next.proposal.operators[0].recipient.kind = 3);
    REFUSED(PROPOSED, next.proposal.break_glass[2].kind = 0);
    REFUSED(PROPOSED, next.keys[1].len = 10);
    REFUSED(PROPOSED, next.tokens[0].len = 10);
    REFUSED(STAGED, next.set.mode = SEAL_KMS);
    REFUSED(STAGED, next.set.generation++);
    REFUSED(STAGED, next.set.number = 0);
    REFUSED(STAGED, next.digest[0] ^= 1);
    REFUSED(STAGED, next.set.fingerprint[31] ^= 1);
    REFUSED(STAGED, next.set.kms.threshold = 3);
    REFUSED(STAGED, next.set.break_glass.threshold = 3);
    REFUSED(STAGED, next.set.operators[0].share.len = 93);
    REFUSED(STAGED, next.set.operator_threshold = 3);
    REFUSED(STAGED, next.set.operators[2].name[0] = 'x');
    REFUSED(STAGED, next.keys[0].arn[20] = '9');
    REFUSED(STAGED, next.keys[0].len = 0);
    REFUSED(STAGED, next.tokens[0].bytes[3] = '"');
    REFUSED(STAGED, next.tokens[0].bytes[3] = '\\');
    REFUSED(STAGED, next.tokens[0].bytes[3] = '\r');
    REFUSED(STAGED, next.tokens[0].len = SEAL_TEXT_MAX + 1);
    REFUSED(STAGED, next.phase = SEAL_PHASE_READY);
    REFUSED(REGISTERING, next.tokens[0] = next.tokens[1]); /* the first has registered */
    REFUSED(READY, next.set.operators[0].factor = SEAL_FACTOR_NONE);
    REFUSED(REWRITING, next.set.operators[2].factor = SEAL_FACTOR_NONE);
#undef REFUSED
    buf_release(&text);
}

static void test_other_texts_of_the_next_set_are_refused(void **state)
{
    static const struct {
        const char *what;
        const char *by;
    } rows[] = {
        {"\"kind\":\"mode\"", "\"kind\":\"other\""},
        {"\"phase\":\"staged\"", "\"phase\":\"proposed\""},
        {"\"phase\":\"staged\"", "\"phase\":\"ready\""},
        {"\"phase\":\"staged\"", "\"phase\":\"done\""},
        {"\"proposer\":\"token:ops\"", "\"proposer\":\"token ops\""},
        {"\"proposed\":1700000000123", "\"proposed\":\"1700000000123\""},
        {"\"digest\":\"7778", "\"digest\":\"77"},
        {"\"keep_kms\":false", "\"keep_kms\":0"},
        {"\"keep_kms\":false", "\"keep_kms\":false,\"keep_rows\":true"},
        {"\"threshold\":2,\"recipients\"", "\"threshold\":9,\"recipients\""},
        {"\"set\":{", "\"sets\":{"},
        {"\"tokens\":[{\"name\":\"operator-1\"", "\"tokens\":[{\"name\":\"operator-2\""},
        {"\"tokens\":[{\"name\":\"operator-1\"", "\"tokens\":[{\"name\":\"somebody\""},
        {"\"age\":\"--", "\"age\":\"\\u002d-"},
        {"\"age\":\"--", "\"age\":\"\\t--"},
        {"\"age\":\"--", "\"agE\":\"--"},
    };
    struct buf text = buf_init(SEAL_RECORD_MAX);
    struct buf other = buf_init(2 * SEAL_RECORD_MAX);
    (void)state;
    seal_kit_next(&shapes[3], SEAL_KIND_MODE, SEAL_PHASE_STAGED, &next);
    write_next(&text);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        replace(&text, rows[i].what, rows[i].by, &other);
        if (!error_is(seal_next_decode(buf_span(&other), &next_again), ERROR_TAMPERED))
            fail_msg("accepted: %s in the place of %s", rows[i].by, rows[i].what);
    }
    buf_release(&text);
    buf_release(&other);
}

/* `rotate master` keeps everything: the proposal names it, but shares that stay go to nobody. */
static void test_what_is_kept_is_named_again(void **state)
{
    struct buf text = buf_init(SEAL_RECORD_MAX);
    (void)state;
    for (int phase = SEAL_PHASE_PROPOSED; phase < SEAL_PHASE_END; phase++) {
        if (phase == SEAL_PHASE_STAGED || phase == SEAL_PHASE_REGISTERING)
            continue; /* all are registered already */
        seal_kit_next(&shapes[3], SEAL_KIND_MASTER, (enum seal_phase)phase, &next);
        struct seal_proposal *p = &next.proposal;
        p->keep = SEAL_KEEP_KMS | SEAL_KEEP_OPERATORS;
        assert_true(error_is(seal_next_encode(&next, &text), ERROR_TAMPERED)); /* recipients */
        memset(p->break_glass, 0, sizeof p->break_glass);
        if (phase != SEAL_PHASE_PROPOSED)
            next.set.kms_generation = next.set.unseal_generation = 1;
        write_next(&text);
        assert_int_equal(seal_next_decode(buf_span(&text), &next_again).code, 0);
        assert_memory_equal(&next, &next_again, sizeof next);
        p->keep = SEAL_KEEP_OPERATORS; /* then they have to be named */
        assert_true(error_is(seal_next_encode(&next, &text), ERROR_TAMPERED));
    }
    seal_kit_next(&shapes[5], SEAL_KIND_MASTER, SEAL_PHASE_PROPOSED, &next);
    next.proposal.keep = SEAL_KEEP_KMS; /* there is none */
    assert_true(error_is(seal_next_encode(&next, &text), ERROR_TAMPERED));
    seal_kit_next(&shapes[2], SEAL_KIND_MASTER, SEAL_PHASE_PROPOSED, &next);
    next.proposal.keep = SEAL_KEEP_OPERATORS;
    assert_true(error_is(seal_next_encode(&next, &text), ERROR_TAMPERED));
    buf_release(&text);
}

/* `init` with a ceremony: there is no set before. */
static void test_the_first_set_replaces_nothing(void **state)
{
    struct buf text = buf_init(SEAL_RECORD_MAX);
    (void)state;
    seal_kit_next(&shapes[6], SEAL_KIND_INIT, SEAL_PHASE_PROPOSED, &next);
    memset(next.proposal.from, 0, sizeof next.proposal.from);
    assert_true(error_is(seal_next_encode(&next, &text), ERROR_TAMPERED));
    next.proposal.generation = 1;
    write_next(&text);
    assert_int_equal(seal_next_decode(buf_span(&text), &next_again).code, 0);
    assert_memory_equal(&next, &next_again, sizeof next);
    buf_release(&text);
}

/* Value from Python's hashlib: sha256(b"arn:aws:kms:eu-central-1:111122223333:key/<..01>\0arn:aws:kms:us-east-1:...<..02>\0"). */
static void test_the_digest_of_the_kms_keys(void **state)
{
    static const uint8_t none[32] = {0};
    uint8_t digest[32];
    uint8_t other[32];
    (void)state;
    seal_kit_keys(2, false, current.keys);
    seal_kms_keys_digest(current.keys, 2, digest);
    static const uint8_t expected[4] = {0x79, 0x08, 0x50, 0xea};
    assert_memory_equal(digest, expected, sizeof expected);
    seal_kms_keys_digest(current.keys, 0, other);
    assert_memory_equal(other, none, sizeof none);
    struct seal_kms_key first = current.keys[0];
    current.keys[0] = current.keys[1];
    current.keys[1] = first;
    seal_kms_keys_digest(current.keys, 2, other);
    assert_memory_not_equal(digest, other, sizeof digest);
}

static void test_every_number_has_its_name(void **state)
{
    uint32_t number = 99;
    (void)state;
    for (uint32_t i = 1; i < SEAL_PHASE_END; i++)
        assert_true(seal_phase_of(span_str(seal_phase_name(i)), &number) && number == i);
    for (uint32_t i = 1; i < SEAL_KIND_END; i++)
        assert_true(seal_kind_of(span_str(seal_kind_name(i)), &number) && number == i);
    for (uint32_t i = SEAL_LOCAL; i <= SEAL_OPERATORS; i++)
        assert_true(seal_mode_of(span_str(seal_mode_name(i)), &number) && number == i);
    for (uint32_t i = SEAL_FACTOR_NONE; i <= SEAL_FACTOR_FIDO2; i++)
        assert_true(seal_factor_of(span_str(seal_factor_name(i)), &number) && number == i);
    for (uint32_t i = SEAL_RECIPIENT_AGE; i <= SEAL_RECIPIENT_SSH; i++)
        assert_true(seal_recipient_of(span_str(seal_recipient_name(i)), &number) && number == i);
    assert_null(seal_phase_name(SEAL_PHASE_END));
    assert_null(seal_phase_name(0));
    assert_null(seal_mode_name(5));
    assert_false(seal_mode_of(span_str(""), &number));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_shape_of_the_present_set_is_one_text),
        cmocka_unit_test(test_every_shape_and_phase_of_the_next_set_is_one_text),
        cmocka_unit_test(test_the_largest_record_fits),
        cmocka_unit_test(test_a_replicas_record_is_one_text),
        cmocka_unit_test(test_other_texts_of_the_present_set_are_refused),
        cmocka_unit_test(test_no_byte_of_a_record_is_spare),
        cmocka_unit_test(test_a_text_that_is_too_long_is_refused),
        cmocka_unit_test(test_a_present_set_that_contradicts_itself_is_not_written),
        cmocka_unit_test(test_a_next_set_that_contradicts_itself_is_not_written),
        cmocka_unit_test(test_other_texts_of_the_next_set_are_refused),
        cmocka_unit_test(test_what_is_kept_is_named_again),
        cmocka_unit_test(test_the_first_set_replaces_nothing),
        cmocka_unit_test(test_the_digest_of_the_kms_keys),
        cmocka_unit_test(test_every_number_has_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
