#include "vault/core_door.h"

#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#include "secret/arena.h"
#include "vault/row_door.h"
#include "vault/set_door.h"

_Static_assert(DOOR_FIT(sizeof(struct b_key)) <= DOOR_FIT(sizeof(struct b_answer)), "answers fit");
_Static_assert(sizeof(struct b_key_list) <= DOOR_PACKET_MAX - sizeof(struct door_head),
               "a list fits");

static void answer_one(struct door_message *answer, uint64_t id, cc_err err)
{
    struct b_answer *a = door_answer_init(answer, B_ANSWER, sizeof *a, 1);
    a->id = id;
    a->error = (uint32_t)err.code;
}

static void do_create(struct vault *v, const struct b_create *request, struct door_message *answer)
{
    struct b_chamber *a = door_answer_init(answer, B_CHAMBER, sizeof *a, 1);
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
    struct b_chamber *a = door_answer_init(answer, B_CHAMBER, sizeof *a, 1);
    cc_err err = chamber_open(v->chamber, request);
    if (!err.code)
        *a = *request;
    else
        log_error("chamber not opened", KV_ERR(err));
    a->id = request->id;
    a->error = (uint32_t)err.code;
    a->memory = secret_is_kernel_secret() ? B_MEMORY_KERNEL_SECRET : B_MEMORY_LOCKED;
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

static cc_err check_greeted(const _Atomic bool *greeted)
{
    return atomic_load(greeted) ? CC_OK : CC_FAIL(IDENTITY, "no history was proved in this life");
}

static cc_err prove(struct vault *v,
                    const _Atomic bool *greeted,
                    const struct b_digest *request,
                    struct b_proof *ret_proof)
{
    ret_proof->len = ED25519_SIGNATURE_SIZE;
    switch (request->purpose) {
    case B_PURPOSE_STATE_HEAD:
        return chamber_sign_head(v->chamber, request->digest, ret_proof->bytes);
    case B_PURPOSE_HAND_OVER:
        CC_TRY(check_greeted(greeted));
        return chamber_sign_hand_over(v->chamber, request->digest, ret_proof->bytes);
    case B_PURPOSE_HISTORY:
        ret_proof->len = MAC_SIZE;
        return chamber_prove_history(v->chamber, request->digest, ret_proof->bytes);
    default:
        return CC_FAIL(PROTOCOL, "unknown purpose");
    }
}

static void do_digest(struct vault *v,
                      const _Atomic bool *greeted,
                      const struct b_digest *request,
                      struct door_message *answer)
{
    struct b_proof *a = door_answer_init(answer, B_PROOF, sizeof *a, 1);
    cc_err err = prove(v, greeted, request, a);
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
    struct b_signed *a = door_answer_init(answer, B_SIGNED, sizeof *a, count);
    if (atomic_load(&v->sealed)) {
        refuse_batch(requests, count, CC_FAIL(SEALED, "sealed in this life"), a);
        return;
    }
    cc_err err = check_greeted(greeted);
    if (err.code) {
        refuse_batch(requests, count, err, a);
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
    struct b_key_list *a = door_answer_init(answer, B_KEY_LIST, sizeof *a, 1);
    struct key_name names[B_KEY_LIST_CHUNK];
    a->id = request->id;
    a->count =
        key_table_list(v->keys, request->from_index, names, B_KEY_LIST_CHUNK, &a->next_index);
    for (uint32_t i = 0; i < a->count; i++) {
        a->keys[i].key = names[i].handle;
        a->keys[i].pubkey = names[i].pubkey;
        a->keys[i].sources = names[i].sources;
    }
}

static void do_remove(struct vault *v,
                      const struct b_key *requests,
                      uint32_t count,
                      struct door_message *answer)
{
    struct b_answer *a = door_answer_init(answer, B_ANSWER, sizeof *a, count);
    for (uint32_t i = 0; i < count; i++) {
        cc_err err = key_table_remove(v->keys, requests[i].key);
        a[i] = (struct b_answer){.id = requests[i].id, .error = (uint32_t)err.code};
    }
}

static void do_count(struct vault *v, const struct b_count *request, struct door_message *answer)
{
    struct b_counts *a = door_answer_init(answer, B_COUNTS, sizeof *a, 1);
    a->id = request->id;
    engine_count(v->engine, a);
    sets_tick(v->sets, clock_mono_ms());
    generator_sweep(v->generator, clock_mono_ms()); /* it comes once a second */
}

static cc_err subkey(struct vault *v,
                     const _Atomic bool *greeted,
                     const struct b_subkey *request,
                     struct b_subkey_is *ret_subkey)
{
    CC_TRY(check_greeted(greeted));
    switch (request->purpose) {
    case B_SUBKEY_MIRROR:
        return chamber_mirror_key(v->chamber, ret_subkey->key);
    case B_SUBKEY_TOKENS:
        CC_TRY(chamber_check_greeted(v->chamber));
        return master_token_key(v->master, ret_subkey->key);
    case B_SUBKEY_AUDIT:
        return chamber_audit_key(v->chamber, request->index, request->context, ret_subkey->key);
    default:
        return CC_FAIL(PROTOCOL, "unknown purpose");
    }
}

static void do_subkey(struct vault *v,
                      const _Atomic bool *greeted,
                      const struct b_subkey *request,
                      struct door_message *answer)
{
    struct b_subkey_is *a = door_answer_init(answer, B_SUBKEY_IS, sizeof *a, 1);
    cc_err err = subkey(v, greeted, request, a);
    a->id = request->id;
    a->error = (uint32_t)err.code;
}

/* --- rows of key stores, and new keys -------------------------------------------------------------------- */

/* What each of these questions begins with, and each of their answers. */
struct row_head {
    uint64_t id;
    uint32_t error; /* of an answer */
};
#define BEGINS_LIKE_A_ROW(question, answer)                                                        \
    _Static_assert(offsetof(struct question, id) == 0 && offsetof(struct answer, id) == 0 &&       \
                       offsetof(struct answer, error) == offsetof(struct row_head, error),         \
                   "struct row_head")
BEGINS_LIKE_A_ROW(b_import, b_row);
BEGINS_LIKE_A_ROW(b_open_row, b_opened);
BEGINS_LIKE_A_ROW(b_seal_row, b_row);
BEGINS_LIKE_A_ROW(b_generate, b_generated);
BEGINS_LIKE_A_ROW(b_derive, b_derived);

static void import(struct vault *v, const void *request, void *answer)
{
    row_door_import(v, request, answer);
}

static void open_row(struct vault *v, const void *request, void *answer)
{
    row_door_open(v, request, answer);
}

static void seal_row(struct vault *v, const void *request, void *answer)
{
    row_door_seal(v, request, answer);
}

static void generate(struct vault *v, const void *request, void *answer)
{
    generate_begin(v, request, answer);
}

static void derive(struct vault *v, const void *request, void *answer)
{
    generate_derive(v, request, answer);
}

struct row_work {
    uint16_t type;
    uint16_t answer_type;
    size_t size;
    size_t answer_size;
    void (*work)(struct vault *v, const void *request, void *answer);
};

static const struct row_work *find_row_work(uint16_t type)
{
    static const struct row_work works[] = {
        {B_IMPORT, B_ROW, sizeof(struct b_import), sizeof(struct b_row), import},
        {B_OPEN_ROW, B_OPENED, sizeof(struct b_open_row), sizeof(struct b_opened), open_row},
        {B_SEAL_ROW, B_ROW, sizeof(struct b_seal_row), sizeof(struct b_row), seal_row},
        {B_GENERATE, B_GENERATED, sizeof(struct b_generate), sizeof(struct b_generated), generate},
        {B_DERIVE, B_DERIVED, sizeof(struct b_derive), sizeof(struct b_derived), derive},
    };
    for (size_t i = 0; i < ARRAY_LEN(works); i++)
        if (works[i].type == type)
            return &works[i];
    return NULL;
}

/* All that rows of key stores come of, and what comes of them. */
static void do_row_work(struct vault *v,
                        const _Atomic bool *greeted,
                        const struct door_message *message,
                        struct door_message *answer)
{
    const struct row_work *work = find_row_work(message->head.type);
    cc_assert(work);
    const uint8_t *request = message->items;
    uint8_t *a =
        door_answer_init(answer, work->answer_type, work->answer_size, message->head.count);
    const cc_err err = check_greeted(greeted);
    for (uint32_t i = 0; i < message->head.count; i++) {
        struct row_head head = {.error = (uint32_t)err.code};
        memcpy(&head.id, request, sizeof head.id);
        memcpy(a, &head.id, sizeof head.id);
        memcpy(a + offsetof(struct row_head, error), &head.error, sizeof head.error);
        if (!err.code)
            work->work(v, request, a);
        request += work->size;
        a += work->answer_size;
    }
    wipe_stack();
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
    switch (message->head.type) {
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
        do_digest(vault, greeted, items, ret_answer);
        return;
    case B_SIGN:
        do_sign(vault, work, greeted, items, message->head.count, ret_answer);
        return;
    case B_KEYS:
        do_keys(vault, items, ret_answer);
        return;
    case B_REMOVE:
        do_remove(vault, items, message->head.count, ret_answer);
        return;
    case B_SEAL:
        do_seal(vault, items, ret_answer);
        return;
    case B_COUNT:
        do_count(vault, items, ret_answer);
        return;
    case B_SUBKEY:
        do_subkey(vault, greeted, items, ret_answer);
        return;
    case B_IMPORT:
    case B_OPEN_ROW:
    case B_SEAL_ROW:
    case B_GENERATE:
    case B_DERIVE:
        do_row_work(vault, greeted, message, ret_answer);
        return;
    case B_SET_OPEN:
    case B_SET_MAKE:
    case B_SET_SHARE:
    case B_SET_TEXT:
    case B_SET_UNWRAP:
    case B_SET_UNWRAP_SEALED:
    case B_ROOT_MAKE:
    case B_ROOT_OPEN:
    case B_ROOT_SHARE:
    case B_AUTO_MAKE:
    case B_AUTO_OPEN:
    case B_SET_DROP:
    case B_CHALLENGE:
    case B_ENVELOPE:
        set_door_answer(vault, message, ret_answer);
        return;
    default:
        break;
    }
    /* door_check() lets only the core's types pass. */
    cc_assert(false);
}
