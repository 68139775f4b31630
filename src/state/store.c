#include "state/store.h"

#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

#include "state/pin.h"

static cc_err
keep_pin(struct state_store *store, const struct state_pin *pin, const char *seen_path)
{
    cc_assert(store && store->ops && !store->opened);
    if (strlen(seen_path) >= sizeof store->seen_path)
        return CC_FAIL(LIMIT, "path too long");
    memcpy(store->seen_path, seen_path, strlen(seen_path) + 1);
    memcpy(store->chamber_id, pin->chamber_id, sizeof store->chamber_id);
    memcpy(store->identity_public, pin->identity_public, sizeof store->identity_public);
    return CC_OK;
}

static cc_err check_seen(struct state_store *store, struct state_fault *fault)
{
    uint64_t seen = 0;
    uint64_t stored = store->image.generation;
    cc_err err = seen_read(store->seen_path, &seen);
    if (err.code) {
        *fault = (struct state_fault){.what = error_detail()};
        return err;
    }
    if (stored < seen) {
        *fault = (struct state_fault){.what = "the whole store was rolled back", .kind = "head"};
        return CC_FAIL(TAMPERED, "the state store is older than what was seen here before");
    }
    return stored > seen ? seen_write(store->seen_path, stored, false) : CC_OK;
}

static const struct state_record *
find_in(const struct state_image *image, const char *kind, const char *name)
{
    for (size_t i = 0; i < image->count; i++) {
        const struct state_record *record = &image->records[i];
        if (state_record_order(record->kind, record->name, kind, name) == 0)
            return record;
    }
    return NULL;
}

CC_ERR state_read_unverified(struct state_store *store,
                             const char *kind,
                             const char *name,
                             struct buf *ret_bytes,
                             bool *ret_empty)
{
    struct state_image image = {0};
    cc_assert(!store->opened);
    cc_err err = store->ops->load(store, &image);
    const struct state_record *record = err.code ? NULL : find_in(&image, kind, name);
    *ret_empty = !err.code && image.generation == 0 && image.count == 0;
    if (record)
        err = buf_append(ret_bytes, record->bytes, record->len);
    else if (!err.code && !*ret_empty)
        err = CC_FAIL(TAMPERED, "the state store has other records, and not this one");
    state_image_release(&image);
    return err;
}

CC_ERR state_open(struct state_store *store,
                  const struct state_pin *pin,
                  const char *seen_path,
                  struct state_fault *ret_fault)
{
    *ret_fault = (struct state_fault){0};
    CC_TRY(keep_pin(store, pin, seen_path));
    CC_TRY(store->ops->load(store, &store->image));
    CC_TRY(state_image_verify(&store->image, store->chamber_id, store->identity_public, ret_fault));
    CC_TRY(check_seen(store, ret_fault));
    store->opened = true;
    return CC_OK;
}

CC_ERR state_open_joined(struct state_store *store,
                         const struct state_pin *pin,
                         const char *seen_path,
                         struct state_fault *ret_fault)
{
    *ret_fault = (struct state_fault){0};
    CC_TRY(keep_pin(store, pin, seen_path));
    CC_TRY(store->ops->load(store, &store->image));
    CC_TRY(state_image_verify(&store->image, store->chamber_id, store->identity_public, ret_fault));
    CC_TRY(seen_write(store->seen_path, store->image.generation, true));
    store->opened = true;
    return CC_OK;
}

CC_ERR state_open_new(struct state_store *store, const struct state_pin *pin, const char *seen_path)
{
    CC_TRY(keep_pin(store, pin, seen_path));
    CC_TRY(store->ops->load(store, &store->image));
    if (store->image.generation || store->image.count)
        return CC_FAIL(EXISTS, "the state store is not empty");
    CC_TRY(seen_write(store->seen_path, 0, true));
    store->opened = true;
    return CC_OK;
}

static cc_err take_newer(struct state_store *store,
                         struct state_image *next,
                         struct state_fault *fault,
                         bool *ret_changed)
{
    struct state_mark known, stored;
    CC_TRY(store->ops->load(store, next));
    state_image_mark(&store->image, &known);
    state_image_mark(next, &stored);
    if (state_mark_equal(&known, &stored))
        return CC_OK;
    CC_TRY(state_image_verify(next, store->chamber_id, store->identity_public, fault));
    if (stored.generation <= known.generation) {
        *fault = (struct state_fault){.what = "the whole store was rolled back", .kind = "head"};
        return CC_FAIL(TAMPERED, "the state store is older than what is known here");
    }
    CC_TRY(seen_write(store->seen_path, stored.generation, false));
    state_image_release(&store->image);
    store->image = *next;
    *next = (struct state_image){0};
    *ret_changed = true;
    return CC_OK;
}

CC_ERR
state_refresh(struct state_store *store, bool *ret_changed, struct state_fault *ret_fault)
{
    struct state_mark known, stored;
    struct state_image next = {0};
    cc_assert(store->opened);
    *ret_changed = false;
    *ret_fault = (struct state_fault){0};
    CC_TRY(store->ops->peek(store, &stored));
    state_image_mark(&store->image, &known);
    if (state_mark_equal(&known, &stored))
        return CC_OK;
    cc_err err = take_newer(store, &next, ret_fault, ret_changed);
    state_image_release(&next);
    return err;
}

const struct state_record *
state_find(const struct state_store *store, const char *kind, const char *name)
{
    cc_assert(store->opened);
    return find_in(&store->image, kind, name);
}

const struct state_record *
state_next(const struct state_store *store, const char *kind, const char *after)
{
    cc_assert(store->opened);
    for (size_t i = 0; i < store->image.count; i++) {
        const struct state_record *record = &store->image.records[i];
        if (strcmp(record->kind, kind) == 0 && (!after || strcmp(record->name, after) > 0))
            return record;
    }
    return NULL;
}

/* --- a change ------------------------------------------------------------------------------------------ */

static bool is_word(const char *text, size_t size, const char *letters)
{
    size_t len = strlen(text);
    return len > 0 && len < size && strspn(text, letters) == len;
}

static cc_err copy_record(struct state_record *to, const struct state_record *from)
{
    *to = *from;
    to->bytes = cc_alloc(from->len ? from->len : 1);
    if (!to->bytes)
        return CC_FAIL(NO_MEMORY, NULL);
    if (from->len)
        memcpy(to->bytes, from->bytes, from->len);
    return CC_OK;
}

static cc_err copy_image(const struct state_image *from, size_t room, struct state_image *to)
{
    to->head = buf_init(STATE_HEAD_MAX);
    to->generation = from->generation + 1;
    to->records = cc_alloc_array(room, sizeof *to->records);
    if (!to->records)
        return CC_FAIL(NO_MEMORY, NULL);
    for (size_t i = 0; i < from->count; i++) {
        cc_err err = copy_record(&to->records[i], &from->records[i]);
        to->count = i + 1;
        CC_TRY(err);
    }
    return CC_OK;
}

/* Where the record is, or where it belongs. */
static size_t
place_of(const struct state_image *image, const struct state_change *change, bool *ret_there)
{
    size_t at = 0;
    int order = -1;
    while (at < image->count) {
        order = state_record_order(image->records[at].kind, image->records[at].name, change->kind,
                                   change->name);
        if (order >= 0)
            break;
        at++;
    }
    *ret_there = at < image->count && order == 0;
    return at;
}

static void take_out(struct state_image *image, size_t at)
{
    cc_free(image->records[at].bytes);
    image->count--;
    memmove(&image->records[at], &image->records[at + 1],
            (image->count - at) * sizeof *image->records);
    image->records[image->count] = (struct state_record){0};
}

static cc_err
put(struct state_image *image, const struct state_change *change, size_t at, bool there)
{
    const uint64_t version = there ? image->records[at].version : 0;
    uint8_t *bytes = cc_alloc(change->bytes.len ? change->bytes.len : 1);
    if (!bytes)
        return CC_FAIL(NO_MEMORY, NULL);
    if (change->bytes.len)
        memcpy(bytes, change->bytes.data, change->bytes.len);
    if (!there) {
        memmove(&image->records[at + 1], &image->records[at],
                (image->count - at) * sizeof *image->records);
        image->records[at] = (struct state_record){0};
        memcpy(image->records[at].kind, change->kind, strlen(change->kind));
        memcpy(image->records[at].name, change->name, strlen(change->name));
        image->count++;
    }
    cc_free(image->records[at].bytes);
    image->records[at].bytes = bytes;
    image->records[at].len = change->bytes.len;
    image->records[at].version = version + 1;
    image->records[at].generation = image->generation;
    return CC_OK;
}

/* The emergency seal, and the note of the owner who asks for it: a store that is full of other records has to take them (T25). */
static bool is_for_emergency(const struct state_change *change)
{
    static const struct {
        const char *kind;
        const char *name;
    } rows[] = {{"seal", "latch"}, {"auth", "owners"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(change->kind, rows[i].kind) == 0 && strcmp(change->name, rows[i].name) == 0)
            return true;
    return false;
}

static bool has_room(const struct state_image *image, const struct state_change *change)
{
    const size_t kept = is_for_emergency(change) ? 0 : STATE_RECORDS_KEPT;
    return image->count < STATE_RECORDS_MAX - kept;
}

static cc_err apply(struct state_image *image, const struct state_change *change)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    static const char name_letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-.";
    bool there = false;
    if (!is_word(change->kind, STATE_KIND_SIZE, letters) ||
        !is_word(change->name, STATE_NAME_SIZE, name_letters))
        return CC_FAIL(LIMIT, "name of a state record");
    size_t at = place_of(image, change, &there);
    if ((there ? image->records[at].version : 0) != change->expected_version)
        return CC_FAIL(CONFLICT, "a state record has changed meanwhile");
    if (change->remove) {
        if (there)
            take_out(image, at);
        return CC_OK;
    }
    if (change->bytes.len > STATE_RECORD_MAX || (!there && !has_room(image, change)))
        return CC_FAIL(LIMIT, "a state record is too large, or there are too many");
    return put(image, change, at, there);
}

static cc_err
sign(struct state_store *store, const struct state_signer *signer, struct state_image *next)
{
    uint8_t digest[SHA256_SIZE];
    struct state_fault fault;
    CC_TRY(state_head_encode(store->chamber_id, next->generation, next->records, next->count,
                             &next->head));
    state_head_digest(buf_span(&next->head), digest);
    CC_TRY(signer->sign(signer->context, digest, next->signature));
    /* A head that does not verify would lock the chamber out of its own store. */
    return state_image_verify(next, store->chamber_id, store->identity_public, &fault);
}

static bool is_gone(const struct state_image *next, const struct state_record *record)
{
    bool there = false;
    const struct state_change same = {.kind = record->kind, .name = record->name};
    (void)place_of(next, &same, &there);
    return !there;
}

static cc_err commit(struct state_store *store,
                     const struct state_change *changes,
                     size_t count,
                     const struct state_signer *signer,
                     struct state_image *next)
{
    CC_CLEANUP(cc_freep) size_t *written = cc_alloc_array(count, sizeof *written);
    CC_CLEANUP(cc_freep)
    const struct state_record **removed = cc_alloc_array(count, sizeof *removed);
    if (!written || !removed)
        return CC_FAIL(NO_MEMORY, NULL);
    CC_TRY(copy_image(&store->image, store->image.count + count, next));
    for (size_t i = 0; i < count; i++)
        CC_TRY(apply(next, &changes[i]));
    CC_TRY(sign(store, signer, next));
    struct state_delta delta = {.written = written, .removed = removed};
    for (size_t i = 0; i < next->count; i++)
        if (next->records[i].generation == next->generation)
            written[delta.written_count++] = i;
    for (size_t i = 0; i < store->image.count; i++)
        if (is_gone(next, &store->image.records[i]))
            removed[delta.removed_count++] = &store->image.records[i];
    struct state_mark known;
    state_image_mark(&store->image, &known);
    CC_TRY(store->ops->swap(store, &known, next, &delta));
    state_image_release(&store->image);
    store->image = *next;
    *next = (struct state_image){0};
    /* After the swap: a crash in between leaves the mark low, which is safe, never too high. */
    return seen_write(store->seen_path, store->image.generation, false);
}

CC_ERR state_commit(struct state_store *store,
                    const struct state_change *changes,
                    size_t count,
                    const struct state_signer *signer)
{
    struct state_image next = {0};
    cc_assert(store->opened && count > 0);
    cc_err err = commit(store, changes, count, signer, &next);
    state_image_release(&next);
    return err;
}

void state_store_close(struct state_store *store)
{
    if (!store)
        return;
    state_image_release(&store->image);
    store->ops->close(store);
}
