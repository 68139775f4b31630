#include "support/wish_kit.h"

#include <stdio.h>

#include "support/test.h"

enum {
    PATIENCE_MS = 20000
};

const char *const wish_kit_names[4] = {"alice", "bob", "carol", "dave"};

void wish_kms(struct ceremony_wish *wish, uint32_t threshold, uint32_t count, char tag)
{
    wish->has_kms = true;
    wish->proposal.kms_threshold = threshold;
    wish->proposal.kms_count = count;
    for (uint32_t i = 0; i < count; i++)
        (void)snprintf(
            wish->keys[i].arn, sizeof wish->keys[i].arn,
            "arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-4000-8000-00000000%c00%u", tag,
            i);
}

void wish_operators(struct ceremony_wish *wish, uint32_t threshold, uint32_t count)
{
    wish->has_operators = true;
    wish->proposal.operator_threshold = threshold;
    wish->proposal.operator_count = count;
    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(wish->proposal.operators[i].name, SEAL_NAME_SIZE, "%s", wish_kit_names[i]);
        wish->proposal.operators[i].recipient.kind = SEAL_RECIPIENT_AGE;
        wish->proposal.operators[i].recipient.key[0] = (uint8_t)(i + 1);
    }
}

struct putting {
    const char *kind;
    const char *name;
    struct span bytes;
    uint64_t version;
};

static cc_err put(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct putting *p = context;
    const struct state_record *there = state_find(state, p->kind, p->name);
    p->version = (there ? there->version : 0) + 1;
    const struct state_change change = {
        .kind = p->kind, .name = p->name, .expected_version = p->version - 1, .bytes = p->bytes};
    return state_commit(state, &change, 1, signer);
}

uint64_t wish_kit_put(struct keeper *keeper, const char *kind, const char *name, struct span bytes)
{
    struct putting p = {.kind = kind, .name = name, .bytes = bytes};
    assert_int_equal(keeper_run(keeper, put, &p, PATIENCE_MS).code, 0);
    return p.version;
}

uint64_t wish_kit_put_keys(struct keeper *keeper, const char *name, bool rows)
{
    uint8_t bytes[KEY_BOOK_RECORD_SIZE];
    struct key_book_record record = {.has_next = false};
    assert_int_equal(key_store_digest(NULL, 0, record.current).code, 0);
    record.current[0] ^= rows;
    key_book_record_encode(&record, bytes);
    return wish_kit_put(keeper, "keys", name, span_of(bytes, sizeof bytes));
}
