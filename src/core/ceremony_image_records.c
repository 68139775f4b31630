/* Records of auto-unseal: read, and changed. */
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "core/ceremony_inside.h"
#include "core/seal_latch.h"
#include "core/test_point.h"

/* What can't be read opens nothing, and is written over by the next approval of its image. */
void ceremony_read_images(const struct state_store *state, struct ceremony_records *records)
{
    const struct state_record *r = NULL;
    while ((r = state_next(state, AUTO_RECORD_KIND, r ? r->name : NULL)) != NULL) {
        const struct span bytes = span_of(r->bytes, r->len);
        const bool proposed = strcmp(r->name, AUTO_RECORD_PROPOSED) == 0;
        struct ceremony_image *image = &records->images[records->image_count];
        if (!proposed && records->image_count == CEREMONY_IMAGES_MAX)
            continue;
        cc_err err = proposed ? auto_proposed_decode(bytes, &records->image_proposed)
                              : auto_record_decode(r->name, bytes, &image->record);
        if (err.code) {
            log_error("a record of auto-unseal can't be read", KV_STR("record", r->name),
                      KV_ERR(err));
        } else if (proposed) {
            records->image_proposed_version = r->version;
        } else {
            image->version = r->version;
            records->image_count++;
        }
    }
}

struct change {
    uint64_t current_version;
    const struct ceremony_records *known;
    char name[AUTO_NAME_SIZE];
    struct buf record; /* empty: it stays, unless it goes */
    struct buf proposed;
    bool drop_record;
    bool drop_proposed;
    bool lost; /* another was faster, or has sealed */
};

static uint64_t version_of(const struct state_store *state, const char *kind, const char *name)
{
    const struct state_record *record = state_find(state, kind, name);
    return record ? record->version : 0;
}

/* As it was when this was decided. */
static uint64_t known_version(const struct change *change)
{
    const struct ceremony_records *r = change->known;
    char name[AUTO_NAME_SIZE];
    for (uint32_t i = 0; i < r->image_count; i++) {
        auto_record_name(&r->images[i].record.blob.image, name);
        if (strcmp(name, change->name) == 0)
            return r->images[i].version;
    }
    return 0;
}

/* A record that could not be read has a version all the same: what is approved now takes its place. */
static bool is_as_known(const struct state_store *state, const struct change *change)
{
    const uint64_t known = change->name[0] ? known_version(change) : 0;
    const struct state_record *there =
        change->name[0] ? state_find(state, AUTO_RECORD_KIND, change->name) : NULL;
    if (known && (!there || there->version != known))
        return false;
    return version_of(state, SEAL_RECORD_KIND, SEAL_RECORD_CURRENT) == change->current_version &&
           version_of(state, AUTO_RECORD_KIND, AUTO_RECORD_PROPOSED) ==
               change->known->image_proposed_version &&
           !seal_latch_record(state);
}

static cc_err put(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct change *change = context;
    struct state_change changes[2];
    size_t n = 0;
    change->lost = !is_as_known(state, change);
    if (change->lost)
        return CC_OK;
    const uint64_t record = version_of(state, AUTO_RECORD_KIND, change->name);
    const uint64_t proposed = version_of(state, AUTO_RECORD_KIND, AUTO_RECORD_PROPOSED);
    if (change->record.len || (change->drop_record && record))
        changes[n++] = (struct state_change){.kind = AUTO_RECORD_KIND,
                                             .name = change->name,
                                             .expected_version = record,
                                             .bytes = buf_span(&change->record),
                                             .remove = change->drop_record};
    if (change->proposed.len || (change->drop_proposed && proposed))
        changes[n++] = (struct state_change){.kind = AUTO_RECORD_KIND,
                                             .name = AUTO_RECORD_PROPOSED,
                                             .expected_version = proposed,
                                             .bytes = buf_span(&change->proposed),
                                             .remove = change->drop_proposed};
    test_point_pass(TEST_POINT_SEAL_COMMIT);
    return n ? state_commit(state, changes, n, signer) : CC_OK;
}

CC_ERR ceremony_commit_image(struct ceremony *c, const struct ceremony_image_change *wanted)
{
    CC_CLEANUP(cc_freep) struct ceremony_records *known = cc_alloc(sizeof *known);
    CC_CLEANUP(buf_release) struct buf record = buf_init(SEAL_RECORD_MAX);
    CC_CLEANUP(buf_release) struct buf proposed = buf_init(SEAL_RECORD_MAX);
    struct change change = {.current_version = c->records->current_version,
                            .drop_record = wanted->removed != NULL,
                            .drop_proposed = wanted->drop_proposed};
    const struct seal_image *image = wanted->record ? &wanted->record->blob.image : wanted->removed;
    if (!known)
        return CC_FAIL(NO_MEMORY, NULL);
    if (image)
        auto_record_name(image, change.name);
    if (wanted->record)
        CC_TRY(auto_record_encode(wanted->record, &record));
    if (wanted->proposed)
        CC_TRY(auto_proposed_encode(wanted->proposed, &proposed));
    *known = *c->records;
    change.known = known;
    change.record = record;
    change.proposed = proposed;
    cc_err err = keeper_run(c->settings.keeper, put, &change, CEREMONY_KEEPER_MS);
    (void)ceremony_take_incoming(c);
    if (!err.code && change.lost)
        return CC_FAIL(CONFLICT, "another change of the chamber was faster: look at its status");
    return err;
}

static cc_err drop_all(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct seal_latch_images images;
    (void)context;
    const size_t n = seal_latch_find_images(state, &images);
    return n ? state_commit(state, images.changes, n, signer) : CC_OK;
}

CC_ERR ceremony_drop_images(struct ceremony *c)
{
    cc_err err = keeper_run(c->settings.keeper, drop_all, NULL, CEREMONY_KEEPER_MS);
    (void)ceremony_take_incoming(c);
    return err;
}
