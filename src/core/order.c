#include "core/order.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/io.h"
#include "base/log.h"
#include "base/num.h"

#include "codec/hex.h"
#include "core/audit_order.h"
#include "core/handover.h"
#include "core/key_move.h"
#include "core/order_progress.h"
#include "core/pause.h"
#include "core/seal_latch.h"
#include "seal/record.h"
#include "slash/backend.h"

static bool begins(struct span text, const char *word, struct span *ret_rest)
{
    const size_t len = strlen(word);
    if (text.len < len || !span_equal(span_of(text.data, len), span_of(word, len)))
        return false;
    *ret_rest = span_of(text.data + len, text.len - len);
    return true;
}

static cc_err parse_take_over(struct span rest, struct order *order)
{
    enum {
        LINE = 2 + 2 * ED25519_PUBLIC_SIZE
    };
    if (rest.len <= LINE || rest.data[0] != '0' || rest.data[1] != 'x' || rest.data[LINE] != '\n')
        return CC_FAIL(MALFORMED, "order");
    CC_TRY(hex_decode(span_of(rest.data + 2, LINE - 2), order->identity, sizeof order->identity));
    order->verb = ORDER_TAKE_OVER;
    order->token = span_of(rest.data + LINE + 1, rest.len - LINE - 1);
    return CC_OK;
}

/* A name as records have it. */
static cc_err parse_forget(struct span rest, struct order *order)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
    order->force = begins(rest, "--force ", &rest);
    if (rest.len == 0 || rest.len >= sizeof order->name)
        return CC_FAIL(MALFORMED, "order");
    memcpy(order->name, rest.data, rest.len);
    order->verb = ORDER_FORGET_STORE;
    return strspn(order->name, letters) == rest.len ? CC_OK : CC_FAIL(MALFORMED, "order");
}

static cc_err parse_kind(struct span text, enum key_book_kind *ret_kind)
{
    for (unsigned kind = 0; kind < KEY_BOOK_KINDS; kind++) {
        *ret_kind = (enum key_book_kind)kind;
        if (span_is(text, key_book_kind_name(*ret_kind)))
            return CC_OK;
    }
    return CC_FAIL(MALFORMED, "order");
}

static cc_err parse_move(struct span rest, struct order *order)
{
    order->verb = ORDER_MOVE_CANCEL;
    if (begins(rest, "--cancel ", &rest))
        return parse_kind(rest, &order->from);
    const uint8_t *gap = rest.len ? memchr(rest.data, ' ', rest.len) : NULL;
    if (!gap)
        return CC_FAIL(MALFORMED, "order");
    const size_t len = (size_t)(gap - rest.data);
    order->verb = ORDER_MOVE_KEYS;
    CC_TRY(parse_kind(span_of(rest.data, len), &order->from));
    CC_TRY(parse_kind(span_of(gap + 1, rest.len - len - 1), &order->to));
    return order->from != order->to ? CC_OK : CC_FAIL(MALFORMED, "order");
}

static bool parse_keys(struct span text, struct order *order, cc_err *ret_result)
{
    struct span rest;
    *ret_result = CC_OK;
    if (span_is(text, "key-stores"))
        order->verb = ORDER_KEY_STORES;
    else if (begins(text, "forget-store ", &rest))
        *ret_result = parse_forget(rest, order);
    else if (begins(text, "move-keys ", &rest))
        *ret_result = parse_move(rest, order);
    else
        return false;
    return true;
}

CC_ERR order_parse(struct span text, struct order *ret_order)
{
    struct span rest;
    cc_err result;
    *ret_order = (struct order){0};
    if (parse_keys(text, ret_order, &result))
        return result;
    if (begins(text, "take-over ", &rest))
        return parse_take_over(rest, ret_order);
    if (span_is(text, "unseal")) {
        ret_order->verb = ORDER_UNSEAL;
        return CC_OK;
    }
    if (begins(text, "restore ", &rest)) {
        ret_order->verb = ORDER_RESTORE;
        return u64_parse(rest, &ret_order->epoch);
    }
    if (begins(text, "audit-verify ", &rest)) {
        ret_order->verb = ORDER_AUDIT_VERIFY;
        return u64_parse(rest, &ret_order->segment);
    }
    if (!begins(text, "hand-over ", &rest))
        return CC_FAIL(MALFORMED, "order");
    ret_order->verb = ORDER_HAND_OVER;
    ret_order->force = begins(rest, "--force ", &rest);
    CC_TRY(u64_parse(rest, &ret_order->epoch));
    return ret_order->epoch ? CC_OK : CC_FAIL(MALFORMED, "order");
}

static cc_err hand_over(const struct order *order,
                        struct vault_call *vault,
                        struct stores *stores,
                        struct buf *ret_answer)
{
    const struct state_signer signer = {vault_call_sign_hand_over, vault};
    const struct slash_high high = {
        .set = true,
        .slot = slash_keep_slots(order->epoch, stores->network.preset.slots_per_epoch),
        .epoch = order->epoch,
    };
    struct slash_high stands;
    cc_err err = slash_hand_over(stores->history, &high, order->force, &stands);
    if (error_is(err, ERROR_HANDED_OVER))
        log_error("another signer may have begun: the high watermark is not raised; --force when "
                  "it has not",
                  KV_NUM("epoch", stands.epoch));
    CC_TRY(err);
    log_notice("handed over: nothing is signed from here on", KV_NUM("epoch", high.epoch),
               KV_NUM("slot", high.slot));
    return handover_token_make(stores->history, order->epoch, &signer, ret_answer);
}

static cc_err
check_token(const struct order *order, const struct stores *stores, struct handover *ret_handover)
{
    static const struct eth_root unknown;
    CC_TRY(handover_parse(order->token, ret_handover));
    CC_TRY(handover_verify(ret_handover, order->identity));
    if (span_equal(span_of(ret_handover->history_id, 32), span_of(stores->record.history_id, 32)))
        return CC_FAIL(IDENTITY, "the token is this history's own");
    const struct span network = span_of(&ret_handover->network, sizeof ret_handover->network);
    bool another = stores->has_genesis_validators_root &&
                   !span_equal(network, span_of(&unknown, sizeof unknown)) &&
                   !span_equal(network, span_of(&stores->genesis_validators_root,
                                                sizeof stores->genesis_validators_root));
    return another ? CC_FAIL(WRONG_NETWORK, "the token is of another network") : CC_OK;
}

/* Keys that come later first: what is repeated after a crash has forgotten neither. */
static cc_err raise_all(const struct slash_watermark *floor,
                        struct vault_call *vault,
                        struct stores *stores,
                        struct buf *ret_answer)
{
    const struct state_signer signer = {vault_call_sign_head, vault};
    uint64_t keys = 0;
    CC_TRY(ceiling_raise_floor(stores->state, &signer, floor));
    CC_TRY(slash_raise_all(stores->history, floor, &keys));
    log_notice("nothing at or below these watermarks is signed", KV_NUM("keys", keys),
               KV_NUM("slot", floor->slot), KV_NUM("source", floor->source),
               KV_NUM("target", floor->target));
    return buf_printf(ret_answer,
                      "%" PRIu64 " validators, and each that comes later, sign no block up to slot "
                      "%" PRIu64 ",\nno attestation up to target epoch %" PRIu64
                      " and none with a source below epoch %" PRIu64 "\n",
                      keys, floor->slot, floor->target, floor->source);
}

/* A backup does not know what was deleted, revoked or paused since: until that is done again, which takes a signer that runs, nothing
 * is signed.
 */
static cc_err pause_everything(struct vault_call *vault, struct stores *stores)
{
    const struct state_signer signer = {vault_call_sign_head, vault};
    struct pause_change change = {.pause = true};
    return pause_job(&change, stores->state, &signer);
}

static cc_err restore(const struct order *order,
                      struct vault_call *vault,
                      struct stores *stores,
                      struct buf *ret_answer)
{
    CC_TRY(pause_everything(vault, stores));
    const struct slash_watermark floor =
        slash_repair_watermark(order->epoch, stores->network.preset.slots_per_epoch);
    return raise_all(&floor, vault, stores, ret_answer);
}

static cc_err take_over(const struct order *order,
                        struct vault_call *vault,
                        struct stores *stores,
                        struct buf *ret_answer)
{
    struct handover handover;
    CC_TRY(check_token(order, stores, &handover));
    const struct slash_watermark floor =
        handover_floor(&handover, stores->network.preset.slots_per_epoch);
    return raise_all(&floor, vault, stores, ret_answer);
}

/* What was told of the progress goes with it. */
static cc_err empty(int fd)
{
    return ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0 ? CC_OK : CC_FAIL(IO, "order");
}

static cc_err read_order(int fd, struct buf *text)
{
    uint8_t bytes[ORDER_TEXT_MAX];
    ssize_t n;
    do
        n = pread(fd, bytes, sizeof bytes, 0);
    while (n < 0 && errno == EINTR);
    return n < 0 ? CC_FAIL(IO, "order") : buf_append(text, bytes, (size_t)n);
}

/* Who has operators is unsealed by them. */
static cc_err check_owners(const struct state_store *state)
{
    const struct state_record *record = state_find(state, SEAL_RECORD_KIND, SEAL_RECORD_CURRENT);
    CC_CLEANUP(cc_freep) struct seal_current *current = cc_alloc(sizeof *current);
    if (!current)
        return CC_FAIL(NO_MEMORY, NULL);
    if (!record)
        return CC_OK;
    CC_TRY(seal_current_decode(span_of(record->bytes, record->len), current));
    return current->set.operator_count
               ? CC_FAIL(SEAL_STATE, "start the signer: its operators unseal it")
               : CC_OK;
}

/* The record first: cut short, this machine is sealed still. */
static cc_err unseal(const struct config *config,
                     struct vault_call *vault,
                     struct stores *stores,
                     struct buf *ret_answer)
{
    const struct state_signer signer = {vault_call_sign_head, vault};
    const bool was_sealed = stores->sealed || seal_latch_file(config->data_dir);
    if (was_sealed)
        CC_TRY(check_owners(stores->state));
    CC_TRY(seal_latch_remove_record(stores->state, &signer));
    CC_TRY(seal_latch_remove_file(config->data_dir));
    if (was_sealed)
        log_notice("the seal's latches are taken away");
    return buf_append_str(ret_answer, was_sealed ? "unsealed: the signer may be started\n"
                                                 : "it was not sealed\n");
}

static cc_err about_keys(const struct order *order,
                         const struct config *config,
                         struct vault_call *vault,
                         struct stores *stores,
                         const struct order_progress *progress,
                         struct buf *ret_answer)
{
    struct key_order keys = {.config = config,
                             .vault = vault,
                             .stores = stores,
                             .signer = {vault_call_sign_head, vault},
                             .progress = progress};
    if (order->verb == ORDER_KEY_STORES)
        return key_order_list(&keys, ret_answer);
    if (order->verb == ORDER_FORGET_STORE)
        return key_order_forget(&keys, order->name, order->force, ret_answer);
    if (order->verb == ORDER_MOVE_CANCEL)
        return key_move_cancel(&keys, order->from, ret_answer);
    return key_move(&keys, order->from, order->to, ret_answer);
}

static cc_err carry_out(const struct order *order,
                        const struct config *config,
                        struct vault_call *vault,
                        struct stores *stores,
                        const struct order_progress *progress,
                        struct buf *ret_answer)
{
    switch (order->verb) {
    case ORDER_HAND_OVER:
        return hand_over(order, vault, stores, ret_answer);
    case ORDER_TAKE_OVER:
        return take_over(order, vault, stores, ret_answer);
    case ORDER_RESTORE:
        return restore(order, vault, stores, ret_answer);
    case ORDER_UNSEAL:
        return unseal(config, vault, stores, ret_answer);
    case ORDER_KEY_STORES:
    case ORDER_FORGET_STORE:
    case ORDER_MOVE_KEYS:
    case ORDER_MOVE_CANCEL:
        return about_keys(order, config, vault, stores, progress, ret_answer);
    case ORDER_AUDIT_VERIFY:
        return audit_order_verify(config, order->segment, vault, stores, progress, ret_answer);
    }
    return CC_FAIL(MALFORMED, "order");
}

CC_ERR order_carry_out(int fd,
                       const struct config *config,
                       struct vault_call *vault,
                       struct stores *stores)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(ORDER_TEXT_MAX);
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ORDER_TEXT_MAX);
    const struct order_progress progress = {fd};
    struct order order;
    CC_TRY(read_order(fd, &text));
    CC_TRY(empty(fd));
    cc_err err = order_parse(buf_span(&text), &order);
    if (!err.code)
        err = carry_out(&order, config, vault, stores, &progress, &answer);
    if (err.code) {
        log_error("the order was not carried out", KV_ERR(err));
        return err;
    }
    CC_TRY(empty(fd));
    return fd_write_all(fd, answer.data, answer.len);
}
