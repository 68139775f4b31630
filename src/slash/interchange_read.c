#include "slash/interchange_read.h"

#include "base/alloc.h"
#include "base/num.h"

#include "codec/hex.h"

/* The fields of one object: a key that comes twice, or not at all, is a fault. */
struct field {
    const char *name;
    bool required;
    bool seen;
};

void interchange_fault(struct interchange_reader *reader,
                       uint64_t line,
                       const char *field,
                       const char *what)
{
    struct buf *out = &reader->result->messages;
    reader->result->faults++;
    /* A full buffer loses messages, never faults: those are counted. */
    cc_err err = buf_printf(out, "line %llu: ", (unsigned long long)line);
    if (!err.code && reader->in_data)
        err = buf_printf(out, "data[%llu]", (unsigned long long)reader->validator);
    if (!err.code && reader->list)
        err = buf_printf(out, ".%s[%llu]", reader->list, (unsigned long long)reader->record);
    if (!err.code && field)
        err = buf_printf(out, "%s%s", reader->in_data ? "." : "", field);
    if (!err.code)
        err = buf_printf(out, "%s%s\n", reader->in_data || field ? ": " : "", what);
    (void)err;
}

static void fault(struct interchange_reader *r, const char *field, const char *what)
{
    interchange_fault(r, r->json.line, field, what);
}

static cc_err too_many_faults(const struct interchange_reader *r)
{
    return r->result->faults >= INTERCHANGE_FAULTS_MAX ? CC_FAIL(INTERCHANGE, "too many faults")
                                                       : CC_OK;
}

/* Begins an object; with anything else there, a fault, and *ret_inside false. */
static cc_err
begin_object(struct interchange_reader *r, enum json_stream_event event, bool *ret_inside)
{
    *ret_inside = event == JSON_STREAM_OBJECT;
    if (*ret_inside)
        return CC_OK;
    fault(r, NULL, "must be an object");
    return json_stream_skip(&r->json, event);
}

/* The next known field of an object: its position in `fields`, with the first event of its value; -1 at the
 * end of the object. Unknown fields are read over: the format may grow.
 */
static cc_err next_field(struct interchange_reader *r,
                         struct field *fields,
                         int count,
                         int *ret_field,
                         enum json_stream_event *ret_event)
{
    for (;;) {
        enum json_stream_event event;
        CC_TRY(json_stream_next(&r->json, &event));
        *ret_field = -1;
        if (event == JSON_STREAM_OBJECT_END)
            return CC_OK;
        for (int i = 0; i < count; i++)
            if (span_is(r->json.text, fields[i].name))
                *ret_field = i;
        CC_TRY(json_stream_next(&r->json, ret_event));
        if (*ret_field < 0) {
            CC_TRY(json_stream_skip(&r->json, *ret_event));
            continue;
        }
        if (fields[*ret_field].seen)
            fault(r, fields[*ret_field].name, "comes twice");
        fields[*ret_field].seen = true;
        return CC_OK;
    }
}

static void check_required(struct interchange_reader *r, const struct field *fields, int count)
{
    for (int i = 0; i < count; i++)
        if (fields[i].required && !fields[i].seen)
            fault(r, fields[i].name, "is missing");
}

/* A scalar of the wrong kind is a fault; a container in its place is read over. */
static cc_err expect_string(struct interchange_reader *r,
                            const char *name,
                            enum json_stream_event event,
                            bool *ret_ok)
{
    *ret_ok = event == JSON_STREAM_STRING;
    if (*ret_ok)
        return CC_OK;
    fault(r, name, "must be a string");
    return json_stream_skip(&r->json, event);
}

static cc_err read_u64(struct interchange_reader *r,
                       const char *name,
                       enum json_stream_event event,
                       uint64_t *ret_value)
{
    bool ok;
    CC_TRY(expect_string(r, name, event, &ok));
    if (!ok)
        return CC_OK;
    cc_err err = u64_parse(r->json.text, ret_value);
    if (error_is(err, ERROR_NUMBER_RANGE))
        fault(r, name, "is 2^64 or more");
    else if (err.code)
        fault(r, name, "is not a decimal number");
    return CC_OK;
}

static cc_err read_hex(struct interchange_reader *r,
                       const char *name,
                       enum json_stream_event event,
                       uint8_t *ret_bytes,
                       size_t len)
{
    bool ok;
    CC_TRY(expect_string(r, name, event, &ok));
    if (!ok)
        return CC_OK;
    struct span text = r->json.text;
    bool prefixed = text.len >= 2 && text.data[0] == '0' && text.data[1] == 'x';
    cc_err err = hex_decode(text, ret_bytes, len);
    if (!prefixed || error_is(err, ERROR_HEX_SYNTAX))
        fault(r, name, "is not 0x-prefixed hex");
    else if (err.code)
        fault(r, name, "has the wrong length");
    return CC_OK;
}

/* null stands for a root that isn't known, as some clients write it. */
static cc_err read_root(struct interchange_reader *r,
                        enum json_stream_event event,
                        bool *ret_has_root,
                        struct signing_root *ret_root)
{
    *ret_has_root = event != JSON_STREAM_NULL;
    if (!*ret_has_root)
        return CC_OK;
    return read_hex(r, "signing_root", event, ret_root->bytes, sizeof ret_root->bytes);
}

/* --- records -------------------------------------------------------------------------------------- */

static cc_err grow(void **array, size_t count, size_t *room, size_t size)
{
    if (count >= INTERCHANGE_RECORDS_MAX)
        return CC_FAIL(LIMIT, "a validator has too many records");
    void *grown = cc_grow_array(*array, count, room, size);
    if (!grown)
        return CC_FAIL(NO_MEMORY, "interchange");
    *array = grown;
    return CC_OK;
}

static cc_err read_block(struct interchange_reader *r, enum json_stream_event event)
{
    struct field fields[] = {{"slot", true, false}, {"signing_root", false, false}};
    struct slash_block block = {0};
    int field;
    bool inside;
    CC_TRY(begin_object(r, event, &inside));
    while (inside) {
        CC_TRY(next_field(r, fields, ARRAY_LEN(fields), &field, &event));
        if (field < 0)
            break;
        if (field == 0)
            CC_TRY(read_u64(r, "slot", event, &block.slot));
        else
            CC_TRY(read_root(r, event, &block.has_root, &block.root));
    }
    if (inside)
        check_required(r, fields, ARRAY_LEN(fields));
    void *array = r->blocks;
    CC_TRY(grow(&array, r->block_count, &r->block_room, sizeof block));
    r->blocks = array;
    r->blocks[r->block_count++] = block;
    return CC_OK;
}

static cc_err read_attestation(struct interchange_reader *r, enum json_stream_event event)
{
    struct field fields[] = {{"source_epoch", true, false},
                             {"target_epoch", true, false},
                             {"signing_root", false, false}};
    struct slash_attestation a = {0};
    int field;
    bool inside;
    CC_TRY(begin_object(r, event, &inside));
    while (inside) {
        CC_TRY(next_field(r, fields, ARRAY_LEN(fields), &field, &event));
        if (field < 0)
            break;
        if (field == 0)
            CC_TRY(read_u64(r, "source_epoch", event, &a.source));
        else if (field == 1)
            CC_TRY(read_u64(r, "target_epoch", event, &a.target));
        else
            CC_TRY(read_root(r, event, &a.has_root, &a.root));
    }
    if (inside)
        check_required(r, fields, ARRAY_LEN(fields));
    void *array = r->attestations;
    CC_TRY(grow(&array, r->attestation_count, &r->attestation_room, sizeof a));
    r->attestations = array;
    r->attestations[r->attestation_count++] = a;
    return CC_OK;
}

static cc_err read_list(struct interchange_reader *r,
                        const char *name,
                        enum json_stream_event event,
                        cc_err (*read_one)(struct interchange_reader *, enum json_stream_event))
{
    if (event != JSON_STREAM_ARRAY) {
        fault(r, name, "must be an array");
        return json_stream_skip(&r->json, event);
    }
    r->list = name;
    for (r->record = 0;; r->record++) {
        CC_TRY(json_stream_next(&r->json, &event));
        if (event == JSON_STREAM_ARRAY_END)
            break;
        CC_TRY(read_one(r, event));
        CC_TRY(too_many_faults(r));
    }
    r->list = NULL;
    return CC_OK;
}

/* --- validators and the file ----------------------------------------------------------------------- */

static cc_err read_validator(struct interchange_reader *r, enum json_stream_event event)
{
    struct field fields[] = {{"pubkey", true, false},
                             {"signed_blocks", true, false},
                             {"signed_attestations", true, false}};
    struct slash_validator v = {.enabled = true};
    uint32_t faults = r->result->faults;
    int field;
    bool inside;
    r->block_count = r->attestation_count = 0;
    CC_TRY(begin_object(r, event, &inside));
    while (inside) {
        CC_TRY(next_field(r, fields, ARRAY_LEN(fields), &field, &event));
        if (field < 0)
            break;
        if (field == 0)
            CC_TRY(read_hex(r, "pubkey", event, v.pubkey.bytes, sizeof v.pubkey.bytes));
        else if (field == 1)
            CC_TRY(read_list(r, "signed_blocks", event, read_block));
        else
            CC_TRY(read_list(r, "signed_attestations", event, read_attestation));
    }
    if (inside)
        check_required(r, fields, ARRAY_LEN(fields));
    if (r->result->faults != faults)
        return too_many_faults(r);
    v.blocks = r->blocks;
    v.block_count = r->block_count;
    v.attestations = r->attestations;
    v.attestation_count = r->attestation_count;
    return r->each(r->context, &v);
}

static cc_err read_data(struct interchange_reader *r, enum json_stream_event event)
{
    if (event != JSON_STREAM_ARRAY) {
        fault(r, "data", "must be an array");
        return json_stream_skip(&r->json, event);
    }
    r->in_data = true;
    for (r->validator = 0;; r->validator++) {
        CC_TRY(json_stream_next(&r->json, &event));
        if (event == JSON_STREAM_ARRAY_END)
            break;
        CC_TRY(read_validator(r, event));
    }
    r->in_data = false;
    return CC_OK;
}

static cc_err read_version(struct interchange_reader *r, enum json_stream_event event)
{
    bool ok;
    CC_TRY(expect_string(r, "interchange_format_version", event, &ok));
    if (!ok)
        return CC_OK;
    if (!span_is(r->json.text, "5")) {
        fault(r, "interchange_format_version", "must be \"5\"");
        return CC_FAIL(INTERCHANGE_VERSION, "not version 5");
    }
    r->has_version = true;
    return CC_OK;
}

static cc_err read_metadata(struct interchange_reader *r, enum json_stream_event event)
{
    struct field fields[] = {{"interchange_format_version", true, false},
                             {"genesis_validators_root", true, false}};
    int field;
    bool inside;
    r->metadata_line = r->json.line;
    CC_TRY(begin_object(r, event, &inside));
    while (inside) {
        CC_TRY(next_field(r, fields, ARRAY_LEN(fields), &field, &event));
        if (field < 0)
            break;
        if (field == 0) {
            CC_TRY(read_version(r, event));
        } else {
            CC_TRY(read_hex(r, "genesis_validators_root", event, r->genesis_validators_root.bytes,
                            sizeof r->genesis_validators_root.bytes));
            r->has_genesis_validators_root = true;
        }
    }
    if (inside)
        check_required(r, fields, ARRAY_LEN(fields));
    return CC_OK;
}

static cc_err read_file(struct interchange_reader *r)
{
    struct field fields[] = {{"metadata", true, false}, {"data", true, false}};
    enum json_stream_event event;
    int field;
    bool inside;
    CC_TRY(json_stream_next(&r->json, &event));
    CC_TRY(begin_object(r, event, &inside));
    while (inside) {
        CC_TRY(next_field(r, fields, ARRAY_LEN(fields), &field, &event));
        if (field < 0)
            break;
        if (field == 0)
            CC_TRY(read_metadata(r, event));
        else
            CC_TRY(read_data(r, event));
    }
    if (inside)
        check_required(r, fields, ARRAY_LEN(fields));
    return json_stream_next(&r->json, &event); /* the end, or text after it */
}

CC_ERR interchange_read(struct interchange_reader *reader,
                        const struct interchange_source *source,
                        struct interchange_result *result,
                        slash_visit_fn *each,
                        void *context)
{
    json_stream_init(&reader->json, source->read, source->context);
    reader->result = result;
    reader->each = each;
    reader->context = context;
    reader->has_version = reader->has_genesis_validators_root = false;
    reader->list = NULL;
    reader->in_data = false;
    uint32_t faults = result->faults;
    cc_err err = read_file(reader);
    /* What the parser found wrong has no message yet. */
    if (err.code && reader->json.failed.code == err.code)
        fault(reader, NULL, error_detail());
    CC_TRY(err);
    return result->faults == faults ? CC_OK : CC_FAIL(INTERCHANGE, "the file has faults");
}

void interchange_reader_release(struct interchange_reader *reader)
{
    cc_free(reader->blocks);
    cc_free(reader->attestations);
    reader->blocks = NULL;
    reader->attestations = NULL;
    reader->block_room = reader->attestation_room = 0;
}
