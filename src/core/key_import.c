/* Import: the steps of one message, in the order that core/key_work.h promises. Where slashing-protection data comes along it is
 * two messages, with the merge of that data between them: the first opens and holds, the second does the rest.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "core/key_importing.h"
#include "core/test_point.h"
#include "secret/wipe.h"

void importing_stop(struct importing *im, uint32_t i, cc_err err)
{
    im->items[i].on = false;
    key_work_fail(&im->done->items[i], err);
}

void importing_stop_all(struct importing *im, cc_err err)
{
    for (uint32_t i = 0; i < im->count; i++)
        if (im->items[i].on)
            importing_stop(im, i, err);
}

static void is_duplicate(struct importing *im, uint32_t i, const struct registry_view *view)
{
    struct a_key_item *item = &im->done->items[i];
    im->items[i].on = false;
    if (view)
        key_work_show(im->work, view, item);
    item->outcome = A_KEY_DUPLICATE;
}

/* A file that can't be loaded does not stand in the way of its key; a row does. */
static bool stands_in_the_way(const struct registry_view *view)
{
    return view->state != KEY_STATE_FAILED || (view->sources & ~(uint32_t)B_KEY_FROM_FILE);
}

/* Of a key that is here what came along is merged too, where its secret came. */
static bool opens_known(const struct importing *im)
{
    return (im->ask->head.flags & KEYS_KNOWN) != 0;
}

/* Whether the key may come: for the caller, and beside those that are here. */
static void judge(struct importing *im, uint32_t i, const struct eth_pubkey *pubkey)
{
    struct registry_view view;
    cc_err err = key_work_allow(im->work, im->ask, pubkey);
    im->done->items[i].pubkey = *pubkey;
    if (err.code)
        importing_stop(im, i, err);
    else if (opens_known(im))
        return;
    else if (registry_look(im->work->registry, pubkey, &view) && stands_in_the_way(&view))
        is_duplicate(im, i, &view);
    else if (im->items[i].in_vault)
        is_duplicate(im, i, NULL);
}

/* --- 1. the vault opens the keystores ------------------------------------------------------------------------ */

static cc_err ask_vault(struct importing *im,
                        enum door_b_type type,
                        size_t size,
                        enum door_b_type answer_type,
                        size_t answer_size)
{
    memset(&im->answers, 0, sizeof im->answers);
    const struct vault_questions questions = {
        .type = type,
        .items = &im->questions,
        .size = size,
        .count = im->asked,
        .per_message = type == B_IMPORT ? 1 : A_KEYS_IMPORTS_MAX,
        .under_way = A_KEYS_IMPORTS_MAX,
        .answer_type = answer_type,
        .answers = &im->answers,
        .answer_size = answer_size,
        .patience_ms = KEY_WORK_OPEN_MS,
    };
    return vault_client_ask_many(im->work->vault, &questions);
}

void importing_take_row(struct importing *im, uint32_t i, const struct b_row *answer)
{
    struct import_item *item = &im->items[i];
    cc_err err = error_from_number(answer->error);
    if (err.code) {
        importing_stop(im, i, err);
        return;
    }
    item->row = answer->row;
    item->in_vault = answer->held != 0;
    judge(im, i, &item->row.pubkey);
    for (uint32_t before = 0; item->on && before < i; before++)
        if (im->items[before].on &&
            key_store_order(&im->items[before].row.pubkey, &item->row.pubkey) == 0)
            is_duplicate(im, i, NULL);
}

static void open_keystores(struct importing *im)
{
    im->asked = 0;
    for (uint32_t i = 0; i < im->count; i++) {
        if (!im->items[i].on)
            continue;
        im->number[im->asked] = i;
        im->questions.imports[im->asked++] =
            (struct b_import){.status = im->status,
                              .generation = im->work->generation,
                              .version = 1,
                              .keystore = im->ask->is.imports[i].keystore};
    }
    cc_err err = ask_vault(im, B_IMPORT, sizeof(struct b_import), B_ROW, sizeof(struct b_row));
    wipe(&im->questions, sizeof im->questions);
    if (err.code)
        importing_stop_all(im, err);
    for (size_t n = 0; n < im->asked && !err.code; n++)
        importing_take_row(im, im->number[n], &im->answers.rows[n]);
    test_point_pass(TEST_POINT_IMPORT_OPENED);
}

static void hold(struct importing *im)
{
    struct import_hold *hold = im->work->hold;
    import_hold_begin(hold, im->epoch);
    for (uint32_t i = 0; i < im->count; i++) {
        const struct import_held held = {.row = im->items[i].row,
                                         .in_vault = im->items[i].in_vault};
        if (!im->items[i].on)
            continue;
        import_hold_put(hold, &held);
        im->done->items[i].outcome = A_KEY_OPENED;
    }
}

/* --- 2. the history has a row for each ------------------------------------------------------------------------ */

struct tombstone {
    bool known;
    bool enabled;
};

static cc_err look_at(void *context, const struct slash_validator *validator)
{
    struct tombstone *tombstone = context;
    tombstone->known = true;
    tombstone->enabled = validator->enabled;
    return CC_OK;
}

/* A key that was deleted here comes back only with what it has signed meanwhile. */
static cc_err revive(struct importing *im, uint32_t i, struct slash_store *history)
{
    struct tombstone tombstone = {0};
    const struct eth_pubkey *pubkey = &im->items[i].row.pubkey;
    CC_TRY(slash_visit(history, pubkey, look_at, &tombstone));
    if (!tombstone.known || tombstone.enabled)
        return CC_OK;
    if (im->items[i].has_history)
        return slash_set_enabled(history, pubkey, true);
    importing_stop(im, i, CC_FAIL(KEY_TOMBSTONE, NULL));
    return CC_OK;
}

static cc_err
protect(void *context, struct slash_store *history, const struct slash_watermark *floor)
{
    struct importing *im = context;
    struct eth_pubkey keys[A_KEYS_IMPORTS_MAX];
    size_t n = 0;
    for (uint32_t i = 0; i < im->count; i++) {
        if (!im->items[i].on)
            continue;
        CC_TRY(revive(im, i, history));
        if (im->items[i].on)
            keys[n++] = im->items[i].row.pubkey;
    }
    return n ? slash_register_keys(history, keys, n, floor) : CC_OK;
}

static void make_protection_rows(struct importing *im)
{
    cc_err err = writer_run(im->work->writer, protect, im, KEY_WORK_PATIENCE_MS);
    if (err.code)
        importing_stop_all(im, err);
    test_point_pass(TEST_POINT_IMPORT_PROTECTED);
}

/* --- 3. the key store has them ---------------------------------------------------------------------------------- */

/* A row for a key that had one before is sealed anew, for the version after it. */
static void seal_after_others(struct importing *im)
{
    im->asked = 0;
    memset(&im->questions, 0, sizeof im->questions);
    for (uint32_t i = 0; i < im->count; i++) {
        struct import_item *item = &im->items[i];
        const struct sealed_row *before =
            item->on ? key_book_find(im->work->book, &item->row.pubkey) : NULL;
        if (!before)
            continue;
        item->expected = before->version;
        im->number[im->asked] = i;
        im->questions.seals[im->asked++] = (struct b_seal_row){.status = im->status,
                                                               .generation = im->work->generation,
                                                               .version = before->version + 1,
                                                               .row = item->row};
    }
    cc_err err = ask_vault(im, B_SEAL_ROW, sizeof(struct b_seal_row), B_ROW, sizeof(struct b_row));
    for (size_t n = 0; n < im->asked; n++) {
        const struct b_row *answer = &im->answers.rows[n];
        cc_err one = err.code ? err : error_from_number(answer->error);
        if (one.code)
            importing_stop(im, im->number[n], one);
        else
            im->items[im->number[n]].row = answer->row;
    }
}

/* What is not active is nowhere but in a key store. */
CC_ERR importing_check_place(const struct key_work *work, enum row_status status)
{
    if (work->memory && status == ROW_ACTIVE)
        return CC_OK;
    return work->book && !work->memory ? key_book_fault(work->book) : CC_FAIL(KEY_STORE_NONE, NULL);
}

static void store(struct importing *im)
{
    struct key_change changes[A_KEYS_IMPORTS_MAX];
    size_t n = 0;
    if (im->work->memory)
        return;
    seal_after_others(im);
    for (uint32_t i = 0; i < im->count; i++)
        if (im->items[i].on)
            changes[n++] = (struct key_change){im->items[i].expected, im->items[i].row};
    if (!n)
        return;
    cc_err err = key_book_put(im->work->book, changes, n);
    if (err.code)
        importing_stop_all(im, err);
}

/* --- 4. the vault takes them, and the registry knows them --------------------------------------------------------- */

/* A key that is stored and can't be loaded is known all the same: it can be deleted. */
static void know(struct importing *im, uint32_t i, cc_err loaded)
{
    const struct import_item *item = &im->items[i];
    const struct eth_pubkey *pubkey = &item->row.pubkey;
    const bool active = im->status == ROW_ACTIVE;
    struct registry *registry = im->work->registry;
    cc_err err = CC_OK;
    if (!loaded.code || !im->work->memory)
        err = registry_add(registry, pubkey, im->work->memory ? B_KEY_FROM_MEMORY : B_KEY_FROM_ROW,
                           active ? HOLD_NONE : HOLD_INACTIVE);
    if (!err.code && !loaded.code && active)
        registry_loaded(registry, pubkey, item->key, true);
    else if (!err.code && loaded.code)
        registry_failed(registry, pubkey);
    if (loaded.code || err.code) {
        importing_stop(im, i, loaded.code ? loaded : err);
        return;
    }
    struct a_key_item *answer = &im->done->items[i];
    struct registry_view view;
    if (registry_look(registry, pubkey, &view))
        key_work_show(im->work, &view, answer);
    answer->outcome = A_KEY_IMPORTED;
}

static void load(struct importing *im)
{
    im->asked = 0;
    memset(&im->questions, 0, sizeof im->questions);
    for (uint32_t i = 0; i < im->count; i++) {
        if (!im->items[i].on || im->status != ROW_ACTIVE)
            continue;
        im->number[im->asked] = i;
        im->questions.opens[im->asked++] =
            (struct b_open_row){.source = im->work->memory ? B_KEY_FROM_MEMORY : B_KEY_FROM_ROW,
                                .row = im->items[i].row};
    }
    cc_err err =
        ask_vault(im, B_OPEN_ROW, sizeof(struct b_open_row), B_OPENED, sizeof(struct b_opened));
    test_point_pass(TEST_POINT_IMPORT_LOADED);
    for (size_t n = 0; n < im->asked; n++) {
        const struct b_opened *answer = &im->answers.opened[n];
        im->items[im->number[n]].key = answer->key;
        know(im, im->number[n], err.code ? err : error_from_number(answer->error));
    }
    for (uint32_t i = 0; i < im->count; i++)
        if (im->items[i].on && im->status != ROW_ACTIVE)
            know(im, i, CC_OK);
    test_point_pass(TEST_POINT_IMPORT_ACTIVE);
}

static void begin(struct importing *im)
{
    cc_err place = importing_check_place(im->work, im->status);
    for (uint32_t i = 0; i < im->count; i++) {
        const struct a_key_import *import = &im->ask->is.imports[i];
        im->items[i] = (struct import_item){.on = true};
        if (place.code)
            importing_stop(im, i, place);
        else if (import->keystore.has_pubkey)
            judge(im, i, &import->keystore.pubkey);
    }
}

/* A rotation may have begun, or ended, since it was sealed. */
static bool is_of_present(const struct key_work *work, const struct sealed_row *row)
{
    return work->memory || !work->generation || row->generation == work->generation;
}

/* Time has passed since they were opened: they are judged again. */
static void begin_held(struct importing *im)
{
    cc_err place = importing_check_place(im->work, im->status);
    for (uint32_t i = 0; i < im->count; i++) {
        struct import_item *item = &im->items[i];
        struct import_held held = {0};
        const bool is_held =
            import_hold_take(im->work->hold, im->epoch, &im->ask->is.keys[i], &held);
        *item = (struct import_item){
            .on = true, .has_history = held.merged, .in_vault = held.in_vault, .row = held.row};
        im->done->items[i].pubkey = im->ask->is.keys[i];
        if (!is_held || place.code)
            importing_stop(im, i, is_held ? place : CC_FAIL(BUSY, "another import came between"));
        else if (!is_of_present(im->work, &held.row))
            importing_stop(im, i, CC_FAIL(CONFLICT, "the master key was changed meanwhile"));
        else
            judge(im, i, &held.row.pubkey);
    }
}

static bool any_left(const struct importing *im)
{
    bool any = false;
    for (uint32_t i = 0; i < im->count; i++)
        any |= im->items[i].on;
    return any;
}

void importing_finish(struct importing *im)
{
    void (*const steps[])(struct importing *) = {make_protection_rows, store, load};
    for (size_t i = 0; i < ARRAY_LEN(steps) && any_left(im); i++)
        steps[i](im);
}

static void log_imported(const struct importing *im)
{
    uint64_t imported = 0;
    for (uint32_t i = 0; i < im->count; i++)
        imported += im->done->items[i].outcome == A_KEY_IMPORTED;
    if (imported)
        log_notice("keys were imported", KV_NUM("keys", imported),
                   KV_STR("kept_in", im->work->memory ? "memory" : "key store"));
}

typedef void import_step(struct importing *im);

static import_step *const at_once[] = {begin, open_keystores, importing_finish, NULL};
static import_step *const opens[] = {begin, open_keystores, hold, NULL};
static import_step *const takes[] = {begin_held, importing_finish, NULL};

static void import(const struct importing *start, import_step *const *steps)
{
    CC_CLEANUP(cc_freep) struct importing *im = cc_alloc(sizeof *im);
    const struct a_keys_head *head = &start->ask->head;
    if (!im) {
        start->done->head.error = ERROR_NO_MEMORY;
        return;
    }
    *im = *start;
    start->done->head.count = im->count = head->count;
    im->status = head->flags & KEYS_INACTIVE ? ROW_INACTIVE : ROW_ACTIVE;
    for ((*steps++)(im); *steps && any_left(im); steps++)
        (*steps)(im);
    wipe(&im->questions, sizeof im->questions);
    log_imported(im);
}

void key_work_import(const struct key_work *work,
                     uint32_t epoch,
                     struct a_keys *ask,
                     struct a_keys_done *done)
{
    const struct importing start = {.work = work, .epoch = epoch, .ask = ask, .done = done};
    import(&start, ask->head.flags & KEYS_HOLD ? opens : at_once);
}

void key_work_take(const struct key_work *work,
                   uint32_t epoch,
                   const struct a_keys *ask,
                   struct a_keys_done *done)
{
    const struct importing start = {.work = work, .epoch = epoch, .ask = ask, .done = done};
    import(&start, takes);
}
