#include "core/seal_latch.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "seal/auto_record.h"

static const char kind[] = "seal";
static const char name[] = "latch";

enum {
    TEXT_MAX = 256
};

static cc_err path_of(const char *data_dir, char ret_path[static PATH_MAX])
{
    int n = snprintf(ret_path, PATH_MAX, "%s/seal.latch", data_dir);
    return n > 0 && n < PATH_MAX ? CC_OK : CC_FAIL(LIMIT, "path too long");
}

bool seal_latch_file(const char *data_dir)
{
    char path[PATH_MAX];
    struct stat st;
    return path_of(data_dir, path).code || lstat(path, &st) == 0 || errno != ENOENT;
}

bool seal_latch_record(const struct state_store *state)
{
    return state_find(state, kind, name) != NULL;
}

CC_ERR seal_latch_make_file(const char *data_dir, const char *by, uint64_t wall_ms)
{
    char path[PATH_MAX];
    CC_CLEANUP(buf_release) struct buf text = buf_init(TEXT_MAX);
    CC_TRY(path_of(data_dir, path));
    CC_TRY(buf_printf(&text, "containment-chamber-seal-v1\nat %" PRIu64 "\nby %s\n", wall_ms / 1000,
                      by));
    return file_write_durable(path, buf_span(&text), false);
}

CC_ERR seal_latch_remove_file(const char *data_dir)
{
    char path[PATH_MAX];
    CC_TRY(path_of(data_dir, path));
    return unlink(path) == 0 || errno == ENOENT ? CC_OK
                                                : CC_FAIL(IO, "seal.latch can't be removed");
}

/* Of auto-unseal: what an image may do without operators, or is to be allowed. */
size_t seal_latch_find_images(const struct state_store *state, struct seal_latch_images *ret_images)
{
    const struct state_record *r = NULL;
    size_t n = 0;
    while (n < SEAL_LATCH_IMAGES_MAX &&
           (r = state_next(state, AUTO_RECORD_KIND, r ? r->name : NULL)) != NULL) {
        memcpy(ret_images->names[n], r->name, STATE_NAME_SIZE);
        ret_images->changes[n] = (struct state_change){.kind = AUTO_RECORD_KIND,
                                                       .name = ret_images->names[n],
                                                       .expected_version = r->version,
                                                       .remove = true};
        n++;
    }
    return n;
}

/* `by` is a principal's name: [a-z0-9._:-]. With the latch all goes by which the chamber could open without operators (T25). */
CC_ERR seal_latch_make_record(struct state_store *state,
                              const struct state_signer *signer,
                              const char *by,
                              uint64_t wall_ms)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(TEXT_MAX);
    if (seal_latch_record(state))
        return CC_OK;
    CC_TRY(buf_printf(&text, "{\"at\":%" PRIu64 ",\"by\":\"%s\"}", wall_ms / 1000, by));
    struct seal_latch_images images;
    const size_t n = seal_latch_find_images(state, &images);
    images.changes[n] = (struct state_change){.kind = kind, .name = name, .bytes = buf_span(&text)};
    return state_commit(state, images.changes, n + 1, signer);
}

CC_ERR seal_latch_remove_record(struct state_store *state, const struct state_signer *signer)
{
    const struct state_record *there = state_find(state, kind, name);
    if (!there)
        return CC_OK;
    const struct state_change change = {
        .kind = kind, .name = name, .expected_version = there->version, .remove = true};
    return state_commit(state, &change, 1, signer);
}
