#include "keys/report.h"

#include "base/log.h"

/* Of a long path the end tells more than the beginning. */
static void copy_tail(char ret_path[static L_PATH_MAX], const char *path)
{
    size_t len = strlen(path);
    const char *from = len < L_PATH_MAX ? path : path + len - (L_PATH_MAX - 1);
    memcpy(ret_path, from, strlen(from) + 1);
}

static cc_err add(struct report *r, const char *path, const struct l_key *key)
{
    if (r->count == REPORT_BATCH)
        CC_TRY(report_flush(r));
    r->batch[r->count] = *key;
    copy_tail(r->batch[r->count].path, path);
    r->count++;
    return CC_OK;
}

CC_ERR report_found(struct report *r, const char *path, const struct eth_pubkey *pubkey)
{
    struct l_key key = {.state = L_FOUND, .has_pubkey = pubkey != NULL};
    if (pubkey)
        key.pubkey = *pubkey;
    return add(r, path, &key);
}

CC_ERR report_loaded(struct report *r, const char *path, const struct k_result *result)
{
    const struct l_key key = {
        .state = L_LOADED,
        .has_pubkey = 1,
        .existed = result->existed,
        .pubkey = result->pubkey,
        .key = result->key,
    };
    r->loaded++;
    return add(r, path, &key);
}

CC_ERR report_failed(struct report *r,
                     const char *path,
                     cc_err why,
                     const char *detail,
                     const struct eth_pubkey *pubkey)
{
    struct l_key key = {
        .state = L_FAILED, .error = (uint32_t)why.code, .has_pubkey = pubkey != NULL};
    if (pubkey)
        key.pubkey = *pubkey;
    log_warn("key file refused, going on without it", KV_STR("path", path),
             KV_STR("error", error_name(why)), KV_STR("reason", error_text(why)),
             KV_STR("detail", detail));
    r->failed++;
    return add(r, path, &key);
}

void report_duplicate(struct report *r, const char *path, const char *first_path)
{
    if (r->duplicates++ < REPORT_WARNINGS_MAX)
        log_warn("the key is there already, ignoring this file", KV_STR("path", path),
                 KV_STR("first", first_path));
}

void report_open_file(struct report *r, const char *path)
{
    if (r->open_files++ < REPORT_WARNINGS_MAX)
        log_warn("key file can be read or changed by others, loading it all the same",
                 KV_STR("path", path));
}

CC_ERR report_flush(struct report *r)
{
    if (r->count == 0)
        return CC_OK;
    uint32_t count = r->count;
    r->count = 0;
    return door_send(r->fd, r->life, L_KEYS, r->batch, sizeof r->batch[0], count);
}

CC_ERR report_done(struct report *r, bool scanned)
{
    const struct l_done done = {
        .files = r->files,
        .loaded = r->loaded,
        .failed = r->failed,
        .complete = !r->incomplete,
        .scanned = scanned,
    };
    CC_TRY(report_flush(r));
    return door_send(r->fd, r->life, L_DONE, &done, sizeof done, 1);
}
