#include "vault/row_door.h"

#include "secret/wipe.h"
#include "vault/key_row.h"

static cc_err check_usable(const struct vault *v)
{
    return atomic_load(&v->sealed) ? CC_FAIL(SEALED, "sealed in this life") : CC_OK;
}

static cc_err check_place(uint32_t status, uint64_t version)
{
    if (status != ROW_ACTIVE && status != ROW_INACTIVE)
        return CC_FAIL(PROTOCOL, "status of a row");
    return version ? CC_OK : CC_FAIL(PROTOCOL, "version of a row");
}

/* The row's place is set; only what is sealed is missing. */
static CC_SENSITIVE cc_err seal(struct vault *v,
                                const struct bls_secret *secret,
                                struct sealed_row *row)
{
    WIPED32 struct secret32 plain;
    bls_secret_bytes(secret, plain.bytes);
    return key_row_seal(v, plain.bytes, row);
}

static CC_SENSITIVE cc_err import(struct vault *v, const struct b_import *request, struct b_row *a)
{
    CC_CLEANUP(bls_secret_wipep) struct bls_secret secret;
    struct key_handle handle;
    CC_TRY(check_usable(v));
    CC_TRY(check_place(request->status, request->version));
    uint32_t generation = 0;
    CC_TRY(master_generation(v->master, request->generation, &generation));
    CC_TRY(keystore_decrypt(&v->gate, &request->keystore, &secret));
    struct sealed_row row = {
        .status = request->status, .generation = generation, .version = request->version};
    bls_secret_public(&secret, row.pubkey.bytes);
    CC_TRY(seal(v, &secret, &row));
    a->row = row;
    a->held = !key_table_find(v->keys, &row.pubkey, &handle).code;
    return CC_OK;
}

void row_door_import(struct vault *vault, const struct b_import *request, struct b_row *ret_answer)
{
    ret_answer->error = (uint32_t)import(vault, request, ret_answer).code;
    wipe_stack();
}

/* The cipher vouches for the public key already; deriving it again costs 0.1 ms, and trusts nothing. */
static CC_SENSITIVE cc_err open_row(struct vault *v,
                                    const struct sealed_row *row,
                                    struct bls_secret *ret_secret)
{
    WIPED32 struct secret32 plain;
    struct eth_pubkey derived;
    CC_TRY(check_usable(v));
    CC_TRY(check_place(row->status, row->version));
    CC_TRY(key_row_open(v, row, plain.bytes));
    CC_TRY(bls_secret_parse(plain.bytes, ret_secret));
    bls_secret_public(ret_secret, derived.bytes);
    if (!span_equal(span_of(&derived, sizeof derived), span_of(&row->pubkey, sizeof row->pubkey)))
        return CC_FAIL(TAMPERED, "a row with another key's secret");
    return CC_OK;
}

static CC_SENSITIVE cc_err load(struct vault *v,
                                const struct b_open_row *request,
                                struct b_opened *a)
{
    CC_CLEANUP(bls_secret_wipep) struct bls_secret secret = {{0}};
    bool held = false;
    if (request->source != B_KEY_FROM_ROW && request->source != B_KEY_FROM_MEMORY)
        return CC_FAIL(PROTOCOL, "source of a key");
    CC_TRY(open_row(v, &request->row, &secret));
    if (request->row.status != ROW_ACTIVE)
        return CC_FAIL(DENIED, "only an active row is loaded");
    CC_TRY(key_table_add_from(v->keys, &secret, &request->row.pubkey, request->source, &a->key,
                              &held));
    a->held = held;
    /* Closed meanwhile: either that has seen the key in the table, or this sees that it is closed. */
    if (request->source == B_KEY_FROM_ROW && !master_is_open(v->master, B_SET_PRESENT)) {
        key_table_drop_source(v->keys, B_KEY_FROM_ROW);
        return CC_FAIL(SEALED, "the master key was closed meanwhile");
    }
    return CC_OK;
}

void row_door_open(struct vault *vault,
                   const struct b_open_row *request,
                   struct b_opened *ret_answer)
{
    ret_answer->error = (uint32_t)load(vault, request, ret_answer).code;
}

/* Never back: a set that was replaced may open by what its operators never agreed to. */
static cc_err
choose_generation(struct vault *v, const struct b_seal_row *request, uint32_t *ret_generation)
{
    const uint32_t now = request->row.generation;
    CC_TRY(master_generation(v->master, request->generation, ret_generation));
    if (*ret_generation >= now)
        return CC_OK;
    if (request->generation)
        return CC_FAIL(PROTOCOL, "a row goes back to an older master key");
    *ret_generation = now;
    return CC_OK;
}

static CC_SENSITIVE cc_err reseal(struct vault *v,
                                  const struct b_seal_row *request,
                                  struct b_row *a)
{
    CC_CLEANUP(bls_secret_wipep) struct bls_secret secret = {{0}};
    CC_TRY(check_place(request->status, request->version));
    if (request->version <= request->row.version)
        return CC_FAIL(PROTOCOL, "a row's version goes up");
    const uint64_t epoch = master_epoch(v->master);
    CC_TRY(open_row(v, &request->row, &secret));
    struct sealed_row row = {
        .pubkey = request->row.pubkey, .status = request->status, .version = request->version};
    CC_TRY(choose_generation(v, request, &row.generation));
    CC_TRY(seal(v, &secret, &row));
    /* Between the two another thread may have put a set in place that has nothing to do with the row's. */
    if (master_epoch(v->master) != epoch)
        return CC_FAIL(SEAL_STATE, "the master key was changed meanwhile");
    a->row = row;
    return CC_OK;
}

void row_door_seal(struct vault *vault, const struct b_seal_row *request, struct b_row *ret_answer)
{
    ret_answer->error = (uint32_t)reseal(vault, request, ret_answer).code;
}
