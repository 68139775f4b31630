#include "slash/mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"

#include "crypto/random.h"

enum {
    WINDOW = 1 << 18,     /* of a file that is read from its beginning */
    FRAME_FULL = 1 << 14, /* a key's older record costs a frame to prove */
    ITEM_BITS =
        16 /* of a pointer: where in its frame an item stands; the rest is where the frame is */
};

struct mirror {
    struct mirror_settings settings;
    char path[PATH_MAX]; /* another than the settings' while it is a successor */
    struct mirror_header header;
    uint8_t file_key[MIRROR_KEY_SIZE];
    int fd;
    bool stale;
    struct slash_index index; /* newest_tail points to the key's newest record */
    uint64_t end;             /* where the next frame will stand */
    uint64_t sequence;        /* of the last frame */
    uint64_t synced;          /* of the last frame that is known to be on the disk */
    uint64_t position;        /* of the last frame */
    uint64_t next_position;   /* of the frame that is being made */
    uint8_t last_mac[MIRROR_MAC_SIZE];
    struct buf frame; /* being made; empty: none */
    struct buf held;  /* the frame that was read last by its pointer */
    uint64_t held_at; /* 0: none */
};

/* --- the file ------------------------------------------------------------------------------------------------------- */

static cc_err stale(struct mirror *m, cc_err err)
{
    m->stale = m->stale || err.code;
    return err;
}

static cc_err read_at(int fd, uint64_t at, void *into, size_t room, size_t *ret_len)
{
    *ret_len = 0;
    while (*ret_len < room) {
        ssize_t n = pread(fd, (uint8_t *)into + *ret_len, room - *ret_len, (off_t)(at + *ret_len));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return CC_FAIL(IO, "reading the mirror");
        if (n == 0)
            break;
        *ret_len += (size_t)n;
    }
    return CC_OK;
}

static cc_err write_at(int fd, uint64_t at, struct span bytes)
{
    while (bytes.len) {
        ssize_t n = pwrite(fd, bytes.data, bytes.len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return CC_FAIL(IO, "writing the mirror");
        at += (uint64_t)n;
        bytes = span_of(bytes.data + n, bytes.len - (size_t)n);
    }
    return CC_OK;
}

static cc_err sync_directory_of(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    (void)snprintf(directory, sizeof directory, "%.*s", slash ? (int)(slash - path) : 1,
                   slash ? path : ".");
    CC_CLEANUP(fd_closep)
    int fd = open(directory[0] ? directory : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? CC_OK : CC_FAIL(IO, "fsync of the mirror's directory");
}

static cc_err make(const struct mirror_settings *settings, const char *suffix, struct mirror **ret)
{
    struct mirror *m = cc_alloc(sizeof *m);
    if (!m)
        return CC_FAIL(NO_MEMORY, "mirror");
    m->settings = *settings;
    m->fd = -1;
    m->frame = buf_init(MIRROR_FRAME_MAX);
    m->held = buf_init(MIRROR_FRAME_MAX);
    slash_index_init(&m->index);
    *ret = m;
    int n = snprintf(m->path, sizeof m->path, "%s%s", settings->path, suffix);
    return n > 0 && n < PATH_MAX ? CC_OK : CC_FAIL(LIMIT, "path too long");
}

void mirror_close(struct mirror *m)
{
    if (!m)
        return;
    fd_closep(&m->fd);
    slash_index_release(&m->index);
    buf_release(&m->frame);
    buf_release(&m->held);
    explicit_bzero(m, sizeof *m);
    cc_free(m);
}

static void closep(struct mirror **m)
{
    mirror_close(*m);
}

bool mirror_is_stale(const struct mirror *m)
{
    return m->stale;
}

const struct slash_index *mirror_index(const struct mirror *m)
{
    return &m->index;
}

uint64_t mirror_position(const struct mirror *m)
{
    return m->position;
}

uint64_t mirror_size(const struct mirror *m)
{
    return m->end;
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

static cc_err write_header(struct mirror *m)
{
    uint8_t bytes[MIRROR_HEADER_SIZE];
    memcpy(m->header.history_id, m->settings.identity->history_id, sizeof m->header.history_id);
    memcpy(m->header.chamber_id, m->settings.identity->chamber_id, sizeof m->header.chamber_id);
    memcpy(m->header.replica, m->settings.replica, sizeof m->header.replica);
    CC_TRY(random_bytes(m->header.salt, sizeof m->header.salt));
    mirror_header_write(&m->header, m->settings.key, bytes, m->file_key);
    CC_TRY(write_at(m->fd, 0, span_of(bytes, sizeof bytes)));
    m->end = sizeof bytes;
    m->settings.replica = m->header.replica;
    return CC_OK;
}

static cc_err create(const struct mirror_settings *settings, struct mirror **ret_mirror)
{
    CC_CLEANUP(closep) struct mirror *m = NULL;
    CC_TRY(make(settings, ".new", &m));
    (void)unlink(m->path);
    m->fd = open(m->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (m->fd < 0)
        return CC_FAIL(IO, "the mirror can't be made");
    CC_TRY(write_header(m));
    *ret_mirror = m;
    m = NULL;
    return CC_OK;
}

static cc_err take_place(struct mirror *m)
{
    if (fsync(m->fd) != 0)
        return CC_FAIL(IO, "fsync of the mirror");
    if (rename(m->path, m->settings.path) != 0)
        return CC_FAIL(IO, "the mirror can't be put in its place");
    (void)snprintf(m->path, sizeof m->path, "%s", m->settings.path);
    m->synced = m->sequence;
    return sync_directory_of(m->path);
}

CC_ERR mirror_create(const struct mirror_settings *settings, struct mirror **ret_mirror)
{
    CC_CLEANUP(closep) struct mirror *m = NULL;
    CC_TRY(create(settings, &m));
    CC_TRY(take_place(m));
    *ret_mirror = m;
    m = NULL;
    return CC_OK;
}

void mirror_set_position(struct mirror *m, uint64_t position)
{
    m->next_position = position;
}

/* A frame that got no items is none. */
CC_ERR mirror_flush(struct mirror *m)
{
    if (m->frame.len <= MIRROR_FRAME_HEAD)
        return CC_OK;
    struct mirror_frame head = {.sequence = m->sequence + 1,
                                .offset = m->end,
                                .synced = m->synced,
                                .position = m->next_position};
    uint8_t mac[MIRROR_MAC_SIZE];
    memcpy(head.previous, m->last_mac, sizeof head.previous);
    mirror_frame_end(&m->frame, &head, m->file_key, mac);
    CC_TRY(stale(m, buf_append(&m->frame, mac, sizeof mac)));
    CC_TRY(stale(m, write_at(m->fd, m->end, buf_span(&m->frame))));
    memcpy(m->last_mac, mac, sizeof mac);
    m->end += m->frame.len;
    m->sequence = head.sequence;
    m->position = head.position;
    m->frame.len = 0;
    return CC_OK;
}

static cc_err add(struct mirror *m, const struct mirror_item *item, uint64_t *ret_pointer)
{
    if (m->frame.len > FRAME_FULL)
        CC_TRY(mirror_flush(m));
    if (m->frame.len == 0)
        CC_TRY(stale(m, mirror_frame_begin(&m->frame)));
    *ret_pointer = m->end << ITEM_BITS | m->frame.len;
    return stale(m, mirror_item_add(&m->frame, item));
}

static uint32_t number_of(const struct slash_key *key)
{
    return (uint32_t)(key->row - 1);
}

static cc_err new_key(struct mirror *m, const struct eth_pubkey *pubkey, struct slash_key **ret_key)
{
    return slash_index_add(&m->index, pubkey, (int64_t)m->index.count + 1, ret_key);
}

CC_ERR mirror_add_key(struct mirror *m, const struct eth_pubkey *pubkey, struct slash_key **ret_key)
{
    const struct mirror_item item = {.kind = MIRROR_KEY, .pubkey = *pubkey};
    uint64_t ignored = 0;
    *ret_key = slash_index_find(&m->index, pubkey);
    if (*ret_key)
        return CC_OK;
    CC_TRY(stale(m, new_key(m, pubkey, ret_key)));
    return add(m, &item, &ignored);
}

CC_ERR mirror_add_block(struct mirror *m, struct slash_key *key, const struct slash_block *block)
{
    const struct mirror_item item = {
        .kind = MIRROR_BLOCK, .key = number_of(key), .back = key->newest_tail, .block = *block};
    cc_assert(block->has_root);
    CC_TRY(add(m, &item, &key->newest_tail));
    slash_key_saw_block(key, block);
    return CC_OK;
}

CC_ERR
mirror_add_vote(struct mirror *m, struct slash_key *key, const struct slash_attestation *vote)
{
    const struct mirror_item item = {
        .kind = MIRROR_VOTE, .key = number_of(key), .back = key->newest_tail, .vote = *vote};
    cc_assert(vote->has_root);
    CC_TRY(add(m, &item, &key->newest_tail));
    slash_key_saw_attestation(key, vote);
    return CC_OK;
}

CC_ERR mirror_raise(struct mirror *m, struct slash_key *key, const struct slash_watermark *low)
{
    struct mirror_item item = {.kind = MIRROR_LOW, .key = number_of(key), .low = key->low};
    uint64_t ignored = 0;
    if (!slash_watermark_raise(&item.low, low))
        return CC_OK;
    key->low = item.low;
    return add(m, &item, &ignored);
}

CC_ERR mirror_sync(struct mirror *m)
{
    if (m->synced == m->sequence)
        return CC_OK;
    if (fdatasync(m->fd) != 0)
        return stale(m, CC_FAIL(IO, "fsync of the mirror"));
    m->synced = m->sequence;
    return CC_OK;
}

/* --- reading from the beginning ------------------------------------------------------------------------------------- */

struct scan {
    int fd;
    struct buf window;
    uint64_t window_at;
    bool to_the_end; /* nothing comes behind the window */
};

static void scan_release(struct scan *scan)
{
    buf_release(&scan->window);
}

/* What stands at `at`, never before the last: a frame's length of it at least, unless the file ends before. */
static cc_err look(struct scan *scan, uint64_t at, struct span *ret_bytes)
{
    uint64_t have = scan->window_at + scan->window.len;
    if (at > have || (at + MIRROR_FRAME_MAX > have && !scan->to_the_end)) {
        uint8_t *into = NULL;
        scan->window.len = 0;
        CC_TRY(buf_grow(&scan->window, WINDOW, &into));
        scan->window_at = at;
        CC_TRY(read_at(scan->fd, at, into, WINDOW, &scan->window.len));
        scan->to_the_end = scan->window.len < WINDOW;
        have = at + scan->window.len;
    }
    *ret_bytes = span_of(scan->window.data + (at - scan->window_at), (size_t)(have - at));
    return CC_OK;
}

static cc_err load_record(struct mirror *m, const struct mirror_item *item, uint64_t pointer)
{
    if (item->key >= m->index.count)
        return CC_FAIL(TAMPERED, "a record of the mirror has no key");
    struct slash_key *key = &m->index.keys[item->key];
    if (item->kind == MIRROR_LOW) {
        (void)slash_watermark_raise(&key->low, &item->low);
        return CC_OK;
    }
    if (item->back != key->newest_tail)
        return CC_FAIL(TAMPERED, "a record of the mirror has lost the one before it");
    key->newest_tail = pointer;
    if (item->kind == MIRROR_BLOCK)
        slash_key_saw_block(key, &item->block);
    else
        slash_key_saw_attestation(key, &item->vote);
    return CC_OK;
}

static cc_err load_items(struct mirror *m, const struct mirror_frame *frame)
{
    struct span items = frame->items;
    while (items.len) {
        struct mirror_item item;
        struct slash_key *key = NULL;
        uint64_t pointer = m->end << ITEM_BITS | (MIRROR_FRAME_HEAD + frame->items.len - items.len);
        CC_TRY(mirror_item_take(&items, &item));
        if (item.kind == MIRROR_KEY)
            CC_TRY(new_key(m, &item.pubkey, &key));
        else
            CC_TRY(load_record(m, &item, pointer));
    }
    return CC_OK;
}

static cc_err check_order(const struct mirror *m, const struct mirror_frame *frame)
{
    bool right = frame->sequence == m->sequence + 1 && frame->offset == m->end &&
                 frame->synced < frame->sequence &&
                 memcmp(frame->previous, m->last_mac, sizeof m->last_mac) == 0;
    return right ? CC_OK : CC_FAIL(TAMPERED, "a frame of the mirror stands where another stood");
}

/* One frame at the end of what is known; *ret_torn when there is none. */
static cc_err load_frame(struct mirror *m, struct span bytes, bool *ret_torn)
{
    struct mirror_frame frame;
    size_t size = 0;
    *ret_torn =
        mirror_frame_read(bytes, m->file_key, &frame, &size).code || check_order(m, &frame).code;
    if (*ret_torn)
        return CC_OK;
    CC_TRY(load_items(m, &frame));
    memcpy(m->last_mac, frame.mac, sizeof m->last_mac);
    m->end += size;
    m->sequence = frame.sequence;
    m->position = frame.position;
    return CC_OK;
}

/* Something that is no frame stands where the next one should. A power cut leaves that, and then nothing behind it was
 * known to be on the disk. A later frame that knew this one to be there tells that it was changed.
 */
static cc_err check_torn(struct mirror *m, struct scan *scan, uint64_t size)
{
    for (uint64_t at = m->end + 1; at + MIRROR_FRAME_MIN <= size; at++) {
        struct mirror_frame frame;
        struct span bytes;
        size_t length = 0;
        CC_TRY(look(scan, at, &bytes));
        bool candidate =
            !mirror_frame_read(bytes, NULL, &frame, &length).code && frame.offset == at;
        if (!candidate || mirror_frame_read(bytes, m->file_key, &frame, &length).code)
            continue;
        if (frame.synced > m->sequence)
            return CC_FAIL(TAMPERED, "a frame in the middle of the mirror was changed");
    }
    return CC_OK;
}

static cc_err cut(struct mirror *m, uint64_t size)
{
    log_warn("the end of the history's mirror is torn, as a power cut leaves it: cut off",
             KV_STR("path", m->path), KV_NUM("bytes", size - m->end));
    if (ftruncate(m->fd, (off_t)m->end) != 0 || fsync(m->fd) != 0)
        return CC_FAIL(IO, "the mirror's torn end can't be cut off");
    return CC_OK;
}

static cc_err load_frames(struct mirror *m)
{
    CC_CLEANUP(scan_release) struct scan scan = {.fd = m->fd, .window = buf_init(WINDOW)};
    struct stat st;
    if (fstat(m->fd, &st) != 0 || !S_ISREG(st.st_mode))
        return CC_FAIL(IO, "the mirror is no file");
    uint64_t size = (uint64_t)st.st_size;
    for (bool torn = false; m->end < size && !torn;) {
        struct span bytes;
        CC_TRY(look(&scan, m->end, &bytes));
        CC_TRY(load_frame(m, bytes, &torn));
        if (!torn)
            continue;
        CC_TRY(check_torn(m, &scan, size));
        CC_TRY(cut(m, size));
    }
    m->next_position = m->position;
    /* What a killed process left unsynced is in the cache alone. */
    return mirror_sync(m);
}

static cc_err load(struct mirror *m)
{
    uint8_t bytes[MIRROR_HEADER_SIZE];
    size_t len = 0;
    CC_TRY(read_at(m->fd, 0, bytes, sizeof bytes, &len));
    if (len != sizeof bytes)
        return CC_FAIL(TAMPERED, "the mirror has no header");
    CC_TRY(mirror_header_read(bytes, m->settings.key, &m->header, m->file_key));
    const struct slash_identity *id = m->settings.identity;
    if (memcmp(m->header.history_id, id->history_id, sizeof id->history_id) != 0 ||
        memcmp(m->header.chamber_id, id->chamber_id, sizeof id->chamber_id) != 0)
        return CC_FAIL(TAMPERED, "the mirror is of another history");
    m->end = sizeof bytes;
    return load_frames(m);
}

CC_ERR mirror_open(const struct mirror_settings *settings, struct mirror **ret_mirror)
{
    CC_CLEANUP(closep) struct mirror *m = NULL;
    *ret_mirror = NULL;
    CC_TRY(make(settings, "", &m));
    m->fd = open(m->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (m->fd < 0)
        return errno == ENOENT ? CC_OK : CC_FAIL(IO, "the mirror can't be opened");
    CC_TRY(load(m));
    m->settings.replica = m->header.replica;
    *ret_mirror = m;
    m = NULL;
    return CC_OK;
}

/* --- reading a key -------------------------------------------------------------------------------------------------- */

void mirror_records_release(struct mirror_records *r)
{
    cc_free(r->blocks);
    cc_free(r->votes);
    *r = (struct mirror_records){0};
}

static cc_err collect(struct mirror_records *r, const struct mirror_item *item)
{
    if (item->kind == MIRROR_BLOCK) {
        struct slash_block *blocks =
            cc_grow_array(r->blocks, r->block_count, &r->block_room, sizeof *blocks);
        if (!blocks)
            return CC_FAIL(NO_MEMORY, "the mirror's records");
        r->blocks = blocks;
        blocks[r->block_count++] = item->block;
        return CC_OK;
    }
    struct slash_attestation *votes =
        cc_grow_array(r->votes, r->vote_count, &r->vote_room, sizeof *votes);
    if (!votes)
        return CC_FAIL(NO_MEMORY, "the mirror's records");
    r->votes = votes;
    votes[r->vote_count++] = item->vote;
    return CC_OK;
}

/* The whole frame, its MAC looked at; the next record of a key often stands in the same. */
static cc_err hold(struct mirror *m, uint64_t at)
{
    uint8_t *into = NULL;
    struct mirror_frame frame;
    size_t size = 0;
    if (m->held_at == at)
        return CC_OK;
    m->held_at = 0;
    m->held.len = 0;
    CC_TRY(buf_grow(&m->held, MIRROR_FRAME_MAX, &into));
    CC_TRY(read_at(m->fd, at, into, MIRROR_FRAME_MAX, &m->held.len));
    CC_TRY(mirror_frame_read(buf_span(&m->held), m->file_key, &frame, &size));
    if (frame.offset != at)
        return CC_FAIL(TAMPERED, "a frame of the mirror stands where another stood");
    m->held.len = size;
    m->held_at = at;
    return CC_OK;
}

static cc_err
read_item(struct mirror *m, uint64_t pointer, bool proven, struct mirror_item *ret_item)
{
    uint64_t at = pointer >> ITEM_BITS;
    size_t within = pointer & ((1u << ITEM_BITS) - 1), len = 0;
    uint8_t bytes[MIRROR_ITEM_MAX];
    struct span items = span_of(bytes, 0);
    if (at == m->end) {
        items = buf_span(&m->frame);
    } else if (proven) {
        CC_TRY(hold(m, at));
        items = buf_span(&m->held);
    } else {
        CC_TRY(read_at(m->fd, at + within, bytes, sizeof bytes, &len));
        items.len = len;
        within = 0;
    }
    if (within > items.len)
        return CC_FAIL(TAMPERED, "a record of the mirror is gone");
    items = span_of(items.data + within, items.len - within);
    return mirror_item_take(&items, ret_item);
}

CC_ERR mirror_read(struct mirror *m,
                   const struct slash_key *key,
                   bool proven,
                   struct mirror_records *ret_records)
{
    ret_records->block_count = ret_records->vote_count = 0;
    for (uint64_t pointer = key->newest_tail; pointer;) {
        struct mirror_item item;
        CC_TRY(stale(m, read_item(m, pointer, proven, &item)));
        bool mine = (item.kind == MIRROR_BLOCK || item.kind == MIRROR_VOTE) &&
                    item.key == number_of(key) && item.back < pointer;
        if (!mine)
            return stale(m, CC_FAIL(TAMPERED, "a record of the mirror is another's"));
        CC_TRY(collect(ret_records, &item));
        pointer = item.back;
    }
    return CC_OK;
}

/* --- walking through what is there ---------------------------------------------------------------------------------- */

typedef cc_err
item_fn(void *context, const struct mirror_frame *frame, const struct mirror_item *item);

/* Every item of the frames from *from on, as many as `limit` bytes hold; *from moves behind them. Frames are proven. */
static cc_err walk(struct mirror *m, uint64_t *from, uint64_t limit, item_fn *found, void *context)
{
    CC_CLEANUP(scan_release) struct scan scan = {.fd = m->fd, .window = buf_init(WINDOW)};
    uint64_t until = limit < m->end - *from ? *from + limit : m->end;
    while (*from < until) {
        struct mirror_frame frame;
        struct span bytes;
        size_t size = 0;
        CC_TRY(look(&scan, *from, &bytes));
        CC_TRY(mirror_frame_read(bytes, m->file_key, &frame, &size));
        for (struct span items = frame.items; items.len;) {
            struct mirror_item item;
            CC_TRY(mirror_item_take(&items, &item));
            CC_TRY(found(context, &frame, &item));
        }
        *from += size;
    }
    return CC_OK;
}

struct after {
    struct mirror *mirror;
    uint64_t position;
    mirror_visit_fn *visit;
    void *context;
};

static cc_err
visit_after(void *context, const struct mirror_frame *frame, const struct mirror_item *item)
{
    struct after *a = context;
    bool record = item->kind == MIRROR_BLOCK || item->kind == MIRROR_VOTE;
    if (!record || frame->position <= a->position)
        return CC_OK;
    return a->visit(a->context, &a->mirror->index.keys[item->key]);
}

CC_ERR
mirror_visit_after(struct mirror *m, uint64_t position, mirror_visit_fn *visit, void *context)
{
    struct after a = {m, position, visit, context};
    uint64_t from = MIRROR_HEADER_SIZE;
    return walk(m, &from, UINT64_MAX, visit_after, &a);
}

/* --- without a key -------------------------------------------------------------------------------------------------- */

CC_ERR
mirror_peek_replica(const char *path, bool *ret_found, uint8_t ret_id[static SLASH_REPLICA_SIZE])
{
    uint8_t bytes[MIRROR_HEADER_SIZE];
    struct mirror_header header;
    size_t len = 0;
    *ret_found = false;
    CC_CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? CC_OK : CC_FAIL(IO, "the mirror can't be opened");
    CC_TRY(read_at(fd, 0, bytes, sizeof bytes, &len));
    if (len != sizeof bytes)
        return CC_FAIL(TAMPERED, "the mirror has no header");
    CC_TRY(mirror_header_peek(bytes, &header));
    memcpy(ret_id, header.replica, SLASH_REPLICA_SIZE);
    *ret_found = true;
    return CC_OK;
}

static cc_err peek_items(struct span items, mirror_key_fn *found, void *context)
{
    while (items.len) {
        struct mirror_item item;
        if (mirror_item_take(&items, &item).code)
            return CC_OK;
        if (item.kind == MIRROR_KEY)
            CC_TRY(found(context, &item.pubkey));
    }
    return CC_OK;
}

CC_ERR mirror_peek_keys(const char *path, mirror_key_fn *found, void *context)
{
    CC_CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? CC_OK : CC_FAIL(IO, "the mirror can't be opened");
    CC_CLEANUP(scan_release) struct scan scan = {.fd = fd, .window = buf_init(WINDOW)};
    for (uint64_t at = MIRROR_HEADER_SIZE;;) {
        struct mirror_frame frame;
        struct span bytes;
        size_t size = 0;
        CC_TRY(look(&scan, at, &bytes));
        if (mirror_frame_read(bytes, NULL, &frame, &size).code || frame.offset != at)
            return CC_OK;
        CC_TRY(peek_items(frame.items, found, context));
        at += size;
    }
}

/* --- successors ----------------------------------------------------------------------------------------------------- */

CC_ERR mirror_begin_successor(struct mirror *m, struct mirror **ret_next, uint64_t *ret_from)
{
    CC_TRY(mirror_flush(m));
    CC_TRY(create(&m->settings, ret_next));
    *ret_from = m->end;
    return CC_OK;
}

struct following {
    struct mirror *next;
    const struct mirror *mirror;
};

static cc_err
follow_item(void *context, const struct mirror_frame *frame, const struct mirror_item *item)
{
    struct following *f = context;
    struct slash_key *key = NULL;
    if (f->next->next_position != frame->position) {
        CC_TRY(mirror_flush(f->next));
        mirror_set_position(f->next, frame->position);
    }
    CC_TRY(mirror_add_key(
        f->next,
        item->kind == MIRROR_KEY ? &item->pubkey : &f->mirror->index.keys[item->key].pubkey, &key));
    if (item->kind == MIRROR_BLOCK)
        return mirror_add_block(f->next, key, &item->block);
    if (item->kind == MIRROR_VOTE)
        return mirror_add_vote(f->next, key, &item->vote);
    return item->kind == MIRROR_LOW ? mirror_raise(f->next, key, &item->low) : CC_OK;
}

CC_ERR mirror_follow(
    struct mirror *next, struct mirror *mirror, uint64_t *from, size_t limit, bool *ret_level)
{
    struct following f = {next, mirror};
    CC_TRY(walk(mirror, from, limit, follow_item, &f));
    CC_TRY(mirror_flush(next));
    *ret_level = *from == mirror->end;
    return CC_OK;
}

CC_ERR mirror_succeed(struct mirror **mirror, struct mirror *next)
{
    CC_TRY(take_place(next));
    mirror_close(*mirror);
    *mirror = next;
    return CC_OK;
}

void mirror_abandon(struct mirror *next)
{
    if (!next)
        return;
    (void)unlink(next->path);
    mirror_close(next);
}
