#include "state/head.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

/* title ++ chamber id[32] ++ generation u64 ++ count u32 ++ entries; integers big-endian.
 * entry: kind[16] ++ name[64] (zero-padded) ++ version u64 ++ generation u64 ++ SHA-256 of the bytes[32]
 */
static const char title[16] = "cc-state-head-1";
enum {
    PREFIX = sizeof title + 32 + 8 + 4,
    ENTRY = STATE_KIND_SIZE + STATE_NAME_SIZE + 8 + 8 + SHA256_SIZE
};

_Static_assert(PREFIX + (size_t)STATE_RECORDS_MAX * ENTRY <= STATE_HEAD_MAX, "a full head fits");

int state_record_order(const char *kind_a,
                       const char *name_a,
                       const char *kind_b,
                       const char *name_b)
{
    int by_kind = strcmp(kind_a, kind_b);
    int order = by_kind ? by_kind : strcmp(name_a, name_b);
    return (order > 0) - (order < 0);
}

static void encode_entry(const struct state_record *record, uint8_t out[static ENTRY])
{
    memset(out, 0, ENTRY);
    memcpy(out, record->kind, strnlen(record->kind, STATE_KIND_SIZE - 1));
    out += STATE_KIND_SIZE;
    memcpy(out, record->name, strnlen(record->name, STATE_NAME_SIZE - 1));
    out += STATE_NAME_SIZE;
    u64_store_be(out, record->version);
    u64_store_be(out + 8, record->generation);
    sha256(span_of(record->bytes, record->len), out + 16);
}

CC_ERR state_head_encode(const uint8_t chamber_id[static 32],
                         uint64_t generation,
                         const struct state_record *records,
                         size_t count,
                         struct buf *ret_head)
{
    uint8_t *at = NULL;
    if (count > STATE_RECORDS_MAX)
        return CC_FAIL(LIMIT, "too many state records");
    CC_TRY(buf_grow(ret_head, PREFIX + count * ENTRY, &at));
    memcpy(at, title, sizeof title);
    memcpy(at + sizeof title, chamber_id, 32);
    u64_store_be(at + sizeof title + 32, generation);
    u32_store_be(at + sizeof title + 40, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        encode_entry(&records[i], at + PREFIX + i * ENTRY);
    return CC_OK;
}

void state_head_digest(struct span head, uint8_t ret_digest[static SHA256_SIZE])
{
    sha256(head, ret_digest);
}

/* --- verification ------------------------------------------------------------------------------------ */

static cc_err blame(struct state_fault *fault, const char *what, const char *kind, const char *name)
{
    fault->what = what;
    (void)snprintf(fault->kind, sizeof fault->kind, "%s", kind);
    (void)snprintf(fault->name, sizeof fault->name, "%s", name);
    return CC_FAIL(TAMPERED, what);
}

struct entry {
    char kind[STATE_KIND_SIZE];
    char name[STATE_NAME_SIZE];
    uint64_t version;
    uint64_t generation;
    uint8_t hash[SHA256_SIZE];
};

/* The signature has been checked: the bytes are as state_head_encode() made them. */
static void decode_entry(const uint8_t *in, struct entry *ret_entry)
{
    memcpy(ret_entry->kind, in, STATE_KIND_SIZE);
    memcpy(ret_entry->name, in + STATE_KIND_SIZE, STATE_NAME_SIZE);
    ret_entry->kind[STATE_KIND_SIZE - 1] = 0;
    ret_entry->name[STATE_NAME_SIZE - 1] = 0;
    in += STATE_KIND_SIZE + STATE_NAME_SIZE;
    ret_entry->version = u64_load_be(in);
    ret_entry->generation = u64_load_be(in + 8);
    memcpy(ret_entry->hash, in + 16, SHA256_SIZE);
}

static cc_err check_record(const struct state_record *record,
                           const struct entry *entry,
                           struct state_fault *fault)
{
    uint8_t hash[SHA256_SIZE];
    if (record->version < entry->version)
        return blame(fault, "a record was rolled back", record->kind, record->name);
    if (record->version != entry->version || record->generation != entry->generation)
        return blame(fault, "a record is newer than its head", record->kind, record->name);
    sha256(span_of(record->bytes, record->len), hash);
    if (!span_equal(span_of(hash, sizeof hash), span_of(entry->hash, sizeof entry->hash)))
        return blame(fault, "a record was changed", record->kind, record->name);
    return CC_OK;
}

/* Both lists are in the same order, so the first that is not on the other is missing or extra. */
static cc_err
check_records(const struct state_image *image, size_t listed, struct state_fault *fault)
{
    size_t at = 0;
    for (size_t i = 0; i < listed; i++) {
        struct entry entry;
        decode_entry(image->head.data + PREFIX + i * ENTRY, &entry);
        const struct state_record *record = at < image->count ? &image->records[at] : NULL;
        int order =
            record ? state_record_order(record->kind, record->name, entry.kind, entry.name) : 1;
        if (order > 0)
            return blame(fault, "a record is missing", entry.kind, entry.name);
        if (order < 0)
            return blame(fault, "a record is in no head", record->kind, record->name);
        CC_TRY(check_record(record, &entry, fault));
        at++;
    }
    if (at < image->count)
        return blame(fault, "a record is in no head", image->records[at].kind,
                     image->records[at].name);
    return CC_OK;
}

static cc_err check_signature(const struct state_image *image,
                              const uint8_t identity_public[static ED25519_PUBLIC_SIZE],
                              struct state_fault *fault)
{
    static const char domain[] = "containment-chamber/state-head/v1"; /* with its zero */
    uint8_t message[sizeof domain + SHA256_SIZE];
    memcpy(message, domain, sizeof domain);
    state_head_digest(buf_span(&image->head), message + sizeof domain);
    if (ed25519_verify(identity_public, span_of(message, sizeof message), image->signature).code)
        return blame(fault, "the head is not signed by this chamber's identity", "head", "");
    return CC_OK;
}

CC_ERR state_image_verify(const struct state_image *image,
                          const uint8_t chamber_id[static 32],
                          const uint8_t identity_public[static ED25519_PUBLIC_SIZE],
                          struct state_fault *ret_fault)
{
    const uint8_t *head = image->head.data;
    *ret_fault = (struct state_fault){0};
    if (image->generation == 0 || image->head.len < PREFIX)
        return blame(ret_fault, "the head is missing", "head", "");
    CC_TRY(check_signature(image, identity_public, ret_fault));
    if (!span_equal(span_of(head, sizeof title), span_of(title, sizeof title)) ||
        !span_equal(span_of(head + sizeof title, 32), span_of(chamber_id, 32)))
        return blame(ret_fault, "the head is another chamber's", "head", "");
    if (u64_load_be(head + sizeof title + 32) != image->generation)
        return blame(ret_fault, "the head's generation was changed", "head", "");
    size_t listed = (image->head.len - PREFIX) / ENTRY;
    if (image->head.len != PREFIX + listed * ENTRY)
        return blame(ret_fault, "the head has the wrong length", "head", "");
    return check_records(image, listed, ret_fault);
}

void state_image_mark(const struct state_image *image, struct state_mark *ret_mark)
{
    ret_mark->generation = image->generation;
    memcpy(ret_mark->signature, image->signature, sizeof ret_mark->signature);
}

bool state_mark_equal(const struct state_mark *a, const struct state_mark *b)
{
    return a->generation == b->generation && span_equal(span_of(a->signature, sizeof a->signature),
                                                        span_of(b->signature, sizeof b->signature));
}

void state_image_release(struct state_image *image)
{
    for (size_t i = 0; i < image->count; i++)
        cc_free(image->records[i].bytes);
    cc_free(image->records);
    buf_release(&image->head);
    *image = (struct state_image){0};
}
