/* New keys: the vault makes them, and from there on they go the way of an import. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "core/key_importing.h"

_Static_assert((size_t)A_KEYS_BACKUP_MAX >= (size_t)B_BACKUP_MAX, "a backup fits");
_Static_assert((uint32_t)A_KEYS_TOTAL_MAX <= (uint32_t)B_GENERATE_KEYS_MAX, "so do its keys");

/* --- the mnemonic --------------------------------------------------------------------------------------------- */

static cc_err
begin(const struct key_work *work, const struct a_keys *ask, struct a_keys_generated *ret)
{
    struct b_generated answer = {.error = 0};
    struct b_generate question = {.count = ask->is.generate.total};
    const struct vault_asking asking = {.type = B_GENERATE,
                                        .item = &question,
                                        .size = sizeof question,
                                        .answer_type = B_GENERATED,
                                        .answer = &answer,
                                        .answer_size = sizeof answer};
    /* Not in memory alone: a key that is lost with the process would be one that was paid for. */
    if (work->memory || !work->book)
        return CC_FAIL(KEY_STORE_NONE, NULL);
    CC_TRY(importing_check_place(work, ROW_INACTIVE));
    CC_TRY(vault_client_ask(work->vault, &asking));
    if (answer.len > sizeof answer.backup)
        return CC_FAIL(PROTOCOL, "a backup that is too long");
    ret->session = answer.session;
    ret->genesis_fork_version = work->network->forks[FORK_PHASE0].version;
    (void)snprintf(ret->network, sizeof ret->network, "%s", work->network->name);
    ret->backup_len = answer.len;
    memcpy(ret->backup, answer.backup, answer.len);
    log_notice("a mnemonic for new keys was made", KV_NUM("keys", ask->is.generate.total));
    return CC_OK;
}

/* --- its keys --------------------------------------------------------------------------------------------------- */

struct generating {
    struct importing importing;
    struct b_derive questions[A_KEYS_GENERATE_MAX];
    struct b_derived answers[A_KEYS_GENERATE_MAX];
};

static cc_err derive(struct generating *g)
{
    const struct importing *im = &g->importing;
    const struct a_key_generate *ask = &im->ask->is.generate;
    for (uint32_t i = 0; i < im->count; i++)
        g->questions[i] =
            (struct b_derive){.session = ask->session,
                              .index = ask->first + i,
                              .status = im->status,
                              .has_deposit = ask->has_deposit,
                              .generation = im->work->generation,
                              .genesis_fork_version = im->work->network->forks[FORK_PHASE0].version,
                              .withdrawal_credentials = ask->withdrawal_credentials,
                              .amount = ask->amount};
    const struct vault_questions questions = {
        .type = B_DERIVE,
        .items = g->questions,
        .size = sizeof g->questions[0],
        .count = im->count,
        .per_message = 1, /* B_DERIVE is one item */
        .under_way = A_KEYS_GENERATE_MAX,
        .answer_type = B_DERIVED,
        .answers = g->answers,
        .answer_size = sizeof g->answers[0],
        .patience_ms = KEY_WORK_OPEN_MS,
    };
    return vault_client_ask_many(im->work->vault, &questions);
}

static void make_keys(struct generating *g)
{
    struct importing *im = &g->importing;
    cc_err err = importing_check_place(im->work, im->status);
    if (!err.code)
        err = derive(g);
    for (uint32_t i = 0; i < im->count; i++) {
        im->items[i].on = true;
        const struct b_row row = {.error = g->answers[i].error, .row = g->answers[i].row};
        if (!err.code)
            importing_take_row(im, i, &row);
    }
    if (err.code)
        importing_stop_all(im, err);
}

/* Only who has the key gets its deposit. */
static void tell(const struct generating *g, struct a_keys_generated *ret)
{
    uint64_t made = 0;
    for (uint32_t i = 0; i < g->importing.count; i++) {
        if (ret->items[i].outcome != A_KEY_IMPORTED)
            continue;
        ret->items[i].outcome = A_KEY_GENERATED;
        ret->deposits[i] = g->answers[i].signature;
        made++;
    }
    if (made)
        log_notice("keys were generated", KV_NUM("keys", made));
}

static cc_err make(const struct key_work *work, const struct a_keys *ask, struct a_keys_done *done)
{
    CC_CLEANUP(cc_freep) struct generating *g = cc_alloc(sizeof *g);
    if (!g)
        return CC_FAIL(NO_MEMORY, NULL);
    struct importing *im = &g->importing;
    im->work = work;
    im->ask = ask;
    im->done = done;
    im->count = ask->head.count;
    im->status = ask->head.flags & KEYS_INACTIVE ? ROW_INACTIVE : ROW_ACTIVE;
    done->head.count = ask->head.count;
    make_keys(g);
    importing_finish(im);
    tell(g, &done->generated);
    return CC_OK;
}

void key_work_generate(const struct key_work *work,
                       const struct a_keys *ask,
                       struct a_keys_done *done)
{
    cc_err err = ask->head.count ? make(work, ask, done) : begin(work, ask, &done->generated);
    done->head.error = (uint32_t)err.code;
}
