#include "front/keys_work.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/num.h"

#include "codec/hex.h"
#include "front/answer.h"
#include "front/keys_answer.h"
#include "front/slashing.h"
#include "keys/store.h"
#include "secret/wipe.h"

enum {
    LIST_MAX = 64 << 20 /* bytes of a list of keys: a million */
};

enum stage {
    STAGE_IMPORT_NETWORK, /* the data that came along: is it of this network? */
    STAGE_KEYS,
    STAGE_IMPORT_HISTORY, /* that of the keys that this step has opened */
    STAGE_TAKE,           /* these keys */
    STAGE_EXPORT_HISTORY,
    STAGE_DONE
};

struct keys_work {
    const struct keys_work_kind *kind;
    enum stage stage;
    struct keys_body body;
    struct a_key_item *results; /* one for each item; errors of ours among them */
    bool *answered;             /* the core has said what became of it */
    bool any_answered;
    bool stopped;             /* nothing more is asked for */
    size_t at;                /* the next item to ask for */
    bool *later;              /* it is here already; asked for again when all others are through */
    bool is_later;            /* that has come */
    size_t asked[A_KEYS_MAX]; /* of the step under way: which items */
    struct a_keys ask;
    struct buf list; /* struct a_key_item, one after the other */
    bool paused_all;
    struct keys_made *made; /* new keys */
    bool has_no_network;    /* the history: it has nothing to export yet */
    /* the slashing-protection data */
    struct slashing *slashing;
    struct eth_pubkey *sorted;
    bool *found;
    bool *picked; /* of `sorted`, in this step */
    struct slashing_keys chosen;
};

CC_ERR keys_work_new(const struct keys_work_kind *kind, struct keys_work **ret_work)
{
    struct keys_work *w = cc_alloc(sizeof *w);
    if (!w)
        return CC_FAIL(NO_MEMORY, NULL);
    w->kind = kind;
    w->stage = STAGE_KEYS;
    w->list = buf_init(LIST_MAX);
    w->ask.head.verb = kind->verb;
    w->ask.head.scope = kind->scope;
    *ret_work = w;
    return CC_OK;
}

void keys_work_free(struct keys_work *w)
{
    if (!w)
        return;
    keys_body_release(&w->body);
    slashing_free(w->slashing);
    buf_release(&w->list);
    cc_free(w->made);
    cc_free(w->results);
    cc_free(w->answered);
    cc_free(w->later);
    cc_free(w->sorted);
    cc_free(w->found);
    cc_free(w->picked);
    wipe(&w->ask, sizeof w->ask);
    cc_free(w);
}

/* --- the slashing-protection data ----------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
    return key_store_order(a, b);
}

/* The public keys of the items that `is_wanted` picks, sorted and each once. */
static cc_err choose(struct keys_work *w, bool (*is_wanted)(const struct keys_work *w, size_t i))
{
    size_t n = 0, kept = 0;
    w->sorted = cc_alloc_array(w->body.count + 1, sizeof *w->sorted);
    w->found = cc_alloc_array(w->body.count + 1, sizeof *w->found);
    w->picked = cc_alloc_array(w->body.count + 1, sizeof *w->picked);
    if (!w->sorted || !w->found || !w->picked)
        return CC_FAIL(NO_MEMORY, "keys");
    for (size_t i = 0; i < w->body.count; i++)
        if (is_wanted(w, i))
            w->sorted[n++] = w->body.items[i].pubkey;
    qsort(w->sorted, n, sizeof *w->sorted, by_bytes);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || by_bytes(&w->sorted[i], &w->sorted[kept - 1]) != 0)
            w->sorted[kept++] = w->sorted[i];
    w->chosen = (struct slashing_keys){w->sorted, kept, w->found};
    return CC_OK;
}

static cc_err begin_slashing(struct keys_work *w, enum a_slashing_verb verb, enum stage stage)
{
    CC_TRY(slashing_new(verb, &w->slashing));
    slashing_only(w->slashing, &w->chosen);
    slashing_set_scope(w->slashing, w->kind->scope);
    w->stage = stage;
    return CC_OK;
}

static bool is_importable(const struct keys_work *w, size_t i)
{
    return !w->body.items[i].err.code;
}

/* Of a keystore that does not say whose it is nothing could be merged before it signs. */
static void refuse_nameless(struct keys_work *w)
{
    for (size_t i = 0; i < w->body.count; i++) {
        struct keys_item *item = &w->body.items[i];
        if (item->err.code || item->has_pubkey)
            continue;
        item->static_detail = "it names no pubkey, which slashing_protection is looked up by";
        item->err = CC_FAIL(KEYSTORE, item->static_detail);
        wipe(&w->body.keystores[i], sizeof w->body.keystores[i]);
    }
}

bool keys_work_has_history(const struct keys_work *w)
{
    return w->body.has_history;
}

CC_ERR keys_work_read_history(struct keys_work *w)
{
    refuse_nameless(w);
    CC_TRY(choose(w, is_importable));
    CC_TRY(begin_slashing(w, SLASHING_IMPORT, STAGE_IMPORT_NETWORK));
    union {
        const uint8_t *in;
        uint8_t *out;
    } text = {.in = w->body.history.data}; /* in the body, which is ours to change */
    return slashing_read(w->slashing, NULL, text.out, w->body.history.len);
}

/* The place in `found` and `picked` of what came along for the item's key; NULL when nothing did. */
static const struct eth_pubkey *history_place(const struct keys_work *w, size_t i)
{
    if (!w->slashing || !w->body.items[i].has_pubkey)
        return NULL;
    const struct eth_pubkey *at =
        bsearch(&w->body.items[i].pubkey, w->sorted, w->chosen.count, sizeof *w->sorted, by_bytes);
    return at && w->found[at - w->sorted] ? at : NULL;
}

/* What is of use to who signs for the key next. */
static bool is_exported(const struct keys_work *w, size_t i)
{
    return w->results[i].outcome == A_KEY_DELETED || w->results[i].outcome == A_KEY_NOT_ACTIVE;
}

/* --- the body --------------------------------------------------------------------------------------------------------- */

static cc_err make_results(struct keys_work *w)
{
    size_t count = w->body.count;
    if (count == 0)
        return CC_OK;
    w->results = cc_alloc_array(count, sizeof *w->results);
    w->answered = cc_alloc_array(count, sizeof *w->answered);
    w->later = cc_alloc_array(count, sizeof *w->later);
    if (!w->results || !w->answered || !w->later)
        return CC_FAIL(NO_MEMORY, "keys");
    for (size_t i = 0; i < count; i++) {
        w->results[i].outcome = A_KEY_ERROR;
        w->results[i].pubkey = w->body.items[i].pubkey;
    }
    return CC_OK;
}

static cc_err
read_generate(struct keys_work *w, const struct keys_body_rules *rules, uint8_t *body, size_t len)
{
    CC_TRY(keys_body_generate(rules, body, len, &w->body));
    w->made = cc_alloc(sizeof *w->made + w->body.count * sizeof w->made->deposits[0]);
    if (!w->made)
        return CC_FAIL(NO_MEMORY, "keys");
    return make_results(w);
}

CC_ERR keys_work_read(struct keys_work *w, size_t max_items, uint8_t *body, size_t len)
{
    const struct keys_body_rules rules = {max_items, !w->kind->is_manager};
    if (w->kind->verb == KEYS_GENERATE)
        return read_generate(w, &rules, body, len);
    if (w->kind->verb == KEYS_IMPORT)
        CC_TRY(keys_body_import(&rules, body, len, &w->body));
    else
        CC_TRY(keys_body_list(&rules, w->kind->verb, body, len, &w->body));
    return make_results(w);
}

/* --- the next step ------------------------------------------------------------------------------------------------------ */

static bool is_next(const struct keys_work *w, size_t i)
{
    return !w->body.items[i].err.code && w->later[i] == w->is_later;
}

static void fill_import(struct keys_work *w)
{
    struct a_keys *ask = &w->ask;
    uint32_t n = 0;
    wipe(&ask->is, sizeof ask->is);
    for (; w->at < w->body.count && n < A_KEYS_IMPORTS_MAX; w->at++) {
        if (!is_next(w, w->at))
            continue;
        ask->is.imports[n].keystore = w->body.keystores[w->at];
        w->asked[n++] = w->at;
    }
    ask->head.verb = KEYS_IMPORT;
    ask->head.flags = w->body.inactive ? KEYS_INACTIVE : 0;
    if (w->slashing)
        ask->head.flags |= w->is_later ? KEYS_HOLD | KEYS_KNOWN : KEYS_HOLD;
    ask->head.count = n;
}

/* First those that may be new: so that who runs out of time gets on when he asks again. */
static void fill_imports(struct keys_work *w)
{
    fill_import(w);
    if (w->ask.head.count || w->is_later || w->stopped)
        return;
    w->is_later = true;
    w->at = 0;
    fill_import(w);
}

static void fill_keys(struct keys_work *w)
{
    struct a_keys *ask = &w->ask;
    uint32_t n = 0;
    memset(ask->is.keys, 0, sizeof ask->is.keys);
    for (; w->at < w->body.count && n < A_KEYS_MAX; w->at++) {
        ask->is.keys[n] = w->body.items[w->at].pubkey;
        w->asked[n++] = w->at;
    }
    ask->head.flags = w->body.all ? KEYS_ALL : w->body.inactive ? KEYS_INACTIVE : 0;
    ask->head.count = n;
}

/* The mnemonic first, then its keys. */
static void fill_generate(struct keys_work *w)
{
    struct a_keys *ask = &w->ask;
    uint32_t n = 0;
    ask->is.generate = w->body.generate;
    ask->is.generate.session = w->made->session;
    ask->is.generate.first = (uint32_t)w->at;
    for (; w->made->session && w->at < w->body.count && n < A_KEYS_GENERATE_MAX; w->at++)
        w->asked[n++] = w->at;
    ask->head.flags = w->body.inactive ? KEYS_INACTIVE : 0;
    ask->head.count = n;
}

/* False when no key is left to ask for. */
static bool fill(struct keys_work *w)
{
    switch (w->kind->verb) {
    case KEYS_LIST:
        return true;
    case KEYS_IMPORT:
        fill_imports(w);
        break;
    case KEYS_DELETE:
    case KEYS_SET:
    case KEYS_PAUSE:
    case KEYS_RESUME:
    case KEYS_TAKE:
    case KEYS_VERB_END:
        fill_keys(w);
        break;
    case KEYS_GENERATE:
        fill_generate(w);
        if (!w->made->session)
            return w->at < w->body.count;
        break;
    }
    return w->ask.head.count > 0 || (w->body.all && !w->any_answered);
}

static void end_keys(struct keys_work *w)
{
    w->stage = STAGE_DONE;
    if (w->kind->verb != KEYS_DELETE)
        return;
    cc_err err = choose(w, is_exported);
    if (!err.code)
        err = begin_slashing(w, SLASHING_EXPORT, STAGE_EXPORT_HISTORY);
    /* Without the memory for it keys_work_answer() refuses. */
    (void)err;
}

struct keys_question keys_work_next(struct keys_work *w)
{
    if (w->stage == STAGE_IMPORT_NETWORK || w->stage == STAGE_IMPORT_HISTORY) {
        struct a_slashing *ask = slashing_next(w->slashing);
        if (ask)
            return (struct keys_question){.slashing = ask};
        w->stage = w->stage == STAGE_IMPORT_NETWORK ? STAGE_KEYS : STAGE_TAKE;
    }
    if (w->stage == STAGE_TAKE)
        return (struct keys_question){.keys = &w->ask};
    if (w->stage == STAGE_KEYS) {
        if (fill(w))
            return (struct keys_question){.keys = &w->ask};
        end_keys(w);
    }
    if (w->stage == STAGE_EXPORT_HISTORY) {
        struct a_slashing *ask = slashing_next(w->slashing);
        if (ask)
            return (struct keys_question){.slashing = ask};
        w->stage = STAGE_DONE;
    }
    return (struct keys_question){0};
}

/* --- answers --------------------------------------------------------------------------------------------------------------- */

static void forget_keystore(struct keys_work *w, size_t i)
{
    if (w->kind->verb == KEYS_IMPORT)
        wipe(&w->body.keystores[i], sizeof w->body.keystores[i]);
}

static void forget_asked(struct keys_work *w)
{
    for (uint32_t i = 0; i < w->ask.head.count; i++)
        forget_keystore(w, w->asked[i]);
}

/* The step is the request's failure while nothing has been done; afterwards it is that of its items. */
static cc_err take_failure(struct keys_work *w, cc_err err)
{
    if (w->stage == STAGE_IMPORT_HISTORY || w->stage == STAGE_TAKE)
        w->stage = STAGE_KEYS;
    forget_asked(w);
    if (!w->any_answered)
        return err;
    for (uint32_t i = 0; i < w->ask.head.count; i++)
        w->results[w->asked[i]].error = (uint32_t)err.code;
    if (error_is(err, ERROR_DOOR_CLOSED) || error_is(err, ERROR_PROTOCOL))
        keys_work_stop(w);
    return CC_OK;
}

static cc_err
take_list(struct keys_work *w, const struct a_keys_head *head, const struct buf *items)
{
    const struct a_key_item *keys = (const void *)items->data;
    size_t n = items->len / sizeof *keys;
    struct a_keys_head *ask = &w->ask.head;
    w->paused_all = head->paused_all != 0;
    for (size_t i = 0; i < n; i++) {
        if ((ask->flags & KEYS_HAS_AFTER) && by_bytes(&keys[i].pubkey, &ask->after) <= 0)
            return CC_FAIL(PROTOCOL, "a list of keys that does not go on");
        ask->after = keys[i].pubkey;
        ask->flags |= KEYS_HAS_AFTER;
    }
    if (n)
        CC_TRY(buf_append(&w->list, keys, n * sizeof *keys));
    if (!(head->flags & KEYS_MORE)) {
        w->stage = STAGE_DONE;
        return CC_OK;
    }
    /* The step may have looked at more keys than this caller may see. */
    if ((ask->flags & KEYS_HAS_AFTER) && by_bytes(&head->after, &ask->after) < (n ? 0 : 1))
        return CC_FAIL(PROTOCOL, "a list of keys that does not go on");
    ask->after = head->after;
    ask->flags |= KEYS_HAS_AFTER;
    return CC_OK;
}

/* What is here already and has data that came along is asked for again, at the end. */
static bool put_off(struct keys_work *w, size_t i, const struct a_key_item *answer)
{
    w->later[i] = !w->is_later && answer->outcome == A_KEY_DUPLICATE && history_place(w, i);
    return w->later[i];
}

static void take_item(struct keys_work *w, size_t i, const struct a_key_item *answer)
{
    struct a_key_item *result = &w->results[i];
    struct eth_pubkey named = result->pubkey;
    *result = *answer;
    if (w->kind->verb != KEYS_IMPORT || w->body.items[i].has_pubkey)
        result->pubkey = named;
    w->answered[i] = true;
    w->any_answered = true;
    forget_keystore(w, i);
}

/* Those that have opened are what comes next: their data, then they themselves. */
static void take_opened(struct keys_work *w, const struct a_key_item *answers)
{
    struct a_keys *ask = &w->ask;
    uint32_t n = 0, count = ask->head.count;
    memset(w->picked, 0, w->chosen.count * sizeof *w->picked);
    for (uint32_t i = 0; i < count; i++) {
        const size_t at = w->asked[i];
        if (answers[i].outcome != A_KEY_OPENED) {
            if (!put_off(w, at, &answers[i]))
                take_item(w, at, &answers[i]);
            continue;
        }
        const struct eth_pubkey *place = history_place(w, at);
        forget_keystore(w, at);
        if (place)
            w->picked[place - w->sorted] = true;
        ask->is.keys[n] = w->body.items[at].pubkey;
        w->asked[n++] = at;
    }
    ask->head.verb = KEYS_TAKE;
    ask->head.flags = w->body.inactive ? KEYS_INACTIVE : 0;
    ask->head.count = n;
    slashing_pick(w->slashing, w->picked);
    w->stage = n ? STAGE_IMPORT_HISTORY : STAGE_KEYS;
}

static bool is_text_of_backup(const struct a_keys_generated *g)
{
    if (!g->session || !g->backup_len || g->backup_len > sizeof g->backup)
        return false;
    for (uint32_t i = 0; i < g->backup_len; i++)
        if (g->backup[i] != '\n' && (g->backup[i] < ' ' || g->backup[i] > '~'))
            return false;
    for (size_t i = 0; i < sizeof g->network; i++) {
        if (!g->network[i])
            return true;
        if (g->network[i] < ' ' || g->network[i] > '~' || g->network[i] == '"' ||
            g->network[i] == '\\')
            return false;
    }
    return false;
}

/* Of the first step: the mnemonic is made, and its backup goes into the response whatever becomes of its keys. */
static cc_err take_mnemonic(struct keys_work *w, const struct a_keys_generated *g)
{
    if (!is_text_of_backup(g))
        return CC_FAIL(PROTOCOL, "a backup that is none");
    w->made->session = g->session;
    w->made->genesis_fork_version = g->genesis_fork_version;
    memcpy(w->made->network, g->network, sizeof w->made->network);
    memcpy(w->made->backup, g->backup, g->backup_len);
    w->made->backup_len = g->backup_len;
    w->any_answered = true;
    return CC_OK;
}

static cc_err take_generated(struct keys_work *w, cc_err err, const struct buf *items)
{
    const struct a_keys_generated *g = (const void *)items->data;
    if (!err.code && items->len != sizeof *g)
        err = CC_FAIL(PROTOCOL, "an answer that is not about new keys");
    if (err.code)
        return take_failure(w, err);
    if (!w->made->session)
        return take_mnemonic(w, g);
    for (uint32_t i = 0; i < w->ask.head.count; i++) {
        w->results[w->asked[i]] = g->items[i];
        w->made->deposits[w->asked[i]] = g->deposits[i];
        w->answered[w->asked[i]] = true;
    }
    return CC_OK;
}

CC_ERR keys_work_took(struct keys_work *w,
                      cc_err err,
                      const struct a_keys_head *head,
                      const struct buf *items)
{
    const struct a_key_item *answers = (const void *)items->data;
    const bool holds = (w->ask.head.flags & KEYS_HOLD) != 0;
    if (w->ask.head.verb == KEYS_IMPORT)
        wipe(&w->ask.is, sizeof w->ask.is);
    if (w->kind->verb == KEYS_GENERATE)
        return take_generated(w, err, items);
    if (w->kind->verb == KEYS_LIST) {
        CC_TRY(err);
        return take_list(w, head, items);
    }
    if (!err.code && items->len / sizeof *answers != w->ask.head.count)
        err = CC_FAIL(PROTOCOL, "answers for other keys than were asked for");
    if (err.code)
        return take_failure(w, err);
    if (holds) {
        take_opened(w, answers);
        return CC_OK;
    }
    for (uint32_t i = 0; i < w->ask.head.count; i++)
        take_item(w, w->asked[i], &answers[i]);
    w->any_answered = true;
    if (w->stage == STAGE_TAKE)
        w->stage = STAGE_KEYS;
    return CC_OK;
}

CC_ERR keys_work_took_slashing(struct keys_work *w,
                               cc_err err,
                               const struct a_slashing_head *head,
                               const struct buf *records)
{
    if (!err.code)
        err = slashing_took(w->slashing, head, records);
    if (error_is(err, ERROR_IDENTITY) && w->stage == STAGE_EXPORT_HISTORY) {
        w->has_no_network = true;
        w->stage = STAGE_DONE;
        return CC_OK;
    }
    if (error_is(err, ERROR_WRONG_NETWORK))
        err = CC_FAIL(INTERCHANGE, "genesis_validators_root is not this signer's network");
    return err.code && w->stage == STAGE_IMPORT_HISTORY ? take_failure(w, err) : err;
}

void keys_work_stop(struct keys_work *w)
{
    w->at = w->body.count;
    w->stopped = true;
    if (w->stage == STAGE_IMPORT_NETWORK)
        w->stage = STAGE_DONE;
}

/* --- the response -------------------------------------------------------------------------------------------------------------- */

static struct span history_of(const struct keys_work *w)
{
    static const char empty[] =
        "{\"metadata\":{\"interchange_format_version\":\"5\"},\"data\":[]}"; /* as Web3Signer says it */
    if (w->has_no_network)
        return span_str(empty);
    return w->slashing ? slashing_text(w->slashing) : (struct span){0};
}

static struct keys_answer answer_of(const struct keys_work *w)
{
    return (struct keys_answer){
        .verb = w->kind->verb,
        .is_manager = w->kind->is_manager,
        .inactive = w->body.inactive,
        .all = w->body.all,
        .paused_all = w->paused_all,
        .count =
            w->kind->verb == KEYS_LIST ? w->list.len / sizeof(struct a_key_item) : w->body.count,
        .items = w->body.items,
        .results =
            w->kind->verb == KEYS_LIST ? (const void *)w->list.data : (const void *)w->results,
        .answered = w->answered,
        .made = w->made,
        .generate = &w->body.generate,
        .history = history_of(w),
    };
}

CC_ERR keys_work_answer(const struct keys_work *w, struct buf *out)
{
    const struct keys_answer answer = answer_of(w);
    if (w->kind->verb == KEYS_DELETE && !w->slashing)
        return CC_FAIL(NO_MEMORY, "the keys' slashing-protection data: ask for it again");
    return keys_answer_put(out, &answer);
}

CC_ERR keys_work_refusal(const struct keys_work *w, cc_err err, struct buf *out)
{
    if (w->kind->verb == KEYS_IMPORT && w->slashing && error_class(err) == CLASS_INPUT)
        return slashing_refusal(w->slashing, err, out);
    const struct refusal refusal = refusal_of(err);
    return answer_refusal(out, &refusal);
}
