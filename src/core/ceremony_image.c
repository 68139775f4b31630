/* Auto-unseal: what an image that the operators have approved does by itself, and what they are asked. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"

#include "codec/hex.h"
#include "core/ceremony_inside.h"
#include "crypto/random.h"
#include "seal/proposal.h"
#include "secret/wipe.h"

enum {
    PCR_DIGITS = 2 * SEAL_PCR_SIZE
};

static const char approve_hint[] = "`operator propose auto-unseal` asks them to approve an image";

static void pcr_text(const uint8_t pcr[static SEAL_PCR_SIZE], char ret_text[static PCR_DIGITS + 1])
{
    hex_encode(pcr, SEAL_PCR_SIZE, ret_text);
    ret_text[PCR_DIGITS] = '\0';
}

static bool same_pcr(const uint8_t a[static SEAL_PCR_SIZE], const uint8_t b[static SEAL_PCR_SIZE])
{
    return span_equal(span_of(a, SEAL_PCR_SIZE), span_of(b, SEAL_PCR_SIZE));
}

static bool is_zero(const uint8_t pcr[static SEAL_PCR_SIZE])
{
    static const uint8_t zeros[SEAL_PCR_SIZE];
    return same_pcr(pcr, zeros);
}

/* This is the image, signed by whom it has to be. */
static bool is_own(const struct ceremony *c, const struct seal_image *image)
{
    const struct seal_image *own = &c->settings.image;
    return same_pcr(image->pcr0, own->pcr0) &&
           (is_zero(image->pcr8) || same_pcr(image->pcr8, own->pcr8));
}

/* NULL: this one is not approved. */
static const struct ceremony_image *own_image(const struct ceremony *c)
{
    for (uint32_t i = 0; i < c->records->image_count; i++)
        if (is_own(c, &c->records->images[i].record.blob.image))
            return &c->records->images[i];
    return NULL;
}

/* The measured configuration says which: KMS encrypts to a key of the parent's as well (T11). */
static bool
are_configured(const struct ceremony *c, const struct seal_kms_key *keys, uint32_t count)
{
    const struct config_text_list *own = &c->settings.config->tee.root.kms_key_arns;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = 0;
        while (k < own->count && strcmp(own->items[k], keys[i].arn) != 0)
            k++;
        if (k == own->count)
            return false;
    }
    return true;
}

static struct seal_kms_sharing sharing_of(const struct seal_auto *blob,
                                          char pcr0[static PCR_DIGITS + 1])
{
    pcr_text(blob->image.pcr0, pcr0);
    return (struct seal_kms_sharing){.purpose = "auto-unseal",
                                     .generation = blob->generation,
                                     .count = blob->shares.count,
                                     .threshold = blob->shares.threshold,
                                     .pcr0 = pcr0};
}

/* --- opening ------------------------------------------------------------------------------------------------------------------ */

static bool may_open(const struct ceremony *c)
{
    const struct seal_set *set = &c->records->current.set;
    return c->settings.by_image && c->settings.kms.unwrap_for && !c->records->bad &&
           ceremony_has_current(c) && ceremony_is_given(&c->present, set) && set->operator_count &&
           !c->vault.open && !ceremony_latched(c);
}

/* Once for each reason: operators are needed, and what would spare them. */
static void say_why_not(struct ceremony *c, const char *why, const struct ceremony_image *other)
{
    char own[PCR_DIGITS + 1], approved[PCR_DIGITS + 1] = "none";
    if (c->image_told == why)
        return;
    c->image_told = why;
    pcr_text(c->settings.image.pcr0, own);
    if (other)
        pcr_text(other->record.blob.image.pcr0, approved);
    log_warn(why, KV_STR("image", own), KV_STR("approved", approved), KV_STR("hint", approve_hint));
}

/* NULL, with the reason told: operators have to unseal. */
static const struct ceremony_image *find_image(struct ceremony *c)
{
    const struct ceremony_image *image = own_image(c);
    const struct seal_set *set = &c->records->current.set;
    const struct ceremony_image *any = c->records->image_count ? &c->records->images[0] : NULL;
    const char *why = NULL;
    if (!image)
        why = any ? "operators must unseal: another image is approved, and not this one"
                  : "operators must unseal: no image is approved";
    else if (image->record.blob.generation != set->generation)
        why =
            "operators must unseal: the image was approved, but the master key is another one since";
    else if (!are_configured(c, image->record.keys, image->record.blob.shares.count))
        why =
            "operators must unseal: the image was approved with KMS keys that tee.root does not name";
    if (why)
        say_why_not(c, why, image ? image : any);
    return why ? NULL : image;
}

static void pass_on(struct ceremony *c,
                    const struct auto_record *record,
                    const uint32_t errors[static SEAL_KMS_MAX],
                    const struct seal_opened *opened)
{
    for (uint32_t i = 0; i < record->blob.shares.count && !c->vault.open; i++) {
        if (errors[i])
            continue;
        cc_err err = ceremony_unwrap_share(c, B_SET_AUTO, i, &opened[i]);
        if (err.code)
            log_warn("a KMS key has opened another share than the image's",
                     KV_STR("key", record->keys[i].arn), KV_ERR(err));
    }
}

static void ask_keys(struct ceremony *c, const struct auto_record *record)
{
    const struct ceremony_kms *kms = &c->settings.kms;
    uint32_t errors[SEAL_KMS_MAX] = {0};
    struct seal_opened opened[SEAL_KMS_MAX] = {{.is_sealed = 0}};
    char pcr0[PCR_DIGITS + 1];
    const struct seal_kms_sharing sharing = sharing_of(&record->blob, pcr0);
    kms->unwrap_for(kms->context, &sharing, record->keys, errors, opened);
    pass_on(c, record, errors, opened);
    wipe(opened, sizeof opened);
}

bool ceremony_image_opens(struct ceremony *c)
{
    if (!may_open(c) || !ceremony_due(&c->image_retry))
        return false;
    const struct ceremony_image *image = find_image(c);
    if (!image)
        return false;
    cc_err err = ceremony_give_image(c, &image->record.blob);
    if (!err.code)
        ask_keys(c, &image->record);
    if (!c->vault.open) {
        ceremony_put_off(&c->image_retry);
        log_warn("auto-unseal: too few KMS keys have opened this image's shares: asking again",
                 KV_NUM("needed", image->record.blob.shares.threshold),
                 KV_NUM("again_in_ms", c->image_retry.pause_ms), KV_ERR(err));
        return false;
    }
    c->image_retry = (struct ceremony_retry){0};
    c->image_told = NULL;
    log_notice("auto-unseal: the operators' approval of this image has opened the master key");
    (void)ceremony_write_down(c, "image_opened", "", "", CC_OK).code;
    return true;
}

/* --- making ------------------------------------------------------------------------------------------------------------------- */

/* What KMS has opened again is what the vault has committed to, says the vault. */
static cc_err
try_out(struct ceremony *c, const struct seal_auto *blob, const struct seal_opened *opened)
{
    CC_TRY(ceremony_give_image(c, blob));
    for (uint32_t i = 0; i < blob->shares.count; i++)
        CC_TRY(ceremony_unwrap_share(c, B_SET_AUTO, i, &opened[i]));
    return CC_OK;
}

static cc_err wrap(struct ceremony *c, struct auto_record *record)
{
    const struct ceremony_kms *kms = &c->settings.kms;
    const struct seal_auto *blob = &record->blob;
    uint8_t shares[SEAL_KMS_MAX][SEAL_SHARE_SIZE] = {{0}};
    struct seal_opened opened[SEAL_KMS_MAX] = {{.is_sealed = 0}};
    char pcr0[PCR_DIGITS + 1];
    const struct seal_kms_sharing sharing = sharing_of(blob, pcr0);
    const bool own =
        is_own(c, &blob->image); /* another's shares KMS opens for another image alone */
    cc_err err = CC_OK;
    for (uint32_t i = 0; !err.code && i < blob->shares.count; i++)
        err = ceremony_image_share(c, i, shares[i]);
    if (!err.code)
        err = kms->wrap_for(kms->context, &sharing, record->keys,
                            (const uint8_t(*)[SEAL_SHARE_SIZE])shares, own ? opened : NULL);
    if (!err.code && own)
        err = try_out(c, blob, opened);
    wipe(shares, sizeof shares);
    wipe(opened, sizeof opened);
    return err;
}

/* `record` has the ARNs. */
static cc_err
make_record(struct ceremony *c, const struct b_auto_make *make, struct auto_record *record)
{
    if (!c->settings.kms.wrap_for)
        return CC_FAIL(AWS_CREDENTIALS, "this signer has no access to KMS");
    c->images_owed = true;
    CC_TRY(ceremony_make_image(c, make));
    record->blob = c->messages->image.blob;
    memcpy(record->chamber_id, c->settings.chamber_id, sizeof record->chamber_id);
    return record->blob.shares.count <= SEAL_KMS_MAX
               ? wrap(c, record)
               : CC_FAIL(PROTOCOL, "the vault's blob has too many shares");
}

/* All that was allowed is stored, or can't be: what the vault keeps for it would serve a core that is captured later (T25). */
static bool end_making(struct ceremony *c)
{
    if (!c->images_owed)
        return false;
    cc_err err = ceremony_drop(c, B_DROP_AUTO);
    c->images_owed = err.code != 0;
    if (!err.code)
        return true;
    ceremony_put_off(&c->image_make_retry);
    log_error("the vault keeps shares of an auto-unseal blob: trying again", KV_ERR(err));
    return false;
}

static bool say_why(cc_err err, const char *what)
{
    if (!error_is(err, ERROR_CONFLICT))
        log_error(what, KV_ERR(err));
    return false;
}

static bool put_off(struct ceremony *c, cc_err err, const char *what)
{
    ceremony_put_off(&c->image_make_retry);
    return say_why(err, what);
}

static void say_made(struct ceremony *c, const struct auto_record *record, const char *operation)
{
    char name[AUTO_NAME_SIZE], pcr0[PCR_DIGITS + 1];
    auto_record_name(&record->blob.image, name);
    pcr_text(record->blob.image.pcr0, pcr0);
    c->image_make_retry = (struct ceremony_retry){0};
    log_notice("auto-unseal: an image opens this chamber without operators", KV_STR("image", pcr0),
               KV_NUM("generation", record->blob.generation));
    (void)ceremony_write_down(c, operation, name, "operators", CC_OK).code;
}

static bool is_approved(const struct ceremony *c, uint8_t ret_digest[static 32])
{
    if (!c->records->image_proposed_version)
        return false;
    proposal_auto_digest(&c->records->image_proposed.proposal, ret_digest);
    return ceremony_has_approved(c, ret_digest);
}

/* The vault makes a blob of an approval once, and has this one no more: a core has died, or KMS was away for too long. */
static bool say_used_up(struct ceremony *c, cc_err err, const uint8_t digest[static 32])
{
    ceremony_unapprove(c, digest);
    log_error("auto-unseal: what the operators have approved for an image is used up, and nothing "
              "is stored: they must approve it once more",
              KV_ERR(err), KV_STR("hint", "`operator status` has the proposal"));
    return true;
}

static bool make_approved(struct ceremony *c, const uint8_t digest[static 32])
{
    const struct auto_proposed *proposed = &c->records->image_proposed;
    CC_CLEANUP(cc_freep) struct auto_record *record = cc_alloc(sizeof *record);
    const struct b_auto_make make = {.proposal = proposed->proposal};
    const struct ceremony_image_change change = {.record = record, .drop_proposed = true};
    if (!record)
        return false;
    memcpy(record->keys, proposed->keys, sizeof record->keys);
    cc_err err = make_record(c, &make, record);
    if (!err.code)
        err = ceremony_commit_image(c, &change);
    if (error_is(err, ERROR_NOT_APPROVED))
        return say_used_up(c, err, digest);
    if (err.code)
        return put_off(c, err, "what was approved for an image could not be made: trying again");
    say_made(c, record, "image_approved");
    return true;
}

static bool remove_image(struct ceremony *c, const struct seal_image *image, const char *why)
{
    const struct seal_image copy = *image;
    const struct ceremony_image_change change = {.removed = &copy};
    char name[AUTO_NAME_SIZE];
    cc_err err = ceremony_commit_image(c, &change);
    if (err.code)
        return put_off(c, err, "a record of auto-unseal could not be removed: trying again");
    auto_record_name(&copy, name);
    log_notice(why, KV_STR("record", name));
    (void)ceremony_write_down(c, "image_removed", name, "", CC_OK).code;
    return true;
}

/* In this generation the vault takes over no approval, or none any more. */
static bool say_lapsed(struct ceremony *c, cc_err err)
{
    c->images_lapsed = c->records->current.set.generation;
    log_warn("auto-unseal: approvals of images are not taken over to this master key here: the "
             "replica that made it does so, unless its vault has begun anew since. Where `operator "
             "status` still shows the generation before, the operators must approve the image "
             "once more",
             KV_ERR(err), KV_NUM("generation", c->images_lapsed), KV_STR("hint", approve_hint));
    return false;
}

/* From one generation to the next. */
static bool renew(struct ceremony *c, const struct ceremony_image *image)
{
    CC_CLEANUP(cc_freep) struct auto_record *record = cc_alloc(sizeof *record);
    const struct b_auto_make make = {.renews = 1, .before = image->record.blob};
    const struct ceremony_image_change change = {.record = record};
    if (!record)
        return false;
    memcpy(record->keys, image->record.keys, sizeof record->keys);
    cc_err err = make_record(c, &make, record);
    if (!err.code)
        err = ceremony_commit_image(c, &change);
    if (error_is(err, ERROR_NOT_APPROVED))
        return say_lapsed(c, err);
    if (err.code)
        return say_why(err, "an image's approval could not be renewed: trying again");
    say_made(c, record, "image_renewed");
    return true;
}

/* One whose KMS keys fail keeps no other one from being renewed. *ret_failed: one has. */
static bool renew_one(struct ceremony *c, bool *ret_failed)
{
    for (uint32_t i = 0; i < c->records->image_count; i++) {
        /* Looked at anew each time: a commit that failed may have brought other records. */
        const struct seal_set *set = &c->records->current.set;
        const struct ceremony_image *image = &c->records->images[i];
        const uint32_t generation = image->record.blob.generation;
        if (!set->operator_count)
            return remove_image(c, &image->record.blob.image,
                                "auto-unseal: the mode has no operators any more");
        if (generation == set->generation)
            continue;
        if (generation + 1 != set->generation)
            return remove_image(
                c, &image->record.blob.image,
                "auto-unseal: an approval has lapsed: it was of another generation");
        if (c->images_lapsed == set->generation)
            continue;
        if (!are_configured(c, image->record.keys, image->record.blob.shares.count)) {
            say_why_not(c,
                        "an image's approval can't be renewed here: tee.root names other KMS keys",
                        image);
            continue;
        }
        if (renew(c, image))
            return true;
        *ret_failed |=
            c->images_lapsed != c->records->current.set.generation; /* `set` may be gone */
    }
    return false;
}

/* The seal removes them with its own record; what it could not, goes as soon as it can (T25). */
static bool drop_sealed(struct ceremony *c)
{
    if (!c->records->image_count && !c->records->image_proposed_version)
        return false;
    cc_err err = ceremony_drop_images(c);
    return err.code ? put_off(c, err, "records of auto-unseal outlive a seal: trying again") : true;
}

/* What is approved goes before renewals: the vault holds one blob at a time, and makes that one once. */
static bool advance(struct ceremony *c)
{
    uint8_t digest[32];
    bool failed = false;
    if (is_approved(c, digest))
        return make_approved(c, digest);
    if (renew_one(c, &failed))
        return true;
    if (!failed)
        return end_making(c);
    ceremony_put_off(&c->image_make_retry);
    return false;
}

bool ceremony_image_advances(struct ceremony *c)
{
    if (c->records->bad || !ceremony_due(&c->image_make_retry))
        return false;
    if (ceremony_latched(c))
        return drop_sealed(c);
    if (!c->settings.by_image || !c->vault.open || !ceremony_has_current(c) ||
        !ceremony_is_given(&c->present, &c->records->current.set))
        return false;
    return advance(c);
}

/* --- what people ask ------------------------------------------------------------------------------------------------------------ */

bool ceremony_is_image_digest(const struct ceremony *c, const uint8_t digest[static 32])
{
    uint8_t own[32];
    if (!c->records->image_proposed_version)
        return false;
    proposal_auto_digest(&c->records->image_proposed.proposal, own);
    return span_equal(span_of(own, sizeof own), span_of(digest, sizeof own));
}

struct wish {
    const struct seal_image *image;
    const char *by;
    struct buf *answer;
};

static cc_err check_wish(const struct ceremony *c, const struct seal_image *image)
{
    const struct ceremony_records *r = c->records;
    bool known = false;
    if (!c->settings.by_image)
        return CC_FAIL(NOT_ENABLED, "signer_state.auto_unseal is false");
    if (r->bad || ceremony_latched(c) || !ceremony_has_current(c) || !c->vault.open)
        return ceremony_wrong_state(c);
    if (!r->current.set.operator_count)
        return CC_FAIL(SEAL_STATE, "auto-unseal is for the modes quorum and operators: this one "
                                   "opens without people anyway");
    for (uint32_t i = 0; i < r->image_count; i++)
        known |= same_pcr(r->images[i].record.blob.image.pcr0, image->pcr0);
    return known || r->image_count < CEREMONY_IMAGES_MAX
               ? CC_OK
               : CC_FAIL(SEAL_STATE, "eight images are approved: remove one");
}

static cc_err fill(const struct ceremony *c, const struct wish *wish, struct auto_proposed *record)
{
    const struct tee_root_config *root = &c->settings.config->tee.root;
    struct seal_auto_proposal *p = &record->proposal;
    memcpy(p->chamber_id, c->settings.chamber_id, sizeof p->chamber_id);
    memcpy(p->from, c->records->current.set.fingerprint, sizeof p->from);
    CC_TRY(random_bytes(p->id, sizeof p->id));
    p->image = *wish->image;
    p->threshold = config_root_threshold(root);
    p->count = root->kms_key_arns.count;
    for (uint32_t i = 0; i < p->count; i++)
        (void)snprintf(record->keys[i].arn, sizeof record->keys[i].arn, "%s",
                       root->kms_key_arns.items[i]);
    seal_kms_keys_digest(record->keys, p->count, p->kms_keys);
    (void)snprintf(record->proposer, sizeof record->proposer, "%s", wish->by);
    record->proposed = ceremony_wall_ms(c);
    return proposal_auto_check(p).code
               ? CC_FAIL(MALFORMED, "a PCR0 of zeros: an image in debug mode")
               : CC_OK;
}

static cc_err propose(struct ceremony *c, void *context)
{
    const struct wish *wish = context;
    char name[AUTO_NAME_SIZE];
    CC_CLEANUP(cc_freep) struct auto_proposed *record = cc_alloc(sizeof *record);
    CC_CLEANUP(cc_freep) struct ceremony_shown *shown = cc_alloc(sizeof *shown);
    const struct ceremony_image_change change = {.proposed = record};
    if (!record || !shown)
        return CC_FAIL(NO_MEMORY, NULL);
    CC_TRY(check_wish(c, wish->image));
    CC_TRY(fill(c, wish, record));
    CC_TRY(ceremony_commit_image(c, &change));
    auto_record_name(wish->image, name);
    log_notice("auto-unseal is proposed for an image", KV_STR("record", name),
               KV_STR("by", wish->by));
    CC_TRY(ceremony_write_down(c, "image_proposed", name, wish->by, CC_OK));
    shown->records = *c->records;
    shown->vault = c->vault;
    return ceremony_append_image_proposal(shown, wish->answer);
}

CC_ERR ceremony_propose_image(struct ceremony *c,
                              const struct seal_image *image,
                              const char *by,
                              struct buf *answer)
{
    struct wish wish = {image, by, answer};
    return ceremony_run(c, propose, &wish);
}

static cc_err withdraw(struct ceremony *c, void *context)
{
    const struct wish *wish = context;
    const struct ceremony_records *r = c->records;
    char name[AUTO_NAME_SIZE];
    bool known = false;
    const bool proposed = r->image_proposed_version &&
                          same_pcr(r->image_proposed.proposal.image.pcr0, wish->image->pcr0);
    for (uint32_t i = 0; i < r->image_count; i++)
        known |= same_pcr(r->images[i].record.blob.image.pcr0, wish->image->pcr0);
    if (!known && !proposed)
        return CC_FAIL(NAME_UNKNOWN, "that image is neither approved nor proposed");
    const struct ceremony_image_change change = {.removed = wish->image, .drop_proposed = proposed};
    CC_TRY(ceremony_commit_image(c, &change));
    auto_record_name(wish->image, name);
    log_notice("auto-unseal was taken from an image", KV_STR("record", name),
               KV_STR("by", wish->by));
    return ceremony_write_down(c, "image_removed", name, wish->by, CC_OK);
}

CC_ERR
ceremony_remove_image(struct ceremony *c, const uint8_t pcr0[static SEAL_PCR_SIZE], const char *by)
{
    struct seal_image image = {.pcr8 = {0}};
    struct wish wish = {&image, by, NULL};
    memcpy(image.pcr0, pcr0, SEAL_PCR_SIZE);
    return ceremony_run(c, withdraw, &wish);
}

/* --- what is told ------------------------------------------------------------------------------------------------------------------ */

static cc_err append_image(struct buf *out, const struct seal_image *image)
{
    char pcr[PCR_DIGITS + 1];
    pcr_text(image->pcr0, pcr);
    CC_TRY(buf_printf(out, "\"pcr0\":\"%s\"", pcr));
    if (is_zero(image->pcr8))
        return CC_OK;
    pcr_text(image->pcr8, pcr);
    return buf_printf(out, ",\"pcr8\":\"%s\"", pcr);
}

static cc_err append_bytes(struct buf *out, const char *name, const uint8_t bytes[static 32])
{
    char digits[65] = "";
    hex_encode(bytes, 32, digits);
    return buf_printf(out, "\"%s\":\"%s\",", name, digits);
}

CC_ERR ceremony_append_image_proposal(const struct ceremony_shown *shown, struct buf *out)
{
    const struct auto_proposed *record = &shown->records.image_proposed;
    const struct seal_auto_proposal *p = &record->proposal;
    uint8_t digest[32];
    proposal_auto_digest(p, digest);
    const bool ours = span_equal(span_of(shown->vault.approving, 32), span_of(digest, 32));
    CC_TRY(buf_append_str(out, "{\"kind\":\"image\","));
    CC_TRY(append_bytes(out, "digest", digest));
    CC_TRY(buf_printf(out, "\"proposer\":\"%s\",\"proposed_at\":%" PRIu64, record->proposer,
                      record->proposed / 1000));
    CC_TRY(buf_printf(out, ",\"approvals\":{\"have\":%u,\"needed\":%u},\"proposal\":{",
                      ours ? shown->vault.approvals_have : 0,
                      shown->records.current.set.operator_threshold));
    CC_TRY(append_bytes(out, "chamber_id", p->chamber_id));
    CC_TRY(append_bytes(out, "from", p->from));
    CC_TRY(append_bytes(out, "id", p->id));
    CC_TRY(append_image(out, &p->image));
    CC_TRY(buf_printf(out, ",\"kms_threshold\":%u,\"kms_key_arns\":[", p->threshold));
    for (uint32_t i = 0; i < p->count && i < SEAL_KMS_MAX; i++)
        CC_TRY(buf_printf(out, "%s\"%s\"", i ? "," : "", record->keys[i].arn));
    return buf_append_str(out, "]}}");
}

CC_ERR ceremony_append_images(const struct ceremony *c,
                              const struct ceremony_shown *shown,
                              struct buf *out)
{
    const struct ceremony_records *r = &shown->records;
    CC_TRY(buf_append_str(out, "{\"image\":{"));
    CC_TRY(append_image(out, &c->settings.image));
    CC_TRY(buf_append_str(out, "},\"approved\":["));
    for (uint32_t i = 0; i < r->image_count; i++) {
        const struct seal_auto *blob = &r->images[i].record.blob;
        CC_TRY(buf_append_str(out, i ? ",{" : "{"));
        CC_TRY(append_image(out, &blob->image));
        CC_TRY(buf_printf(out, ",\"generation\":%u,\"own\":%s}", blob->generation,
                          is_own(c, &blob->image) ? "true" : "false"));
    }
    CC_TRY(buf_append_str(out, "]"));
    if (r->image_proposed_version) {
        CC_TRY(buf_append_str(out, ",\"proposed\":"));
        CC_TRY(ceremony_append_image_proposal(shown, out));
    }
    return buf_append_str(out, "}");
}
