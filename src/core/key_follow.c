/* What other replicas change in a shared key store. */
#include "base/alloc.h"
#include "base/log.h"

#include "core/key_work.h"

struct following {
    const struct key_work *work;
    struct eth_pubkey *gone;
    size_t gone_count;
    size_t come_count;
};

/* The vault waits for who still signs with the key: after it, nobody does. */
static void take_out(const struct key_work *work, const struct registry_view *view)
{
    if (!view->has_handle || (view->sources & B_KEY_FROM_FILE))
        return;
    cc_err err = vault_client_take_out(work->vault, view->handle);
    if (err.code && !error_is(err, ERROR_KEY_UNKNOWN))
        log_error("the vault still holds a key that another replica has taken out of use",
                  KV_ERR(err));
    else
        registry_unloaded(work->registry, &view->pubkey);
}

static void lose(struct following *f, const struct registry_view *view)
{
    if (!(view->sources & B_KEY_FROM_ROW))
        return;
    if (!(view->sources & B_KEY_FROM_FILE))
        registry_hold(f->work->registry, &view->pubkey, HOLD_DELETING);
    take_out(f->work, view);
    f->gone[f->gone_count++] = view->pubkey;
}

static void gain(struct following *f, const struct sealed_row *row, enum registry_hold hold)
{
    struct registry *registry = f->work->registry;
    struct registry_view view;
    cc_err err = registry_add(registry, &row->pubkey, B_KEY_FROM_ROW, hold);
    f->come_count++;
    if (err.code)
        log_error("a key of another replica can't be taken", KV_ERR(err));
    if (err.code || !registry_look(registry, &row->pubkey, &view))
        return;
    if (hold)
        take_out(f->work, &view);
    else if (view.hold == HOLD_INACTIVE)
        registry_hold(registry, &row->pubkey, HOLD_NONE);
}

/* Those that are gone come first: they are stopped at once. */
static void take_news(struct following *f, const struct eth_pubkey *news, size_t count)
{
    struct registry_view view;
    for (size_t i = 0; i < count; i++) {
        const struct sealed_row *row = key_book_find(f->work->book, &news[i]);
        if ((!row || row->status == ROW_DELETED) &&
            registry_look(f->work->registry, &news[i], &view))
            lose(f, &view);
    }
    registry_drop(f->work->registry, f->gone, f->gone_count, B_KEY_FROM_ROW);
    for (size_t i = 0; i < count; i++) {
        const struct sealed_row *row = key_book_find(f->work->book, &news[i]);
        if (row && row->status != ROW_DELETED)
            gain(f, row, row->status == ROW_ACTIVE ? HOLD_NONE : HOLD_INACTIVE);
    }
}

/* Rows that came with the changes of others; false when there are none. */
static bool take_changes(const struct key_work *work)
{
    size_t count = 0;
    const struct eth_pubkey *news = key_book_news(work->book, &count);
    if (!count)
        return false;
    struct following f = {.work = work};
    CC_CLEANUP(cc_freep) struct eth_pubkey *gone = cc_alloc_array(count, sizeof *gone);
    if (!gone) {
        log_error("what other replicas have changed can't be taken now: out of memory");
        return false;
    }
    f.gone = gone;
    take_news(&f, news, count);
    key_book_news_end(work->book);
    log_notice("another replica has changed the key store", KV_NUM("stopped", f.gone_count),
               KV_NUM("new_or_changed", f.come_count));
    return true;
}

enum {
    LEFT_AT_ONCE = 64
};

/* What the chamber keeps elsewhere now, or has given up, is signed with by others: none of it stays here. */
static void take_all_out(const struct key_work *work)
{
    struct registry_view views[LEFT_AT_ONCE];
    struct eth_pubkey gone[LEFT_AT_ONCE], last;
    size_t total = 0, n;
    bool more = true;
    const struct eth_pubkey *after = NULL;
    while (more && (n = registry_after(work->registry, after, views, LEFT_AT_ONCE, &more)) != 0) {
        struct following f = {.work = work, .gone = gone};
        for (size_t i = 0; i < n; i++)
            lose(&f, &views[i]);
        registry_drop(work->registry, gone, f.gone_count, B_KEY_FROM_ROW);
        total += f.gone_count;
        last = views[n - 1].pubkey;
        after = &last;
    }
    if (total)
        log_error("the keys of the key store that is given up are taken out of use",
                  KV_NUM("keys", total));
}

bool key_work_follow(const struct key_work *work, bool fresh, bool again, uint64_t *ret_failed)
{
    if (!work->book)
        return false;
    const struct key_seen before = *key_book_seen(work->book);
    const bool was_away = key_book_is_away(work->book);
    cc_err followed = key_book_follow(work->book, fresh);
    (void)followed; /* the book has said it, and tries again */
    registry_lack(work->registry, (enum error_code)key_book_lacks(work->book).code);
    if (error_is(key_book_fault(work->book), ERROR_KEYS_MOVED))
        take_all_out(work);
    const bool is_other = !key_seen_equal(&before, key_book_seen(work->book)) ||
                          (was_away && !key_book_is_away(work->book));
    if (!take_changes(work) && !(again && is_other))
        return false;
    *ret_failed = key_work_load(work);
    return true;
}
