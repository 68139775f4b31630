#include "support/seal_kit.h"

#include <stdio.h>
#include <string.h>

static void fill(void *bytes, size_t len, uint8_t from)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)bytes)[i] = (uint8_t)(from + i);
}

static void fill_blob(struct seal_blob *blob, uint32_t inside, uint32_t layers, uint8_t from)
{
    blob->len = inside + layers * SEAL_OVERHEAD;
    fill(blob->bytes, blob->len, from);
}

static void fill_shares(struct seal_shares *shares, uint32_t count, uint8_t from)
{
    shares->count = count;
    shares->threshold = count / 2 + count % 2;
    for (uint32_t i = 0; i < count; i++)
        fill(shares->commitments[i], 32, (uint8_t)(from + i));
}

static void operator_name(uint32_t i, char name[static SEAL_NAME_SIZE])
{
    (void)snprintf(name, SEAL_NAME_SIZE, "operator-%u", i + 1);
}

static uint32_t operator_threshold(uint32_t count)
{
    return count < 2 ? count : 2 + count / 4;
}

static struct seal_recipient recipient(uint32_t i)
{
    struct seal_recipient r = {.kind = i % 2 ? SEAL_RECIPIENT_SSH : SEAL_RECIPIENT_AGE};
    fill(r.key, sizeof r.key, (uint8_t)(0x90 + i));
    return r;
}

static void fill_operator(struct seal_operator *o, uint32_t i, uint32_t layers)
{
    operator_name(i, o->name);
    o->recipient = recipient(i);
    o->factor = 1 + i % 3;
    o->memory_kib = 262144 + i;
    o->passes = 3;
    fill(o->salt, sizeof o->salt, (uint8_t)(0x20 + i));
    fill(o->challenge, sizeof o->challenge, (uint8_t)(0x40 + i));
    o->hint_len = o->factor == SEAL_FACTOR_FIDO2 ? SEAL_HINT_MAX : 0;
    fill(o->hint, o->hint_len, (uint8_t)(0x60 + i));
    fill_blob(&o->share, SEAL_SHARE_SIZE, layers, (uint8_t)(0x80 + i));
    fill(o->commitment, sizeof o->commitment, (uint8_t)(0xa0 + i));
}

void seal_kit_set(const struct seal_shape *shape, uint32_t generation, struct seal_set *ret_set)
{
    const uint32_t layers = shape->mode == SEAL_QUORUM ? 2 : 1;
    memset(ret_set, 0, sizeof *ret_set);
    ret_set->mode = shape->mode;
    ret_set->generation = generation;
    ret_set->kms_generation = shape->kms ? generation : 0;
    ret_set->unseal_generation = shape->operators ? generation : 0;
    ret_set->number = 1;
    fill(ret_set->fingerprint, sizeof ret_set->fingerprint, 0x77);
    fill_blob(&ret_set->master, 32, layers, 1);
    fill(ret_set->check, sizeof ret_set->check, 2);
    fill(ret_set->tokens, sizeof ret_set->tokens, 3);
    fill_shares(&ret_set->kms, shape->kms, 4);
    fill_shares(&ret_set->break_glass, shape->break_glass, 0x30);
    ret_set->operator_count = shape->operators;
    ret_set->operator_threshold = operator_threshold(shape->operators);
    for (uint32_t i = 0; i < shape->operators; i++)
        fill_operator(&ret_set->operators[i], i, layers);
    fill(ret_set->mac, sizeof ret_set->mac, 0xc0);
}

void seal_kit_keys(uint32_t count, bool wrapped, struct seal_kms_key ret_keys[static SEAL_KMS_MAX])
{
    static const char *const regions[] = {"eu-central-1", "us-east-1", "ap-southeast-2"};
    memset(ret_keys, 0, SEAL_KMS_MAX * sizeof *ret_keys);
    for (uint32_t i = 0; i < count; i++) {
        (void)snprintf(ret_keys[i].arn, SEAL_ARN_SIZE,
                       "arn:aws:kms:%s:111122223333:key/00000000-0000-4000-8000-0000000000%02x",
                       regions[i % 3], i + 1);
        ret_keys[i].len = wrapped ? 185 : 0;
        fill(ret_keys[i].ciphertext, ret_keys[i].len, (uint8_t)(0xd0 + i));
    }
}

void seal_kit_current(const struct seal_shape *shape, struct seal_current *ret_record)
{
    memset(ret_record, 0, sizeof *ret_record);
    seal_kit_set(shape, 1, &ret_record->set);
    seal_kit_keys(shape->kms, true, ret_record->keys);
}

static void fill_proposal(const struct seal_shape *shape, struct seal_next *record)
{
    struct seal_proposal *p = &record->proposal;
    fill(p->chamber_id, sizeof p->chamber_id, 0x11);
    fill(p->from, sizeof p->from, 0x12);
    fill(p->id, sizeof p->id, 0x13);
    p->generation = 2;
    p->mode = shape->mode;
    p->kms_count = shape->kms;
    p->kms_threshold = shape->kms / 2 + shape->kms % 2;
    p->break_glass_count = shape->break_glass;
    p->break_glass_threshold = shape->break_glass / 2 + shape->break_glass % 2;
    p->operator_count = shape->operators;
    p->operator_threshold = operator_threshold(shape->operators);
    for (uint32_t i = 0; i < shape->break_glass; i++)
        p->break_glass[i] = recipient(i);
    for (uint32_t i = 0; i < shape->operators; i++) {
        operator_name(i, p->operators[i].name);
        p->operators[i].recipient = recipient(i);
    }
    seal_kms_keys_digest(record->keys, p->kms_count, p->kms_keys);
}

/* Not registered: the share lies under the registration token, which waits as an age file. */
static void unregister(struct seal_next *record, uint32_t i)
{
    struct seal_operator *o = &record->set.operators[i];
    struct seal_token *token = &record->tokens[i];
    static const char head[] = "-----BEGIN AGE ENCRYPTED FILE-----\n";
    o->factor = SEAL_FACTOR_NONE;
    o->memory_kib = o->passes = o->hint_len = 0;
    memset(o->hint, 0, sizeof o->hint);
    token->len = 700;
    memset(token->bytes, 'A', token->len);
    memcpy(token->bytes, head, sizeof head - 1);
    token->bytes[token->len - 1] = '\n';
}

void seal_kit_next(const struct seal_shape *shape,
                   enum seal_kind kind,
                   enum seal_phase phase,
                   struct seal_next *ret_record)
{
    memset(ret_record, 0, sizeof *ret_record);
    ret_record->kind = kind;
    ret_record->phase = phase;
    (void)snprintf(ret_record->proposer, sizeof ret_record->proposer, "token:ops");
    ret_record->proposed = 1700000000123;
    fill(ret_record->digest, sizeof ret_record->digest, 0x77);
    seal_kit_keys(shape->kms, phase != SEAL_PHASE_PROPOSED, ret_record->keys);
    fill_proposal(shape, ret_record);
    if (phase == SEAL_PHASE_PROPOSED)
        return;
    seal_kit_set(shape, 2, &ret_record->set);
    ret_record->set.has_bridge = 1;
    fill(ret_record->set.bridge, sizeof ret_record->set.bridge, 0x55);
    const uint32_t from = phase == SEAL_PHASE_STAGED ? 0 : phase == SEAL_PHASE_REGISTERING ? 1 : 16;
    for (uint32_t i = from; i < shape->operators; i++)
        unregister(ret_record, i);
}
