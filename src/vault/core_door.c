#include "vault/core_door.h"

#include <string.h>

#include "base/log.h"

_Static_assert(DOOR_FIT(sizeof(struct b_key)) <= DOOR_FIT(sizeof(struct b_answer)), "answers fit");
_Static_assert(sizeof(struct b_key_list) <= DOOR_PACKET_MAX - sizeof(struct door_head),
               "a list fits");

/* Makes the head of an answer and zeroes its items; nothing of an earlier message stays in them. */
static void *
answer_init(struct door_message *answer, uint16_t type, size_t item_size, uint32_t count)
{
    memset(answer->items, 0, item_size * count);
    answer->head =
        (struct door_head){.type = type, .count = count, .item_size = (uint32_t)item_size};
    return answer->items;
}

static void answer_one(struct door_message *answer, uint64_t id, cc_err err)
{
    struct b_answer *a = answer_init(answer, B_ANSWER, sizeof *a, 1);
    a->id = id;
    a->error = (uint32_t)err.code;
}

static void do_create(struct vault *v, const struct b_create *request, struct door_message *answer)
{
    struct b_chamber *a = answer_init(answer, B_CHAMBER, sizeof *a, 1);
    struct b_chamber stored = {.id = request->id};
    cc_err err = chamber_create(v->chamber, &stored);
    if (!err.code)
        *a = stored;
    a->id = request->id;
    a->error = (uint32_t)err.code;
    if (!err.code)
        log_notice("chamber made");
}

static void do_open(struct vault *v, const struct b_chamber *request, struct door_message *answer)
{
    struct b_chamber *a = answer_init(answer, B_CHAMBER, sizeof *a, 1);
    cc_err err = chamber_open(v->chamber, request);
    if (!err.code)
        *a = *request;
    else
        log_error("chamber not opened", KV_ERR(err));
    a->id = request->id;
    a->error = (uint32_t)err.code;
}

static void do_hello(struct vault *v,
                     _Atomic bool *greeted,
                     const struct b_hello *request,
                     struct door_message *answer)
{
    cc_err err = chamber_check_history(v->chamber, request);
    if (err.code)
        log_error("history refused", KV_ERR(err));
    else
        atomic_store(greeted, true);
    answer_one(answer, request->id, err);
}

static void do_digest(struct vault *v, const struct b_digest *request, struct door_message *answer)
{
    struct b_proof *a = answer_init(answer, B_PROOF, sizeof *a, 1);
    cc_err err;
    if (request->purpose == B_PURPOSE_STATE_HEAD) {
        err = chamber_sign_head(v->chamber, request->digest, a->bytes);
        a->len = ED25519_SIGNATURE_SIZE;
    } else if (request->purpose == B_PURPOSE_HISTORY) {
        err = chamber_prove_history(v->chamber, request->digest, a->bytes);
        a->len = MAC_SIZE;
    } else {
        err = CC_FAIL(PROTOCOL, "unknown purpose");
    }
    a->id = request->id;
    a->error = (uint32_t)err.code;
    if (err.code)
        a->len = 0;
}

static void
refuse_batch(const struct b_sign *requests, uint32_t count, cc_err err, struct b_signed *answers)
{
    for (uint32_t i = 0; i < count; i++) {
        answers[i].id = requests[i].id;
        answers[i].error = (uint32_t)err.code;
    }
}

static void do_sign(struct vault *v,
                    struct sign_work *work,
                    const _Atomic bool *greeted,
                    const struct b_sign *requests,
                    uint32_t count,
                    struct door_message *answer)
{
    struct b_signed *a = answer_init(answer, B_SIGNED, sizeof *a, count);
    if (atomic_load(&v->sealed)) {
        refuse_batch(requests, count, CC_FAIL(SEALED, "sealed in this life"), a);
        return;
    }
    if (!atomic_load(greeted)) {
        refuse_batch(requests, count, CC_FAIL(IDENTITY, "no history was proved in this life"), a);
        return;
    }
    sign_batch(work, v->keys, requests, count, a);
    engine_watch(v->engine);
    /* The core has let these pass: either it was replaced, or its history has lost records. */
    uint64_t refused = 0;
    for (uint32_t i = 0; i < count; i++)
        refused += a[i].error == ERROR_SLASHABLE;
    if (refused)
        log_warn("claims refused by the vault's own floor", KV_NUM("claims", refused));
}

static void do_keys(struct vault *v, const struct b_keys *request, struct door_message *answer)
{
    struct b_key_list *a = answer_init(answer, B_KEY_LIST, sizeof *a, 1);
    struct key_name names[B_KEY_LIST_CHUNK];
    a->id = request->id;
    a->count =
        key_table_list(v->keys, request->from_index, names, B_KEY_LIST_CHUNK, &a->next_index);
    for (uint32_t i = 0; i < a->count; i++) {
        a->keys[i].key = names[i].handle;
        a->keys[i].pubkey = names[i].pubkey;
    }
}

static void do_remove(struct vault *v,
                      const struct b_key *requests,
                      uint32_t count,
                      struct door_message *answer)
{
    struct b_answer *a = answer_init(answer, B_ANSWER, sizeof *a, count);
    for (uint32_t i = 0; i < count; i++) {
        cc_err err = key_table_remove(v->keys, requests[i].key);
        a[i] = (struct b_answer){.id = requests[i].id, .error = (uint32_t)err.code};
    }
}

static void do_count(struct vault *v, const struct b_count *request, struct door_message *answer)
{
    struct b_counts *a = answer_init(answer, B_COUNTS, sizeof *a, 1);
    a->id = request->id;
    engine_count(v->engine, a);
}

static void do_seal(struct vault *v, const struct b_seal *request, struct door_message *answer)
{
    vault_seal(v);
    log_notice("sealed: every key is wiped");
    answer_one(answer, request->id, CC_OK);
}

void core_door_answer(struct vault *vault,
                      struct sign_work *work,
                      _Atomic bool *greeted,
                      const struct door_message *message,
                      struct door_message *ret_answer)
{
    const void *items = message->items;
    const uint32_t count = message->head.count;
    switch ((enum door_b_type)message->head.type) {
    case B_CREATE:
        do_create(vault, items, ret_answer);
        return;
    case B_OPEN:
        do_open(vault, items, ret_answer);
        return;
    case B_HELLO:
        do_hello(vault, greeted, items, ret_answer);
        return;
    case B_DIGEST:
        do_digest(vault, items, ret_answer);
        return;
    case B_SIGN:
        do_sign(vault, work, greeted, items, count, ret_answer);
        return;
    case B_KEYS:
        do_keys(vault, items, ret_answer);
        return;
    case B_REMOVE:
        do_remove(vault, items, count, ret_answer);
        return;
    case B_SEAL:
        do_seal(vault, items, ret_answer);
        return;
    case B_COUNT:
        do_count(vault, items, ret_answer);
        return;
    case B_ANSWER:
    case B_CHAMBER:
    case B_PROOF:
    case B_SIGNED:
    case B_KEY_LIST:
    case B_COUNTS:
        break;
    }
    /* door_check() lets only the core's types pass. */
    cc_assert(false);
}
