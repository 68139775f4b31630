#include "slash/interchange.h"

#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "codec/hex.h"
#include "slash/backend.h"
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

struct batch;

struct import {
    struct slash_store *store;
    struct interchange_rules rules;
    struct interchange_result *result;
    struct batch *batch;
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

/* --- many validators at a time: what a transaction costs is paid once for them all --- */

enum {
    BATCH_RECORDS = 16384 /* beyond these a batch takes no further validator: 2 MB */
};

struct batch {
    struct slash_validator validators[SLASH_MERGE_MAX];
    struct slash_import_report reports[SLASH_MERGE_MAX];
    size_t count;
    struct slash_block *blocks;
    size_t block_count, block_room;
    struct slash_attestation *attestations;
    size_t attestation_count, attestation_room;
};

static void batch_free(struct batch *batch)
{
    if (!batch)
        return;
    cc_free(batch->blocks);
    cc_free(batch->attestations);
    cc_free(batch);
}

static cc_err merge_all(struct import *import, const struct slash_validator *validators, size_t n)
{
    struct slash_import_report *reports = import->batch->reports;
    struct interchange_result *result = import->result;
    cc_err err = slash_merge_many(import->store, validators, n, reports);
    for (size_t i = 0; i < n; i++)
        slash_import_report_add(&result->report, &reports[i]);
    CC_TRY(err);
    for (size_t i = 0; i < n; i++)
        if (reports[i].contradictory)
            CC_TRY(slash_visit(import->store, &validators[i].pubkey, note_contradiction, result));
    return CC_OK;
}

static cc_err flush_batch(struct import *import)
{
    struct batch *b = import->batch;
    size_t n = b->count;
    size_t block = 0;
    size_t attestation = 0;
    /* Only now do the arrays stay where they are. */
    for (size_t i = 0; i < n; i++) {
        struct slash_validator *v = &b->validators[i];
        v->blocks = v->block_count ? &b->blocks[block] : NULL;
        v->attestations = v->attestation_count ? &b->attestations[attestation] : NULL;
        block += v->block_count;
        attestation += v->attestation_count;
    }
    b->count = b->block_count = b->attestation_count = 0;
    return n ? merge_all(import, b->validators, n) : CC_OK;
}

static bool in_batch(const struct batch *b, const struct eth_pubkey *key)
{
    for (size_t i = 0; i < b->count; i++)
        if (memcmp(b->validators[i].pubkey.bytes, key->bytes, sizeof key->bytes) == 0)
            return true;
    return false;
}

static bool is_full(const struct batch *b, size_t records)
{
    return b->count == SLASH_MERGE_MAX ||
           b->block_count + b->attestation_count + records > BATCH_RECORDS;
}

static cc_err copy_records(struct batch *b, const struct slash_validator *v)
{
    for (size_t i = 0; i < v->block_count; i++) {
        struct slash_block *grown =
            cc_grow_array(b->blocks, b->block_count, &b->block_room, sizeof *grown);
        if (!grown)
            return CC_FAIL(NO_MEMORY, "import");
        b->blocks = grown;
        b->blocks[b->block_count++] = v->blocks[i];
    }
    for (size_t i = 0; i < v->attestation_count; i++) {
        struct slash_attestation *grown = cc_grow_array(b->attestations, b->attestation_count,
                                                        &b->attestation_room, sizeof *grown);
        if (!grown)
            return CC_FAIL(NO_MEMORY, "import");
        b->attestations = grown;
        b->attestations[b->attestation_count++] = v->attestations[i];
    }
    b->validators[b->count++] = *v;
    return CC_OK;
}

static cc_err merge_one(void *context, const struct slash_validator *validator)
{
    struct import *import = context;
    struct batch *b = import->batch;
    struct slash_validator raised = *validator;
    size_t records = validator->block_count + validator->attestation_count;
    if (!chosen(&validator->pubkey, import->rules.only, import->rules.only_count))
        return CC_OK;
    (void)slash_watermark_raise(&raised.low, &import->rules.floor);
    if (is_full(b, records) || in_batch(b, &validator->pubkey))
        CC_TRY(flush_batch(import));
    return records > BATCH_RECORDS ? merge_all(import, &raised, 1) : copy_records(b, &raised);
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
    CC_TRY(flush_batch(import));
    /* A file that changes while it is read twice is an error, though nothing is less safe for it. */
    return memcmp(root.bytes, r->genesis_validators_root.bytes, sizeof root.bytes) == 0
               ? CC_OK
               : CC_FAIL(INTERCHANGE, "the file changed while it was read");
}

CC_ERR interchange_import(struct slash_store *store,
                          const struct interchange_source *source,
                          const struct interchange_rules *rules,
                          struct interchange_result *ret_result)
{
    struct interchange_reader *reader = cc_alloc(sizeof *reader);
    if (!reader)
        return CC_FAIL(NO_MEMORY, "interchange");
    struct batch *batch = cc_alloc(sizeof *batch);
    struct import import = {.store = store, .result = ret_result, .batch = batch};
    if (rules)
        import.rules = *rules;
    cc_err err = batch ? import_twice(reader, source, &import) : CC_FAIL(NO_MEMORY, "import");
    batch_free(batch);
    interchange_reader_release(reader);
    cc_free(reader);
    return err;
}

/* --- export ------------------------------------------------------------------------------------- */

enum {
    CHUNK = 32768
};

static cc_err flush(struct interchange_writer *w)
{
    cc_err err = w->out.len ? w->write(w->context, w->out.data, w->out.len) : CC_OK;
    w->out.len = 0;
    return err;
}

static cc_err put_root(struct interchange_writer *w, bool has_root, const struct signing_root *root)
{
    if (has_root) {
        CC_TRY(buf_append_str(&w->out, ", \"signing_root\": \""));
        CC_TRY(hex_append(&w->out, root->bytes, sizeof root->bytes));
        CC_TRY(buf_append_str(&w->out, "\""));
    }
    CC_TRY(buf_append_str(&w->out, "}"));
    return w->out.len > CHUNK ? flush(w) : CC_OK;
}

static cc_err put_block(struct interchange_writer *w, bool *first, const struct slash_block *b)
{
    CC_TRY(buf_printf(&w->out, "%s\n        {\"slot\": \"%llu\"", *first ? "" : ",",
                      (unsigned long long)b->slot));
    *first = false;
    return put_root(w, b->has_root, &b->root);
}

static cc_err
put_attestation(struct interchange_writer *w, bool *first, const struct slash_attestation *a)
{
    CC_TRY(buf_printf(
        &w->out, "%s\n        {\"source_epoch\": \"%llu\", \"target_epoch\": \"%llu\"",
        *first ? "" : ",", (unsigned long long)a->source, (unsigned long long)a->target));
    *first = false;
    return put_root(w, a->has_root, &a->root);
}

/* An importer takes the minimum of the records as the low watermark. So the watermark itself is written as a
 * record when none stands there, and what lies below it is left out.
 */
static cc_err put_blocks(struct interchange_writer *w, const struct slash_validator *v)
{
    bool first = true;
    size_t i = 0;
    if (v->low.has_slot) {
        while (i < v->block_count && v->blocks[i].slot < v->low.slot)
            i++;
        if (i == v->block_count || v->blocks[i].slot != v->low.slot) {
            const struct slash_block mark = {.slot = v->low.slot};
            CC_TRY(put_block(w, &first, &mark));
        }
    }
    for (; i < v->block_count; i++)
        CC_TRY(put_block(w, &first, &v->blocks[i]));
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
static cc_err put_minified(struct interchange_writer *w, const struct slash_validator *v)
{
    struct slash_attestation mark = {.source = v->low.source, .target = v->low.target};
    bool first = true;
    for (size_t i = 0; i < v->attestation_count; i++) {
        mark.source = u64_max(mark.source, v->attestations[i].source);
        mark.target = u64_max(mark.target, v->attestations[i].target);
    }
    return put_attestation(w, &first, &mark);
}

static cc_err put_attestations(struct interchange_writer *w, const struct slash_validator *v)
{
    bool first = true;
    size_t i = 0;
    if (v->low.has_epochs) {
        if (!marks_agree(v))
            return put_minified(w, v);
        while (i < v->attestation_count && v->attestations[i].target < v->low.target)
            i++;
        if (i == v->attestation_count || v->attestations[i].target != v->low.target) {
            const struct slash_attestation mark = {.source = v->low.source,
                                                   .target = v->low.target};
            CC_TRY(put_attestation(w, &first, &mark));
        }
    }
    for (; i < v->attestation_count; i++)
        CC_TRY(put_attestation(w, &first, &v->attestations[i]));
    return CC_OK;
}

CC_ERR interchange_write_begin(struct interchange_writer *w,
                               const struct eth_root *genesis_validators_root)
{
    w->out = buf_init((size_t)2 * CHUNK);
    w->count = 0;
    CC_TRY(buf_append_str(&w->out,
                          "{\n  \"metadata\": {\n    \"interchange_format_version\": \"5\",\n"
                          "    \"genesis_validators_root\": \""));
    CC_TRY(hex_append(&w->out, genesis_validators_root->bytes, 32));
    return buf_append_str(&w->out, "\"\n  },\n  \"data\": [");
}

CC_ERR interchange_write_validator(struct interchange_writer *w, const struct slash_validator *v)
{
    CC_TRY(buf_append_str(&w->out, w->count ? ",\n    {\"pubkey\": \"" : "\n    {\"pubkey\": \""));
    CC_TRY(hex_append(&w->out, v->pubkey.bytes, sizeof v->pubkey.bytes));
    w->count++;
    CC_TRY(buf_append_str(&w->out, "\",\n      \"signed_blocks\": ["));
    CC_TRY(put_blocks(w, v));
    CC_TRY(buf_append_str(&w->out, "],\n      \"signed_attestations\": ["));
    CC_TRY(put_attestations(w, v));
    return buf_append_str(&w->out, "]}");
}

CC_ERR interchange_write_flush(struct interchange_writer *w)
{
    return flush(w);
}

CC_ERR interchange_write_end(struct interchange_writer *w)
{
    CC_TRY(buf_append_str(&w->out, "\n  ]\n}\n"));
    return flush(w);
}

void interchange_writer_release(struct interchange_writer *w)
{
    buf_release(&w->out);
}

struct export
{
    struct interchange_writer writer;
    const struct eth_pubkey *only;
    size_t only_count;
    uint64_t *ret_count;
};

static cc_err put_validator(void *context, const struct slash_validator *v)
{
    struct export *e = context;
    if (!chosen(&v->pubkey, e->only, e->only_count))
        return CC_OK;
    CC_TRY(interchange_write_validator(&e->writer, v));
    *e->ret_count = e->writer.count;
    return CC_OK;
}

static cc_err export_all(struct export *e, struct slash_store *store)
{
    CC_TRY(interchange_write_begin(&e->writer, &store->identity.genesis_validators_root));
    CC_TRY(slash_visit(store, NULL, put_validator, e));
    return interchange_write_end(&e->writer);
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
        .writer = {.write = write, .context = context},
        .only = only,
        .only_count = only_count,
        .ret_count = ret_count,
    };
    *ret_count = 0;
    cc_err err = export_all(&e, store);
    interchange_writer_release(&e.writer);
    return err;
}
