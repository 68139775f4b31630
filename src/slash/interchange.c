#include "slash/interchange.h"

#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "codec/hex.h"
#include "slash/interchange_read.h"

/* --- import ------------------------------------------------------------------------------------- */

static bool chosen(const struct eth_pubkey *pubkey, const struct eth_pubkey *only, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(only[i].bytes, pubkey->bytes, sizeof pubkey->bytes) == 0)
            return true;
    return count == 0;
}

static cc_err look_only(void *context, const struct slash_validator *validator)
{
    (void)context;
    (void)validator;
    return CC_OK;
}

struct import {
    struct slash_store *store;
    const struct eth_pubkey *only;
    size_t only_count;
    struct interchange_result *result;
};

/* What a person must know: this validator will be silent for as long as its watermarks say. */
static cc_err note_contradiction(void *context, const struct slash_validator *v)
{
    struct interchange_result *result = context;
    result->notes++;
    CC_TRY(buf_append_str(&result->messages, "note: "));
    CC_TRY(hex_append(&result->messages, v->pubkey.bytes, sizeof v->pubkey.bytes));
    CC_TRY(
        buf_append_str(&result->messages, ": its history is slashable in itself; it signs again"));
    if (v->low.has_slot)
        CC_TRY(buf_printf(&result->messages, " blocks after slot %llu",
                          (unsigned long long)v->low.slot));
    if (v->low.has_epochs)
        CC_TRY(buf_printf(&result->messages,
                          " attestations after target epoch %llu with source epoch %llu or later",
                          (unsigned long long)v->low.target, (unsigned long long)v->low.source));
    return buf_append_str(&result->messages, "\n");
}

static cc_err merge_one(void *context, const struct slash_validator *validator)
{
    struct import *import = context;
    struct slash_import_report *report = &import->result->report;
    if (!chosen(&validator->pubkey, import->only, import->only_count))
        return CC_OK;
    uint64_t before = report->contradictory;
    CC_TRY(slash_merge(import->store, validator, report));
    if (report->contradictory == before)
        return CC_OK;
    return slash_visit(import->store, &validator->pubkey, note_contradiction, import->result);
}

static cc_err check_network(struct interchange_reader *r, const struct slash_identity *identity)
{
    const struct eth_root *ours = &identity->genesis_validators_root;
    if (!identity->has_genesis_validators_root ||
        memcmp(ours->bytes, r->genesis_validators_root.bytes, sizeof ours->bytes) == 0)
        return CC_OK;
    interchange_fault(r, r->metadata_line, "genesis_validators_root",
                      "is not this history's: the file is from another network");
    return CC_FAIL(WRONG_NETWORK, "interchange file of another network");
}

static cc_err import_twice(struct interchange_reader *r,
                           const struct interchange_source *source,
                           struct import *import)
{
    struct interchange_result *result = import->result;
    CC_TRY(interchange_read(r, source, result, look_only, NULL));
    CC_TRY(check_network(r, &import->store->identity));
    struct eth_root root = r->genesis_validators_root;
    CC_TRY(source->rewind(source->context));
    CC_TRY(slash_fix_genesis(import->store, &root));
    CC_TRY(interchange_read(r, source, result, merge_one, import));
    /* A file that changes while it is read twice is an error, though nothing is less safe for it. */
    return memcmp(root.bytes, r->genesis_validators_root.bytes, sizeof root.bytes) == 0
               ? CC_OK
               : CC_FAIL(INTERCHANGE, "the file changed while it was read");
}

CC_ERR interchange_import(struct slash_store *store,
                          const struct interchange_source *source,
                          const struct eth_pubkey *only,
                          size_t only_count,
                          struct interchange_result *ret_result)
{
    struct interchange_reader *reader = cc_alloc(sizeof *reader);
    if (!reader)
        return CC_FAIL(NO_MEMORY, "interchange");
    struct import import = {store, only, only_count, ret_result};
    cc_err err = import_twice(reader, source, &import);
    interchange_reader_release(reader);
    cc_free(reader);
    return err;
}

/* --- export ------------------------------------------------------------------------------------- */

enum {
    CHUNK = 32768
};

struct export
{
    interchange_write_fn *write;
    void *context;
    const struct eth_pubkey *only;
    size_t only_count;
    uint64_t count;
    struct buf out;
};

static cc_err flush(struct export *e)
{
    cc_err err = e->out.len ? e->write(e->context, e->out.data, e->out.len) : CC_OK;
    e->out.len = 0;
    return err;
}

static cc_err put_root(struct export *e, bool has_root, const struct signing_root *root)
{
    if (has_root) {
        CC_TRY(buf_append_str(&e->out, ", \"signing_root\": \""));
        CC_TRY(hex_append(&e->out, root->bytes, sizeof root->bytes));
        CC_TRY(buf_append_str(&e->out, "\""));
    }
    CC_TRY(buf_append_str(&e->out, "}"));
    return e->out.len > CHUNK ? flush(e) : CC_OK;
}

static cc_err put_block(struct export *e, bool *first, const struct slash_block *b)
{
    CC_TRY(buf_printf(&e->out, "%s\n        {\"slot\": \"%llu\"", *first ? "" : ",",
                      (unsigned long long)b->slot));
    *first = false;
    return put_root(e, b->has_root, &b->root);
}

static cc_err put_attestation(struct export *e, bool *first, const struct slash_attestation *a)
{
    CC_TRY(buf_printf(
        &e->out, "%s\n        {\"source_epoch\": \"%llu\", \"target_epoch\": \"%llu\"",
        *first ? "" : ",", (unsigned long long)a->source, (unsigned long long)a->target));
    *first = false;
    return put_root(e, a->has_root, &a->root);
}

/* An importer takes the minimum of the records as the low watermark. So the watermark itself is written as a
 * record when none stands there, and what lies below it is left out.
 */
static cc_err put_blocks(struct export *e, const struct slash_validator *v)
{
    bool first = true;
    size_t i = 0;
    if (v->low.has_slot) {
        while (i < v->block_count && v->blocks[i].slot < v->low.slot)
            i++;
        if (i == v->block_count || v->blocks[i].slot != v->low.slot) {
            const struct slash_block mark = {.slot = v->low.slot};
            CC_TRY(put_block(e, &first, &mark));
        }
    }
    for (; i < v->block_count; i++)
        CC_TRY(put_block(e, &first, &v->blocks[i]));
    return CC_OK;
}

/* True when the records from the watermark on, with the watermark in front, are what an importer would make
 * the same watermark of, and none that is left out forbids more than the watermark does: a later source could
 * still be surrounded.
 */
static bool marks_agree(const struct slash_validator *v)
{
    for (size_t i = 0; i < v->attestation_count; i++) {
        const struct slash_attestation *a = &v->attestations[i];
        if (a->target > v->low.target && a->source < v->low.source)
            return false;
        if (a->target == v->low.target && a->source != v->low.source)
            return false;
        if (a->target < v->low.target && a->source > v->low.source)
            return false;
    }
    return true;
}

/* Stricter than any of the records: the latest source and target of all. */
static cc_err put_minified(struct export *e, const struct slash_validator *v)
{
    struct slash_attestation mark = {.source = v->low.source, .target = v->low.target};
    bool first = true;
    for (size_t i = 0; i < v->attestation_count; i++) {
        mark.source = u64_max(mark.source, v->attestations[i].source);
        mark.target = u64_max(mark.target, v->attestations[i].target);
    }
    return put_attestation(e, &first, &mark);
}

static cc_err put_attestations(struct export *e, const struct slash_validator *v)
{
    bool first = true;
    size_t i = 0;
    if (v->low.has_epochs) {
        if (!marks_agree(v))
            return put_minified(e, v);
        while (i < v->attestation_count && v->attestations[i].target < v->low.target)
            i++;
        if (i == v->attestation_count || v->attestations[i].target != v->low.target) {
            const struct slash_attestation mark = {.source = v->low.source,
                                                   .target = v->low.target};
            CC_TRY(put_attestation(e, &first, &mark));
        }
    }
    for (; i < v->attestation_count; i++)
        CC_TRY(put_attestation(e, &first, &v->attestations[i]));
    return CC_OK;
}

static cc_err put_validator(void *context, const struct slash_validator *v)
{
    struct export *e = context;
    if (!chosen(&v->pubkey, e->only, e->only_count))
        return CC_OK;
    CC_TRY(buf_append_str(&e->out, e->count ? ",\n    {\"pubkey\": \"" : "\n    {\"pubkey\": \""));
    CC_TRY(hex_append(&e->out, v->pubkey.bytes, sizeof v->pubkey.bytes));
    CC_TRY(buf_append_str(&e->out, "\",\n      \"signed_blocks\": ["));
    CC_TRY(put_blocks(e, v));
    CC_TRY(buf_append_str(&e->out, "],\n      \"signed_attestations\": ["));
    CC_TRY(put_attestations(e, v));
    CC_TRY(buf_append_str(&e->out, "]}"));
    e->count++;
    return CC_OK;
}

static cc_err export_all(struct export *e, struct slash_store *store)
{
    CC_TRY(buf_append_str(&e->out,
                          "{\n  \"metadata\": {\n    \"interchange_format_version\": \"5\",\n"
                          "    \"genesis_validators_root\": \""));
    CC_TRY(hex_append(&e->out, store->identity.genesis_validators_root.bytes, 32));
    CC_TRY(buf_append_str(&e->out, "\"\n  },\n  \"data\": ["));
    CC_TRY(slash_visit(store, NULL, put_validator, e));
    CC_TRY(buf_append_str(&e->out, "\n  ]\n}\n"));
    return flush(e);
}

CC_ERR interchange_export(struct slash_store *store,
                          interchange_write_fn *write,
                          void *context,
                          const struct eth_pubkey *only,
                          size_t only_count,
                          uint64_t *ret_count)
{
    if (!store->identity.has_genesis_validators_root)
        return CC_FAIL(IDENTITY, "the history's network isn't fixed yet");
    struct export e = {
        .write = write,
        .context = context,
        .only = only,
        .only_count = only_count,
        .out = buf_init((size_t)2 * CHUNK),
    };
    cc_err err = export_all(&e, store);
    buf_release(&e.out);
    if (!err.code)
        *ret_count = e.count;
    return err;
}
