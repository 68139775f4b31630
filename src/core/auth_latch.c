#include "core/auth_latch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"

enum {
    COMMIT_TRIES = 8 /* while other replicas commit */
};

static const char content[] = "{\"enforced\":true}\n";

enum auth_mode auth_mode_asked(const struct auth_config *auth)
{
    return auth->mode == AUTH_OPEN && auth->policies.count ? AUTH_ENFORCE : auth->mode;
}

static cc_err file_path(const char *data_dir, char ret_path[static PATH_MAX])
{
    int n = snprintf(ret_path, PATH_MAX, "%s/auth.enforced", data_dir);
    return n > 0 && n < PATH_MAX ? CC_OK : CC_FAIL(LIMIT, "path too long");
}

bool auth_latch_file(const char *data_dir)
{
    char path[PATH_MAX];
    struct stat st;
    return file_path(data_dir, path).code || lstat(path, &st) == 0 || errno != ENOENT;
}

static const struct state_record *find(const struct state_store *state)
{
    return state_find(state, AUTH_LATCH_KIND, AUTH_LATCH_NAME);
}

bool auth_latch_record(const struct state_store *state)
{
    const struct state_record *record = find(state);
    return record && record->len;
}

static cc_err make_file(const char *data_dir)
{
    char path[PATH_MAX];
    CC_TRY(file_path(data_dir, path));
    return auth_latch_file(data_dir)
               ? CC_OK
               : file_write_durable(path, span_of(content, sizeof content - 1), false);
}

static cc_err make_record(struct state_store *state, const struct state_signer *signer)
{
    cc_err err = CC_OK;
    for (unsigned i = 0; i < COMMIT_TRIES && !auth_latch_record(state); i++) {
        struct state_fault fault;
        bool changed;
        const struct state_record *old = find(state);
        const struct state_change change = {.kind = AUTH_LATCH_KIND,
                                            .name = AUTH_LATCH_NAME,
                                            .expected_version = old ? old->version : 0,
                                            .bytes = span_of(content, sizeof content - 1)};
        err = state_commit(state, &change, 1, signer);
        if (!error_is(err, ERROR_CONFLICT))
            return err;
        CC_TRY(state_refresh(state, &changed, &fault));
    }
    return auth_latch_record(state) ? CC_OK : err;
}

static void say(const struct auth_config *auth, bool latched)
{
    if (auth->mode == AUTH_OPEN && auth->policies.count)
        log_notice("auth_policies closes the API: the mode is enforce",
                   KV_STR("hint", "auth.mode report lets pass and counts"));
    else if (auth_mode_asked(auth) != AUTH_ENFORCE && latched)
        log_warn(
            "auth.mode is enforce whatever the configuration says: it was once, and that is kept",
            KV_STR(
                "hint",
                "`containment-chamber auth unlatch -c FILE`, as the owner of the data directory"));
}

CC_ERR auth_latch_settle(const struct config *config,
                         struct state_store *state,
                         const struct state_signer *signer)
{
    bool latched = auth_latch_record(state) || auth_latch_file(config->data_dir);
    say(&config->auth, latched);
    if (auth_mode_asked(&config->auth) != AUTH_ENFORCE && !latched)
        return CC_OK;
    cc_err err = make_file(config->data_dir);
    if (!err.code)
        err = make_record(state, signer);
    if (err.code)
        log_error("the latch of auth.mode enforce can't be made", KV_ERR(err));
    return err;
}

CC_ERR auth_latch_remove(const char *data_dir)
{
    char path[PATH_MAX];
    CC_TRY(file_path(data_dir, path));
    return unlink(path) == 0 || errno == ENOENT ? CC_OK : CC_FAIL(IO, "auth.enforced");
}
