/* Any body of the key routes, and any answers of the core to the steps that follow. The first byte names route and form, two more
 * how much of the input is the body; the rest are the answers. What is asked is well-formed and holds no more keys than the
 * route allows; what is answered, or refused, is JSON; no password of the body is in it.
 */
#include <string.h>

#include "codec/json.h"
#include "core/key_jobs.h"
#include "core/slashing_step.h"
#include "front/keys_work.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    STEPS = 8,
    ITEMS_MAX = 20
};

static void check_json(struct buf *text)
{
    static struct jdoc parsed = {.max = 1 << 16};
    cc_assert(!jdoc_parse(&parsed, text->data, text->len).code);
    buf_release(text);
}

static void check_refusal(const struct keys_work *w, cc_err err)
{
    struct buf out = buf_init(4 << 20);
    cc_assert(!keys_work_refusal(w, err, &out).code);
    check_json(&out);
}

static void check_import(const struct a_key_import *import)
{
    const struct k_keystore *k = &import->keystore;
    cc_assert(k->has_pubkey <= 1);
    cc_assert(k->salt_len >= 1 && k->salt_len <= K_SALT_MAX && k->password_len <= K_PASSWORD_MAX);
    cc_assert(k->kdf == K_KDF_SCRYPT || k->kdf == K_KDF_PBKDF2_SHA256);
}

static void check_ask(const struct a_keys *ask)
{
    cc_assert(ask->head.verb >= KEYS_LIST && ask->head.verb < KEYS_VERB_END);
    cc_assert(ask->head.scope < SCOPE_END && (ask->head.flags & ~(uint32_t)KEYS_FLAGS) == 0);
    cc_assert(ask->head.count <= ITEMS_MAX);
    if (ask->head.verb == KEYS_GENERATE)
        cc_assert(!key_jobs_check(ask).code);
    if (ask->head.verb != KEYS_IMPORT)
        return;
    cc_assert(ask->head.count >= 1 && ask->head.count <= A_KEYS_IMPORTS_MAX);
    for (uint32_t i = 0; i < ask->head.count; i++)
        check_import(&ask->is.imports[i]);
}

/* The next byte of the input; 0 when there is none. */
static uint8_t next(const uint8_t **data, size_t *size)
{
    if (!*size)
        return 0;
    --*size;
    return *(*data)++;
}

static cc_err
answer_keys(struct keys_work *w, const struct a_keys *ask, const uint8_t **data, size_t *size)
{
    struct a_keys_head head = {.verb = ask->head.verb, .count = ask->head.count};
    struct buf items = buf_init(1 << 16);
    uint8_t choice = next(data, size);
    bool lists = ask->head.verb == KEYS_LIST;
    uint32_t count = lists ? choice % 8U : ask->head.count + (choice == 0xff);
    struct a_key_item item = {.pubkey = ask->head.after};
    for (uint32_t i = 0; i < count; i++) {
        item.pubkey.bytes[47] = (uint8_t)(item.pubkey.bytes[47] + next(data, size) % 4);
        item.error = next(data, size);
        item.outcome = next(data, size) % 10;
        item.source = item.status = item.flags = next(data, size) % 8;
        cc_assert(!buf_append(&items, &item, sizeof item).code);
    }
    head.after = item.pubkey;
    head.flags = lists && choice & 8 ? KEYS_MORE : 0;
    cc_err err = choice & 16 ? error_from_number(choice) : CC_OK;
    err = keys_work_took(w, err, &head, &items);
    buf_release(&items);
    return err;
}

/* A mnemonic, or keys of it: as the core would say it, or with a fault. */
static cc_err
answer_generate(struct keys_work *w, const struct a_keys *ask, const uint8_t **data, size_t *size)
{
    static const char backup[] = "-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n";
    const struct a_keys_head head = {.verb = KEYS_GENERATE, .count = ask->head.count};
    struct a_keys_generated made = {.network = "hoodi"};
    struct buf items = buf_init(1 << 16);
    uint8_t choice = next(data, size);
    if (!ask->is.generate.session) {
        made.session = choice & 1 ? 0 : 7;
        made.backup_len = choice & 2 ? choice : sizeof backup - 1;
        memcpy(made.backup, backup, sizeof backup - 1);
        made.backup[3] = choice & 4 ? choice : '-';
        made.network[5] = choice & 8 ? (char)choice : 0;
    }
    for (uint32_t i = 0; i < ask->head.count; i++)
        made.items[i] = (struct a_key_item){.outcome = next(data, size) % 10,
                                            .error = next(data, size),
                                            .pubkey = {{next(data, size)}}};
    cc_assert(!buf_append(&items, &made, choice == 0xfe ? 9 : sizeof made).code);
    cc_err err = choice & 16 ? error_from_number(choice) : CC_OK;
    err = keys_work_took(w, err, &head, &items);
    buf_release(&items);
    return err;
}

static cc_err answer_slashing(struct keys_work *w, const struct a_slashing *ask, uint8_t choice)
{
    struct a_slashing_head head = {.verb = ask->head.verb, .more = choice & 1};
    struct buf records = buf_init(1 << 16);
    struct a_record record = slash_record_of_key(&ask->head.key, true);
    record.is.pubkey.bytes[47]++;
    if (choice & 2)
        cc_assert(!buf_append(&records, &record, sizeof record).code);
    cc_err err =
        keys_work_took_slashing(w, choice & 4 ? CC_FAIL(STORE, NULL) : CC_OK, &head, &records);
    buf_release(&records);
    return err;
}

static void play(struct keys_work *w, const uint8_t *data, size_t size)
{
    cc_err err = CC_OK;
    for (int step = 0; !err.code; step++) {
        if (step == STEPS)
            keys_work_stop(w);
        if (step == 4 * ITEMS_MAX)
            return; /* a list that goes on for ever */
        struct keys_question q = keys_work_next(w);
        if (!q.keys && !q.slashing)
            break;
        if (q.keys) {
            check_ask(q.keys);
            err = q.keys->head.verb == KEYS_GENERATE ? answer_generate(w, q.keys, &data, &size)
                                                     : answer_keys(w, q.keys, &data, &size);
        } else {
            cc_assert(!slashing_step_check(q.slashing).code);
            err = answer_slashing(w, q.slashing, next(&data, &size));
        }
    }
    struct buf out = buf_init(4 << 20);
    if (err.code) {
        check_refusal(w, err);
        return;
    }
    cc_assert(!keys_work_answer(w, &out).code);
    check_json(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t body[1 << 16];
    struct keys_work *w;
    if (size < 3)
        return 0;
    const struct keys_work_kind kind = {
        .verb = data[0] & 0x40 ? KEYS_GENERATE : (enum a_keys_verb)(KEYS_LIST + data[0] % 6),
        .scope = data[0] & 0x40 ? SCOPE_CHAMBER_KEYS_GENERATE : SCOPE_IMPORT_KEYSTORES,
        .is_manager = data[0] & 0x80,
    };
    size_t len = (size_t)data[1] << 8 | data[2];
    len = len < size - 3 ? len : size - 3;
    memcpy(body, data + 3, len);
    cc_assert(!keys_work_new(&kind, &w).code);
    cc_err err = kind.verb == KEYS_LIST ? CC_OK : keys_work_read(w, ITEMS_MAX, body, len);
    if (!err.code && keys_work_has_history(w))
        err = keys_work_read_history(w);
    if (err.code)
        check_refusal(w, err);
    else
        play(w, data + 3 + len, size - 3 - len);
    keys_work_free(w);
    return 0;
}
