#include "core/seal_link.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"

#include "secret/wipe.h"

/* --- what the ceremony asks --------------------------------------------------------------------------------------------------- */

static cc_err ask_vault(void *context, const struct vault_asking *asking)
{
    struct seal_link *link = context;
    return vault_client_ask(link->vault, asking);
}

static cc_err wrap(void *context,
                   const struct seal_set *set,
                   struct seal_kms_key *keys,
                   const uint8_t (*shares)[SEAL_SHARE_SIZE],
                   struct seal_opened *ret_opened)
{
    const struct seal_link *link = context;
    return seal_kms_wrap(link->kms, set, keys, shares, ret_opened);
}

static void unwrap(void *context,
                   const struct seal_set *set,
                   const struct seal_kms_key *keys,
                   uint32_t ret_errors[static SEAL_KMS_MAX],
                   struct seal_opened *ret_opened)
{
    const struct seal_link *link = context;
    seal_kms_unwrap(link->kms, set, keys, ret_errors, ret_opened);
}

static cc_err wrap_for(void *context,
                       const struct seal_kms_sharing *sharing,
                       struct seal_kms_key *keys,
                       const uint8_t (*shares)[SEAL_SHARE_SIZE],
                       struct seal_opened *ret_opened)
{
    const struct seal_link *link = context;
    return seal_kms_wrap_for(link->kms, sharing, keys, shares, ret_opened);
}

static void unwrap_for(void *context,
                       const struct seal_kms_sharing *sharing,
                       const struct seal_kms_key *keys,
                       uint32_t ret_errors[static SEAL_KMS_MAX],
                       struct seal_opened *ret_opened)
{
    const struct seal_link *link = context;
    seal_kms_unwrap_for(link->kms, sharing, keys, ret_errors, ret_opened);
}

static bool any_row(void *context)
{
    const struct seal_link *link = context;
    return key_book_may_have_rows(link->book);
}

static bool is_own_record(void *context, const char *name)
{
    const struct seal_link *link = context;
    return key_book_is_named(link->book, name);
}

static cc_err
rewrite(void *context, uint32_t from, uint32_t to, bool *ret_done, struct key_seen *ret_seen)
{
    struct seal_link *link = context;
    (void)from; /* whatever is older goes along */
    return key_jobs_rewrite(link->key_jobs, to, ret_done, ret_seen);
}

static bool is_latched(void *context)
{
    const struct seal_link *link = context;
    return seal_is(link->seal);
}

static cc_err unlatch(void *context)
{
    struct seal_link *link = context;
    return seal_lift(link->seal, link->keeper, "operators");
}

/* --- the master key is open, or closed ------------------------------------------------------------------------------------------ */

static void opened(void *context, uint32_t generation)
{
    struct seal_link *link = context;
    struct secret32 key;
    cc_err err = vault_client_subkey(link->vault, B_SUBKEY_TOKENS, key.bytes);
    if (err.code)
        log_error("the key of the access tokens can't be had: no stored token is good",
                  KV_NUM("generation", generation), KV_ERR(err));
    else
        authority_unseal(link->authority, key.bytes);
    secret32_wipep(&key);
    registry_open_rows(link->registry);
    key_jobs_load(link->key_jobs);
}

static void closed(void *context)
{
    struct seal_link *link = context;
    authority_seal(link->authority);
    registry_close_rows(link->registry);
}

/* --- its life ---------------------------------------------------------------------------------------------------------------------- */

CC_ERR
seal_link_make(struct seal_link *link, const struct seal_link_ids *ids, struct audit *audit)
{
    struct ceremony_settings settings = {
        .config = link->config,
        .vault = {ask_vault, link},
        .kms = {link->kms ? wrap : NULL, link->kms ? unwrap : NULL, link->kms ? wrap_for : NULL,
                link->kms ? unwrap_for : NULL, link},
        .rows = {link->book ? any_row : NULL, link->book ? rewrite : NULL,
                 link->book ? is_own_record : NULL, link},
        .events = {opened, closed, is_latched, unlatch, link},
        .audit = audit,
    };
    memcpy(settings.chamber_id, ids->chamber_id, sizeof settings.chamber_id);
    memcpy(settings.identity, ids->identity, sizeof settings.identity);
    memcpy(settings.replica, ids->replica, sizeof settings.replica);
    settings.by_image = ids->by_image;
    settings.image = ids->image;
    CC_TRY(setup_token_begin(&link->setup_token, link->config->data_dir));
    return ceremony_new(&settings, &link->ceremony);
}

/* Its file says where it is to who may read it: nobody has to ask for the first one. */
static void offer_setup_token(struct seal_link *link)
{
    if (ceremony_state(link->ceremony) != SEAL_STATE_UNINITIALIZED ||
        ceremony_may_init(link->ceremony).code)
        return;
    cc_err err = setup_token_make(&link->setup_token, clock_wall_ms() / 1000);
    if (err.code)
        log_error("no setup token could be made: `operator setup-token` makes one", KV_ERR(err));
}

CC_ERR seal_link_start(struct seal_link *link)
{
    CC_TRY(ceremony_start(link->ceremony, link->keeper));
    offer_setup_token(link);
    return CC_OK;
}

void seal_link_stop(struct seal_link *link)
{
    ceremony_stop(link->ceremony);
}

void seal_link_free(struct seal_link *link)
{
    ceremony_free(link->ceremony);
    link->ceremony = NULL;
}
