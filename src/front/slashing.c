#include "front/slashing.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "codec/hex.h"
#include "front/answer.h"
#include "slash/interchange_read.h"
#include "slash/merge.h"
#include "slash/records.h"
#include "slash/verify.h"

enum {
    STEP_FIRST = 16, /* validators that the first step of a walk visits at most */
    NOTE_MAX = 512,
    NOTES_MAX = 1 << 20, /* bytes of notes, and of faults */
    TEXT_MAX = 512 << 20 /* of one step of an export: a validator with a million records */
};

/* The records of a chosen key, or some of them. */
struct part {
    size_t key; /* in `only` */
    size_t from, to;
};

struct slashing {
    struct a_slashing ask;
    struct a_slashing_head
        sum;    /* of the answers so far; at the end of a walk, the last one's place */
    bool begun; /* at least one answer was taken */
    bool over;  /* no further step */
    /* import */
    struct a_record *records;
    size_t count, at, end, room; /* what is under way goes from `at` to `end` */
    struct part *parts;          /* with `only` */
    size_t parts_count, parts_at, parts_room;
    const bool *is_picked;
    struct a_record validator; /* whose records are at `at` */
    bool goes_on;              /* it began in an earlier message, and is counted there */
    struct interchange_result read;
    const struct slashing_keys *only; /* NULL: all */
    struct buf notes;                 /* JSON: import's notes, verify's faults */
    uint64_t notes_count;
    /* export */
    bool lists_disabled; /* in the place of the interchange */
    uint64_t listed;
    struct interchange_writer writer;
    struct buf text;
    size_t text_at;
};

static cc_err put_text(void *context, const void *data, size_t len)
{
    return buf_append(context, data, len);
}

/* In order of their bytes, as walks go. */
static int key_order(const struct eth_pubkey *a, const struct eth_pubkey *b)
{
    for (size_t i = 0; i < sizeof a->bytes; i++)
        if (a->bytes[i] != b->bytes[i])
            return a->bytes[i] < b->bytes[i] ? -1 : 1;
    return 0;
}

CC_ERR slashing_new(enum a_slashing_verb verb, struct slashing **ret_slashing)
{
    struct slashing *s = cc_alloc(sizeof *s);
    if (!s)
        return CC_FAIL(NO_MEMORY, NULL);
    s->ask.head.verb = verb;
    s->ask.head.validators = STEP_FIRST;
    s->sum.verb = verb;
    s->read.messages = buf_init(NOTES_MAX);
    s->notes = buf_init(NOTES_MAX);
    s->text = buf_init(TEXT_MAX);
    s->writer = (struct interchange_writer){.write = put_text, .context = &s->text};
    *ret_slashing = s;
    return CC_OK;
}

void slashing_free(struct slashing *s)
{
    if (!s)
        return;
    interchange_writer_release(&s->writer);
    buf_release(&s->read.messages);
    buf_release(&s->notes);
    buf_release(&s->text);
    cc_free(s->records);
    cc_free(s->parts);
    cc_free(s);
}

/* The step that gives the validator of one key, where there is one, is the walk's next one after the key before it. Where no
 * key is left, a step gives none, and says what the history's network is.
 */
static void ask_for_chosen(struct slashing *s)
{
    struct a_slashing_head *ask = &s->ask.head;
    ask->has_key = true;
    ask->validators = 1;
    memset(ask->key.bytes, 0xff, sizeof ask->key.bytes);
    if (s->at == s->only->count)
        return;
    ask->key = s->only->keys[s->at];
    for (size_t i = sizeof ask->key.bytes; i > 0 && ask->key.bytes[i - 1]-- == 0; i--)
        ;
}

void slashing_only(struct slashing *s, const struct slashing_keys *only)
{
    cc_assert(!s->begun);
    s->only = only;
    if (s->ask.head.verb == SLASHING_EXPORT)
        ask_for_chosen(s);
}

void slashing_list_disabled(struct slashing *s)
{
    cc_assert(!s->begun && s->ask.head.verb == SLASHING_EXPORT);
    s->lists_disabled = true;
}

void slashing_set_scope(struct slashing *s, uint32_t scope)
{
    s->ask.head.scope = scope;
}

/* --- arguments ------------------------------------------------------------------------------------------------------- */

static cc_err take_epoch(struct slashing *s, struct jval value)
{
    CC_TRY(jval_u64(value, &s->ask.head.epoch));
    return s->ask.head.epoch ? CC_OK : CC_FAIL(NUMBER_RANGE, "epoch");
}

static cc_err take_keep_epochs(struct slashing *s, struct jval value)
{
    CC_TRY(jval_u64(value, &s->ask.head.keep_epochs));
    return s->ask.head.keep_epochs ? CC_OK : CC_FAIL(NUMBER_RANGE, "keep_epochs");
}

static cc_err take_cancel(struct slashing *s, struct jval value)
{
    bool cancel = false;
    CC_TRY(jval_bool(value, &cancel));
    s->ask.head.cancel = cancel;
    return CC_OK;
}

static cc_err take_force(struct slashing *s, struct jval value)
{
    bool force = false;
    CC_TRY(jval_bool(value, &force));
    s->ask.head.force = force;
    return CC_OK;
}

static cc_err take_key(struct slashing *s, struct jval value)
{
    struct span text;
    CC_TRY(jval_text(value, &text));
    s->ask.head.has_key = true;
    return hex_decode(hex_digits(text), s->ask.head.key.bytes, sizeof s->ask.head.key.bytes);
}

static const struct argument {
    enum a_slashing_verb verb;
    const char *name;
    cc_err (*take)(struct slashing *s, struct jval value);
} arguments[] = {
    {SLASHING_PRUNE, "keep_epochs", take_keep_epochs}, {SLASHING_ENABLE, "key", take_key},
    {SLASHING_HAND_OVER, "epoch", take_epoch},         {SLASHING_HAND_OVER, "cancel", take_cancel},
    {SLASHING_HAND_OVER, "force", take_force},         {SLASHING_REPAIR, "epoch", take_epoch},
};

static cc_err take_argument(struct slashing *s, struct span name, struct jval value)
{
    for (size_t i = 0; i < ARRAY_LEN(arguments); i++)
        if (arguments[i].verb == (enum a_slashing_verb)s->ask.head.verb &&
            span_is(name, arguments[i].name))
            return arguments[i].take(s, value);
    return CC_FAIL(MALFORMED, "an argument that this route does not have");
}

static cc_err check_arguments(const struct a_slashing_head *head)
{
    bool epoch = head->epoch != 0;
    if (head->verb == SLASHING_ENABLE && !head->has_key)
        return CC_FAIL(FIELD_MISSING, "key");
    if (head->verb == SLASHING_REPAIR && !epoch)
        return CC_FAIL(FIELD_MISSING, "epoch");
    if (head->verb == SLASHING_HAND_OVER && epoch == (head->cancel != 0))
        return CC_FAIL(FIELD_MISSING, "epoch, or cancel, and not both");
    return CC_OK;
}

static cc_err read_arguments(struct slashing *s, struct jdoc *doc, uint8_t *body, size_t len)
{
    if (len) {
        CC_TRY(jdoc_parse(doc, body, len));
        struct jval root = jdoc_root(doc), value;
        struct span name;
        if (jval_type(root) != JVAL_OBJECT)
            return CC_FAIL(FIELD_TYPE, "the body must be an object");
        struct jval_iter members = jval_iterate(root);
        while (jval_next_member(&members, &name, &value))
            CC_TRY(take_argument(s, name, value));
    }
    return check_arguments(&s->ask.head);
}

/* --- an import's body --------------------------------------------------------------------------------------------------- */

struct body {
    const uint8_t *data;
    size_t len, at;
};

static cc_err read_body(void *context, void *into, size_t room, size_t *ret_len)
{
    struct body *body = context;
    *ret_len = (size_t)u64_min(room, body->len - body->at);
    if (*ret_len)
        memcpy(into, body->data + body->at, *ret_len);
    body->at += *ret_len;
    return CC_OK;
}

static cc_err keep_record(void *context, const struct a_record *record)
{
    struct slashing *s = context;
    if (s->count == A_RECORDS_TOTAL)
        return CC_FAIL(BODY_TOO_LARGE, "more records than one request may have");
    struct a_record *grown = cc_grow_array(s->records, s->count, &s->room, sizeof *grown);
    if (!grown)
        return CC_FAIL(NO_MEMORY, "records");
    s->records = grown;
    s->records[s->count++] = *record;
    return CC_OK;
}

/* False where it is none of the chosen. */
static bool find_chosen(struct slashing *s, const struct eth_pubkey *key, size_t *ret_place)
{
    size_t from = 0, to = s->only->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = key_order(key, &s->only->keys[middle]);
        if (order == 0) {
            *ret_place = middle;
            return true;
        }
        if (order < 0)
            to = middle;
        else
            from = middle + 1;
    }
    return false;
}

/* What was kept since there were `from` records is of the chosen key at `key`. */
static cc_err keep_part(struct slashing *s, size_t key, size_t from)
{
    struct part *grown = cc_grow_array(s->parts, s->parts_count, &s->parts_room, sizeof *grown);
    if (!grown)
        return CC_FAIL(NO_MEMORY, "records");
    s->parts = grown;
    s->parts[s->parts_count++] = (struct part){key, from, s->count};
    s->only->found[key] = true;
    return CC_OK;
}

/* A validator may come out of its messages in several merges. In order, the first has the earliest of all, which becomes its
 * low watermark as it would in one (slash/merge.h).
 */
static cc_err keep_validator(void *context, const struct slash_validator *v)
{
    struct slashing *s = context;
    struct slash_validator sorted = *v;
    size_t key = 0;
    const size_t from = s->count;
    if (s->only && !find_chosen(s, &v->pubkey, &key))
        return CC_OK;
    CC_CLEANUP(cc_freep)
    struct slash_block *blocks = cc_alloc_array(v->block_count, sizeof *blocks);
    CC_CLEANUP(cc_freep)
    struct slash_attestation *votes = cc_alloc_array(v->attestation_count, sizeof *votes);
    if (!blocks || !votes)
        return CC_FAIL(NO_MEMORY, "records");
    if (v->block_count) {
        memcpy(blocks, v->blocks, v->block_count * sizeof *blocks);
        qsort(blocks, v->block_count, sizeof *blocks, slash_block_order);
    }
    if (v->attestation_count) {
        memcpy(votes, v->attestations, v->attestation_count * sizeof *votes);
        qsort(votes, v->attestation_count, sizeof *votes, slash_attestation_order);
    }
    sorted.blocks = blocks;
    sorted.attestations = votes;
    CC_TRY(slash_records_put(&sorted, keep_record, context));
    return s->only ? keep_part(s, key, from) : CC_OK;
}

static cc_err read_import(struct slashing *s, const uint8_t *data, size_t len)
{
    struct body body = {data, len, 0};
    const struct interchange_source source = {.read = read_body, .context = &body};
    struct interchange_reader *reader = cc_alloc(sizeof *reader);
    if (!reader)
        return CC_FAIL(NO_MEMORY, NULL);
    cc_err err = interchange_read(reader, &source, &s->read, keep_validator, s);
    s->ask.head.has_genesis = reader->has_genesis_validators_root;
    s->ask.head.genesis_validators_root = reader->genesis_validators_root;
    interchange_reader_release(reader);
    cc_free(reader);
    s->end = s->only ? 0 : s->count;
    return err;
}

CC_ERR slashing_read(struct slashing *s, struct jdoc *doc, uint8_t *body, size_t len)
{
    if (s->ask.head.verb == SLASHING_IMPORT)
        return read_import(s, body, len);
    return read_arguments(s, doc, body, len);
}

/* --- the next step ---------------------------------------------------------------------------------------------------------- */

/* The records that are next; false when there are none. */
static bool has_records(struct slashing *s)
{
    while (s->at == s->end && s->is_picked && s->parts_at < s->parts_count) {
        const struct part *part = &s->parts[s->parts_at++];
        if (!s->is_picked[part->key])
            continue;
        s->at = part->from;
        s->end = part->to;
    }
    return s->at < s->end;
}

void slashing_pick(struct slashing *s, const bool *is_picked)
{
    cc_assert(s->only);
    s->is_picked = is_picked;
    s->parts_at = 0;
    s->at = s->end; /* a step that failed is not asked again */
    s->over = !has_records(s);
}

static void fill_import(struct slashing *s)
{
    struct a_slashing *ask = &s->ask;
    uint32_t n = 0, validators = 0;
    s->goes_on = false;
    memset(ask->records, 0, sizeof ask->records);
    while (n < A_RECORDS_MAX && has_records(s)) {
        const struct a_record *r = &s->records[s->at];
        bool begins = r->kind == RECORD_VALIDATOR;
        if (begins && validators == SLASH_MERGE_MAX)
            break;
        if (begins)
            s->validator = *r;
        else if (n == 0) {
            ask->records[n++] = s->validator;
            s->goes_on = true;
        }
        validators += begins || validators == 0;
        ask->records[n++] = *r;
        s->at++;
    }
    ask->head.count = n;
}

struct a_slashing *slashing_next(struct slashing *s)
{
    if (s->over)
        return NULL;
    if (s->ask.head.verb == SLASHING_IMPORT)
        fill_import(s);
    return &s->ask;
}

/* --- answers ------------------------------------------------------------------------------------------------------------------ */

static cc_err put_key(struct slashing *s, const struct eth_pubkey *key)
{
    CC_TRY(buf_append_str(&s->notes, s->notes_count++ ? ",{\"pubkey\":\"" : "{\"pubkey\":\""));
    CC_TRY(hex_append(&s->notes, key->bytes, sizeof key->bytes));
    return buf_append_str(&s->notes, "\"");
}

static cc_err put_low(struct slashing *s, const struct a_record *r)
{
    if (r->flags & RECORD_HAS_SLOT)
        CC_TRY(buf_printf(&s->notes, ",\"slot\":\"%" PRIu64 "\"", r->is.vote.more.slot));
    if (r->flags & RECORD_HAS_EPOCHS)
        CC_TRY(buf_printf(&s->notes,
                          ",\"source_epoch\":\"%" PRIu64 "\",\"target_epoch\":\"%" PRIu64 "\"",
                          r->is.vote.source, r->is.vote.target));
    return CC_OK;
}

static cc_err put_fault(struct slashing *s, const struct a_record *r)
{
    enum slash_fault fault = (enum slash_fault)r->fault;
    CC_TRY(buf_printf(&s->notes, ",\"fault\":\"%s\"", slash_fault_name(fault)));
    if (slash_fault_is_of_block(fault))
        return buf_printf(&s->notes, ",\"slot\":\"%" PRIu64 "\"", r->is.vote.more.slot);
    if (fault == SLASH_FAULT_NO_WATERMARK)
        return CC_OK;
    return buf_printf(&s->notes,
                      ",\"source_epoch\":\"%" PRIu64 "\",\"target_epoch\":\"%" PRIu64 "\"",
                      r->is.vote.source, r->is.vote.target);
}

/* A key and what there is to say about it: one note for each. */
static cc_err take_notes(struct slashing *s, const struct a_record *records, size_t n)
{
    const struct a_record *key = NULL;
    for (size_t i = 0; i < n; i++) {
        const struct a_record *r = &records[i];
        if (r->kind == RECORD_VALIDATOR) {
            key = r;
            continue;
        }
        if (!key || (r->kind != RECORD_LOW && r->kind != RECORD_FAULT))
            return CC_FAIL(PROTOCOL, "notes about the history");
        if (s->notes.len > NOTES_MAX - NOTE_MAX)
            continue; /* the counts say that there are more */
        CC_TRY(put_key(s, &key->is.pubkey));
        CC_TRY(r->kind == RECORD_LOW ? put_low(s, r) : put_fault(s, r));
        CC_TRY(buf_append_str(&s->notes, "}"));
    }
    return CC_OK;
}

/* The validator that the step after a chosen key's predecessor gave may be another one. */
static bool is_asked(const struct slashing *s, const struct eth_pubkey *key)
{
    return !s->only || (s->at < s->only->count && key_order(key, &s->only->keys[s->at]) == 0);
}

static bool export_goes_on(const struct slashing *s, const struct a_slashing_head *head)
{
    return s->only ? s->at + 1 < s->only->count : head->more != 0;
}

static cc_err take_disabled(struct slashing *s,
                            const struct a_slashing_head *head,
                            const struct slash_record_list *list)
{
    if (!s->begun)
        CC_TRY(buf_append_str(&s->text, "{\"disabled\":["));
    for (size_t i = 0; i < list->count; i++) {
        const struct eth_pubkey *key = &list->validators[i].pubkey;
        if (list->validators[i].enabled)
            continue;
        CC_TRY(buf_append_str(&s->text, s->listed++ ? ",\"" : "\""));
        CC_TRY(hex_append(&s->text, key->bytes, sizeof key->bytes));
        CC_TRY(buf_append_str(&s->text, "\""));
    }
    return head->more ? CC_OK : buf_append_str(&s->text, "]}");
}

static cc_err take_export(struct slashing *s,
                          const struct a_slashing_head *head,
                          const struct a_record *records,
                          size_t n)
{
    CC_CLEANUP(slash_record_list_release) struct slash_record_list list = {0};
    CC_TRY(slash_records_read(records, n, &list));
    if (s->lists_disabled)
        return take_disabled(s, head, &list);
    if (!s->begun)
        CC_TRY(interchange_write_begin(&s->writer, &head->genesis_validators_root));
    for (size_t i = 0; i < list.count; i++)
        if (is_asked(s, &list.validators[i].pubkey))
            CC_TRY(interchange_write_validator(&s->writer, &list.validators[i]));
    return export_goes_on(s, head) ? interchange_write_flush(&s->writer)
                                   : interchange_write_end(&s->writer);
}

static void add_sums(struct a_slashing_head *sum, const struct a_slashing_head *head)
{
    struct a_slashing_head next = *head;
    next.validators = u64_add_sat(next.validators, sum->validators);
    next.blocks = u64_add_sat(next.blocks, sum->blocks);
    next.attestations = u64_add_sat(next.attestations, sum->attestations);
    next.known = u64_add_sat(next.known, sum->known);
    next.contradictory = u64_add_sat(next.contradictory, sum->contradictory);
    next.removed = u64_add_sat(next.removed, sum->removed);
    next.faults = u64_add_sat(next.faults, sum->faults);
    next.extents = sum->extents;
    slash_extents_add(&next.extents, &head->extents);
    *sum = next;
}

/* Where the walk goes on, and how far: as far as the last step could have gone, or twice as far. */
static cc_err plan_walk(struct slashing *s, const struct a_slashing_head *head)
{
    struct a_slashing_head *ask = &s->ask.head;
    if (!head->more)
        return CC_OK;
    bool on = head->has_key && head->validators &&
              (!ask->has_key || key_order(&head->key, &ask->key) > 0);
    if (!on)
        return CC_FAIL(PROTOCOL, "a walk over the history that does not go on");
    ask->validators = head->validators < ask->validators
                          ? u64_max(1, head->validators)
                          : u64_min(SLASH_MERGE_MAX, ask->validators * 2);
    ask->has_key = true;
    ask->key = head->key;
    return CC_OK;
}

CC_ERR
slashing_took(struct slashing *s, const struct a_slashing_head *head, const struct buf *records)
{
    const struct a_record *items = (const void *)records->data;
    size_t n = records->len / sizeof *items;
    bool walks = head->verb == SLASHING_EXPORT || head->verb == SLASHING_VERIFY;
    if (head->verb == SLASHING_EXPORT)
        CC_TRY(take_export(s, head, items, n));
    else
        CC_TRY(take_notes(s, items, n));
    bool chosen = head->verb == SLASHING_EXPORT && s->only;
    bool export_more = export_goes_on(s, head);
    if (chosen) {
        s->at += s->at < s->only->count;
        ask_for_chosen(s);
    } else if (walks && !s->ask.head.has_mirror) {
        CC_TRY(plan_walk(s, head));
    }
    s->begun = true;
    if (s->goes_on && s->sum.validators)
        s->sum.validators--;
    s->over = head->verb == SLASHING_IMPORT ? !has_records(s) : chosen ? !export_more : !head->more;
    /* The walk over the history is over: the look at its mirror begins. */
    if (s->over && head->has_mirror && !s->ask.head.has_mirror) {
        s->ask.head.has_mirror = true;
        s->over = false;
    }
    add_sums(&s->sum, head);
    return CC_OK;
}

void slashing_failed(struct slashing *s, const struct a_slashing_head *head)
{
    s->sum.has_high = head->has_high;
    s->sum.slot = head->slot;
    s->sum.epoch = head->epoch;
}

/* --- the response ------------------------------------------------------------------------------------------------------------- */

static cc_err put_number(struct buf *out, const char *name, uint64_t number)
{
    return buf_printf(out, "\"%s\":%" PRIu64 ",", name, number);
}

static cc_err put_watermark(struct buf *out, const struct a_slashing_head *sum)
{
    if (!sum->has_high)
        return buf_append_str(out, "\"high_watermark\":null");
    return buf_printf(out,
                      "\"high_watermark\":{\"slot\":\"%" PRIu64 "\",\"epoch\":\"%" PRIu64 "\"}",
                      sum->slot, sum->epoch);
}

static cc_err put_status(struct buf *out, const struct a_slashing_head *sum)
{
    CC_TRY(buf_printf(out, "{\"backend\":\"%.*s\",\"history_id\":\"", (int)sizeof sum->backend,
                      sum->backend));
    CC_TRY(hex_append(out, sum->history_id, sizeof sum->history_id));
    CC_TRY(buf_append_str(out, "\",\"chamber_id\":\""));
    CC_TRY(hex_append(out, sum->chamber_id, sizeof sum->chamber_id));
    CC_TRY(buf_append_str(out, "\","));
    if (sum->has_genesis) {
        CC_TRY(buf_append_str(out, "\"genesis_validators_root\":\""));
        CC_TRY(hex_append(out, sum->genesis_validators_root.bytes, 32));
        CC_TRY(buf_append_str(out, "\","));
    }
    if (sum->has_ceiling)
        CC_TRY(buf_printf(out, "\"ceiling\":\"%" PRIu64 "\",", sum->ceiling));
    CC_TRY(put_number(out, "validators", sum->validators));
    CC_TRY(put_number(out, "blocks", sum->blocks));
    CC_TRY(put_number(out, "attestations", sum->attestations));
    CC_TRY(put_watermark(out, sum));
    return buf_append_str(out, "}");
}

static cc_err put_notes(const struct slashing *s, struct buf *out, const char *name)
{
    CC_TRY(buf_printf(out, "\"%s\":[", name));
    CC_TRY(buf_append(out, s->notes.data, s->notes.len));
    return buf_append_str(out, "]}");
}

static cc_err put_import(const struct slashing *s, struct buf *out)
{
    const struct a_slashing_head *sum = &s->sum;
    CC_TRY(buf_append_str(out, "{"));
    CC_TRY(put_number(out, "validators", sum->validators));
    CC_TRY(put_number(out, "blocks", sum->blocks));
    CC_TRY(put_number(out, "attestations", sum->attestations));
    CC_TRY(put_number(out, "known", sum->known));
    CC_TRY(put_number(out, "contradictory", sum->contradictory));
    return put_notes(s, out, "notes");
}

static cc_err put_extents(struct buf *out, const struct a_extents *e)
{
    if (e->has_slots)
        CC_TRY(buf_printf(out, "\"slots\":{\"oldest\":\"%" PRIu64 "\",\"newest\":\"%" PRIu64 "\"},",
                          e->oldest_slot, e->newest_slot));
    if (e->has_epochs)
        CC_TRY(buf_printf(out,
                          "\"target_epochs\":{\"oldest\":\"%" PRIu64 "\",\"newest\":\"%" PRIu64
                          "\"},\"newest_source_epoch\":\"%" PRIu64 "\",",
                          e->oldest_target, e->newest_target, e->newest_source));
    return CC_OK;
}

static cc_err put_verify(const struct slashing *s, struct buf *out)
{
    const struct a_slashing_head *sum = &s->sum;
    CC_TRY(buf_append_str(out, "{"));
    CC_TRY(put_number(out, "validators", sum->validators));
    CC_TRY(put_number(out, "blocks", sum->blocks));
    CC_TRY(put_number(out, "attestations", sum->attestations));
    CC_TRY(put_extents(out, &sum->extents));
    CC_TRY(put_number(out, "faulty", sum->faults));
    if (sum->has_mirror)
        CC_TRY(buf_printf(out,
                          "\"mirror\":{\"keys\":%" PRIu64 ",\"records\":%" PRIu64
                          ",\"missing\":%" PRIu64 ",\"changed\":%" PRIu64 "},",
                          sum->mirror_keys, sum->mirror_records, sum->mirror_missing,
                          sum->mirror_changed));
    return put_notes(s, out, "faults");
}

CC_ERR slashing_answer(const struct slashing *s, struct buf *out)
{
    const struct a_slashing_head *sum = &s->sum;
    switch ((enum a_slashing_verb)s->ask.head.verb) {
    case SLASHING_STATUS:
        return put_status(out, sum);
    case SLASHING_IMPORT:
        return put_import(s, out);
    case SLASHING_VERIFY:
        return put_verify(s, out);
    case SLASHING_PRUNE:
        return buf_printf(out, "{\"removed\":%" PRIu64 ",\"keep_epochs\":\"%" PRIu64 "\"}",
                          sum->removed, sum->keep_epochs);
    case SLASHING_ENABLE:
        return buf_append_str(out, "{\"enabled\":true}");
    case SLASHING_HAND_OVER:
        CC_TRY(buf_append_str(out, "{"));
        CC_TRY(put_watermark(out, sum));
        return buf_append_str(out, "}");
    case SLASHING_REPAIR:
        return buf_printf(
            out, "{\"validators\":%" PRIu64 ",\"epoch\":\"%" PRIu64 "\",\"slot\":\"%" PRIu64 "\"}",
            sum->validators, sum->epoch, sum->slot);
    case SLASHING_EXPORT:
    case SLASHING_VERB_END:
        break;
    }
    return CC_FAIL(LIMIT, "work without an answer");
}

/* Messages are ours, one a line; a quotation mark is all that JSON minds. */
static cc_err put_lines(struct buf *out, struct span text)
{
    bool inside = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.data[i];
        if (!inside)
            CC_TRY(buf_append_str(out, i ? ",\"" : "\""));
        inside = c != '\n';
        if (c == '"' || c == '\\')
            CC_TRY(buf_append_str(out, "\\"));
        CC_TRY(inside ? buf_append(out, &c, 1) : buf_append_str(out, "\""));
    }
    return inside ? buf_append_str(out, "\"") : CC_OK;
}

CC_ERR slashing_refusal(const struct slashing *s, cc_err err, struct buf *out)
{
    const struct refusal refusal = refusal_of(err);
    CC_TRY(answer_refusal(out, &refusal));
    bool stands = error_is(err, ERROR_HANDED_OVER);
    if (s->ask.head.verb != SLASHING_IMPORT && !stands)
        return CC_OK;
    cc_assert(out->len && out->data[out->len - 1] == '}');
    out->len--;
    if (stands) {
        CC_TRY(buf_append_str(out, ","));
        CC_TRY(put_watermark(out, &s->sum));
        return buf_append_str(out, "}");
    }
    CC_TRY(buf_printf(out, ",\"validators\":%" PRIu64 ",\"faults\":[", s->sum.validators));
    CC_TRY(put_lines(out, buf_span(&s->read.messages)));
    return buf_append_str(out, "]}");
}

struct span slashing_text(const struct slashing *s)
{
    return s->text.data ? span_of(s->text.data + s->text_at, s->text.len - s->text_at)
                        : (struct span){0};
}

void slashing_sent(struct slashing *s, size_t len)
{
    s->text_at += len;
    if (s->text_at < s->text.len)
        return;
    s->text_at = 0;
    s->text.len = 0;
}
