#include "vault/generate.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

#include "crypto/bip39.h"
#include "crypto/eip2333.h"
#include "crypto/random.h"
#include "eth/deposit.h"
#include "secret/wipe.h"
#include "vault/inside.h"
#include "vault/key_row.h"

struct session {
    struct secret *node; /* NULL: free */
    uint64_t number;
    uint64_t used_ms;
    uint32_t count; /* keys of its mnemonic */
    uint32_t left;  /* derivations that it still has */
};

struct generator {
    struct arena *arena;
    struct age_recipient recipients[AGE_RECIPIENTS_MAX];
    size_t recipient_count;
    pthread_mutex_t lock; /* guards all below */
    bool sealed;
    struct session sessions[GENERATE_SESSIONS];
};

static void take_lock(struct generator *g)
{
    cc_assert(pthread_mutex_lock(&g->lock) == 0);
}

static void drop_lock(struct generator *g)
{
    cc_assert(pthread_mutex_unlock(&g->lock) == 0);
}

CC_ERR generator_new(struct arena *arena, struct generator **ret_generator)
{
    struct generator *g = cc_alloc(sizeof *g);
    if (!g)
        return CC_FAIL(NO_MEMORY, NULL);
    g->arena = arena;
    cc_assert(pthread_mutex_init(&g->lock, NULL) == 0);
    *ret_generator = g;
    return CC_OK;
}

/* --- sessions ------------------------------------------------------------------------------------------------- */

static void end_session(struct generator *g, struct session *s)
{
    arena_release(g->arena, s->node);
    *s = (struct session){.node = NULL};
}

static void end_idle(struct generator *g, uint64_t now_ms)
{
    for (size_t i = 0; i < GENERATE_SESSIONS; i++)
        if (g->sessions[i].node && now_ms - g->sessions[i].used_ms >= GENERATE_IDLE_MS)
            end_session(g, &g->sessions[i]);
}

void generator_sweep(struct generator *generator, uint64_t now_ms)
{
    take_lock(generator);
    end_idle(generator, now_ms);
    drop_lock(generator);
}

void generator_seal(struct generator *generator)
{
    take_lock(generator);
    for (size_t i = 0; i < GENERATE_SESSIONS; i++)
        if (generator->sessions[i].node)
            end_session(generator, &generator->sessions[i]);
    generator->sealed = true;
    drop_lock(generator);
}

void generator_free(struct generator *generator)
{
    if (!generator)
        return;
    generator_seal(generator);
    (void)pthread_mutex_destroy(&generator->lock);
    cc_free(generator);
}

void generator_set_recipients(struct generator *generator,
                              const struct age_recipient *recipients,
                              size_t count)
{
    cc_assert(count <= AGE_RECIPIENTS_MAX);
    memcpy(generator->recipients, recipients, count * sizeof *recipients);
    generator->recipient_count = count;
}

static cc_err put_session(struct generator *g, const struct bls_secret *node, struct session *s)
{
    struct session *at = NULL;
    if (g->sealed)
        return CC_FAIL(SEALED, "sealed in this life");
    for (size_t i = 0; i < GENERATE_SESSIONS && !at; i++)
        at = g->sessions[i].node ? NULL : &g->sessions[i];
    if (!at)
        return CC_FAIL(BUSY, "as many mnemonics are in use as may be");
    CC_TRY(arena_take(g->arena, &s->node));
    bls_secret_bytes(node, secret_borrow_mut(s->node));
    *at = *s;
    return CC_OK;
}

/* A copy of the node, of a session that has such a key and a derivation left; that one is used up. */
static cc_err
use_session(struct generator *g, const struct b_derive *request, struct secret32 *ret_node)
{
    if (g->sealed)
        return CC_FAIL(SEALED, "sealed in this life");
    const uint64_t now = clock_mono_ms();
    end_idle(g, now);
    for (size_t i = 0; i < GENERATE_SESSIONS; i++) {
        struct session *s = &g->sessions[i];
        if (!s->node || s->number != request->session)
            continue;
        if (request->index >= s->count)
            return CC_FAIL(PROTOCOL, "a key that its mnemonic was not made for");
        s->used_ms = now;
        memcpy(ret_node->bytes, secret_borrow(s->node), sizeof ret_node->bytes);
        if (--s->left == 0)
            end_session(g, s);
        return CC_OK;
    }
    return CC_FAIL(NAME_UNKNOWN, "no mnemonic of that number");
}

/* --- a mnemonic ------------------------------------------------------------------------------------------------ */

struct sentence {
    char text[BIP39_TEXT_MAX];
};

static void sentence_wipep(struct sentence *sentence)
{
    wipe(sentence, sizeof *sentence);
}

/* Line feeds fill it up, so that its length tells nothing of the words. */
static cc_err write_backup(const struct generator *g,
                           struct sentence *sentence,
                           size_t len,
                           struct b_generated *answer)
{
    CC_CLEANUP(buf_release) struct buf file = buf_init(B_BACKUP_MAX);
    memset(sentence->text + len, '\n', sizeof sentence->text - len);
    CC_TRY(age_encrypt(g->recipients, g->recipient_count,
                       span_of(sentence->text, sizeof sentence->text), AGE_ARMOUR, &file));
    memcpy(answer->backup, file.data, file.len);
    answer->len = (uint32_t)file.len;
    return CC_OK;
}

static CC_SENSITIVE cc_err grow(const struct generator *g,
                                struct b_generated *answer,
                                struct bls_secret *ret_node)
{
    CC_CLEANUP(sentence_wipep) struct sentence sentence;
    WIPED32 struct secret32 entropy;
    WIPED64 struct secret64 seed;
    size_t len = 0;
    CC_TRY(random_bytes(entropy.bytes, sizeof entropy.bytes));
    bip39_words(entropy.bytes, sentence.text, &len);
    CC_TRY(bip39_seed(span_of(sentence.text, len), span_of(NULL, 0), seed.bytes));
    CC_TRY(eip2334_validators(span_of(seed.bytes, sizeof seed.bytes), ret_node));
    return write_backup(g, &sentence, len, answer);
}

static cc_err check_begin(const struct vault *v, const struct b_generate *request)
{
    if (atomic_load(&v->sealed))
        return CC_FAIL(SEALED, "sealed in this life");
    if (!v->generator || v->generator->recipient_count == 0)
        return CC_FAIL(NOT_ENABLED, "nobody is configured whom the words are encrypted to");
    uint32_t generation; /* sealed: none is open */
    CC_TRY(master_generation(v->master, 0, &generation));
    if (request->count == 0 || request->count > B_GENERATE_KEYS_MAX)
        return CC_FAIL(PROTOCOL, "how many keys");
    return CC_OK;
}

static CC_SENSITIVE cc_err begin(struct vault *v,
                                 const struct b_generate *request,
                                 struct b_generated *answer)
{
    CC_CLEANUP(bls_secret_wipep) struct bls_secret node = {{0}};
    struct session session = {
        .used_ms = clock_mono_ms(), .count = request->count, .left = request->count};
    CC_TRY(check_begin(v, request));
    CC_TRY(random_bytes(&session.number, sizeof session.number));
    CC_TRY(grow(v->generator, answer, &node));
    take_lock(v->generator);
    end_idle(v->generator, clock_mono_ms());
    cc_err err = put_session(v->generator, &node, &session);
    drop_lock(v->generator);
    answer->session = session.number;
    return err;
}

void generate_begin(struct vault *vault,
                    const struct b_generate *request,
                    struct b_generated *ret_answer)
{
    cc_err err = begin(vault, request, ret_answer);
    const uint64_t id = ret_answer->id;
    if (err.code)
        *ret_answer = (struct b_generated){.id = id, .error = (uint32_t)err.code};
    wipe_stack();
}

/* --- a key ------------------------------------------------------------------------------------------------------ */

static cc_err check_derive(const struct vault *v, const struct b_derive *request)
{
    if (atomic_load(&v->sealed))
        return CC_FAIL(SEALED, "sealed in this life");
    if (!v->generator)
        return CC_FAIL(NOT_ENABLED, NULL);
    if (request->status != ROW_ACTIVE && request->status != ROW_INACTIVE)
        return CC_FAIL(PROTOCOL, "status of a row");
    if (request->has_deposit > 1)
        return CC_FAIL(PROTOCOL, "a deposit, or none");
    return request->has_deposit ? deposit_check(&request->withdrawal_credentials, request->amount)
                                : CC_OK;
}

static void sign_deposit(const struct bls_secret *secret,
                         const struct b_derive *request,
                         struct b_derived *answer)
{
    struct bls_hash hash;
    const struct deposit deposit = {.pubkey = answer->row.pubkey,
                                    .withdrawal_credentials = request->withdrawal_credentials,
                                    .amount = request->amount};
    const struct signing_root root = deposit_signing_root(&deposit, &request->genesis_fork_version);
    bls_hash(root.bytes, &hash);
    bls_sign(secret, &hash, answer->signature.bytes);
}

static CC_SENSITIVE cc_err derive_key(struct generator *g,
                                      const struct b_derive *request,
                                      struct bls_secret *ret_secret)
{
    CC_CLEANUP(bls_secret_wipep) struct bls_secret node = {{0}};
    WIPED32 struct secret32 bytes;
    take_lock(g);
    cc_err err = use_session(g, request, &bytes);
    drop_lock(g);
    CC_TRY(err);
    CC_TRY(bls_secret_parse(bytes.bytes, &node));
    eip2334_signing_key(&node, request->index, ret_secret);
    return CC_OK;
}

static CC_SENSITIVE cc_err derive(struct vault *v,
                                  const struct b_derive *request,
                                  struct b_derived *answer)
{
    CC_CLEANUP(bls_secret_wipep) struct bls_secret secret = {{0}};
    WIPED32 struct secret32 plain;
    uint32_t generation = 0;
    CC_TRY(check_derive(v, request));
    CC_TRY(master_generation(v->master, request->generation, &generation));
    CC_TRY(derive_key(v->generator, request, &secret));
    answer->row =
        (struct sealed_row){.status = request->status, .generation = generation, .version = 1};
    bls_secret_public(&secret, answer->row.pubkey.bytes);
    bls_secret_bytes(&secret, plain.bytes);
    CC_TRY(key_row_seal(v, plain.bytes, &answer->row));
    if (request->has_deposit)
        sign_deposit(&secret, request, answer);
    return CC_OK;
}

void generate_derive(struct vault *vault,
                     const struct b_derive *request,
                     struct b_derived *ret_answer)
{
    cc_err err = derive(vault, request, ret_answer);
    const uint64_t id = ret_answer->id;
    if (err.code)
        *ret_answer = (struct b_derived){.id = id, .error = (uint32_t)err.code};
    wipe_stack();
}
