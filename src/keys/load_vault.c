#include "keys/load_vault.h"

#include <errno.h>
#include <poll.h>

#include "secret/wipe.h"

bool load_is_duplicate(struct load *load, struct load_item *item, const struct eth_pubkey *pubkey)
{
    const uint32_t *first = key_map_find(&load->keys, pubkey);
    if (!first || load->items[*first].state != ITEM_LOADED || &load->items[*first] == item)
        return false;
    report_duplicate(&load->report, item->path, load->items[*first].path);
    item->state = ITEM_ENDED;
    return true;
}

static cc_err take_loaded(struct load *load, struct load_item *item, const struct k_result *result)
{
    if (load_is_duplicate(load, item, &result->pubkey))
        return CC_OK;
    CC_TRY(key_map_put(&load->keys, &result->pubkey, (uint32_t)(item - load->items)));
    item->state = ITEM_LOADED;
    return report_loaded(&load->report, item->path, result);
}

static cc_err take_result(struct load *load, const struct k_result *result)
{
    if (result->id >= load->count)
        return CC_FAIL(PROTOCOL, "a result for no request");
    struct load_item *item = &load->items[result->id];
    bool asked = item->state == ITEM_ASKED;
    if (!asked && item->state != ITEM_SENT)
        return CC_FAIL(PROTOCOL, "a result for no request");
    load->in_flight--;
    if (result->error == 0)
        return take_loaded(load, item, result);
    item->state = asked ? ITEM_WAITS : ITEM_ENDED;
    if (asked)
        return CC_OK;
    return report_failed(&load->report, item->path, error_from_number(result->error),
                         item->keystore_path ? item->keystore_path : "",
                         item->has_pubkey ? &item->pubkey : NULL);
}

static cc_err receive(struct load *load)
{
    CC_TRY(
        door_receive(load->doors.key_fd, load->doors.key_life, door_key_to_loader, load->message));
    for (uint32_t i = 0; i < load->message->head.count; i++) {
        struct k_result result;
        memcpy(&result, load->message->items + i * sizeof result, sizeof result);
        CC_TRY(take_result(load, &result));
    }
    return CC_OK;
}

static cc_err poll_doors(struct load *load, short events, int timeout, short *ret_ready)
{
    struct pollfd fds[2] = {
        {.fd = load->doors.key_fd, .events = events},
        {.fd = load->doors.load_fd}, /* only to learn that the core is gone */
    };
    int n;
    do
        n = poll(fds, 2, timeout);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return CC_FAIL(SYSTEM, "poll");
    if (fds[1].revents)
        return CC_FAIL(DOOR_CLOSED, "the core is gone");
    *ret_ready = fds[0].revents;
    return CC_OK;
}

/* Takes at least one message, or (with POLLOUT among `events`) finds that the door takes one more. */
static cc_err wait_for(struct load *load, short events, short *ret_ready)
{
    CC_TRY(poll_doors(load, events, 0, ret_ready));
    if (!*ret_ready) {
        /* Nothing to do but wait: so let the core see what there is. */
        CC_TRY(report_flush(&load->report));
        CC_TRY(poll_doors(load, events, -1, ret_ready));
    }
    if (*ret_ready & POLLIN)
        return receive(load);
    return *ret_ready & (POLLHUP | POLLERR | POLLNVAL) ? CC_FAIL(DOOR_CLOSED, "the vault is gone")
                                                       : CC_OK;
}

/* Waits until fewer than `window` requests are without an answer and the door takes one more message. */
static cc_err room_for(struct load *load, uint32_t window)
{
    for (;;) {
        short events = load->in_flight < window ? POLLIN | POLLOUT : POLLIN;
        short ready = 0;
        CC_TRY(wait_for(load, events, &ready));
        if (ready & POLLOUT)
            return CC_OK;
    }
}

CC_ERR load_vault_room(struct load *load)
{
    return room_for(load, load->window);
}

static cc_err send(struct load *load, uint16_t type, void *items, size_t size, uint32_t count)
{
    cc_err err = door_send(load->doors.key_fd, load->doors.key_life, type, items, size, count);
    wipe(items, size * count);
    CC_TRY(err);
    load->in_flight += count;
    return CC_OK;
}

static cc_err send_raw(struct load *load)
{
    struct k_raw *raw = load->secrets->raw;
    uint32_t count = load->raw_count;
    if (count == 0)
        return CC_OK;
    CC_TRY(room_for(load, LOAD_RAW_WINDOW));
    for (uint32_t i = 0; i < count; i++)
        load->items[raw[i].id].state = ITEM_SENT;
    load->raw_count = 0;
    return send(load, K_RAW, raw, sizeof *raw, count);
}

CC_ERR load_vault_add_raw(struct load *load, size_t index, const uint8_t secret[static 32])
{
    struct k_raw *raw = &load->secrets->raw[load->raw_count++];
    *raw = (struct k_raw){.id = index};
    memcpy(raw->secret, secret, sizeof raw->secret);
    return load->raw_count < LOAD_RAW_BATCH ? CC_OK : send_raw(load);
}

CC_ERR load_vault_send_keystore(struct load *load, size_t index)
{
    struct k_keystore *keystore = &load->secrets->keystore;
    keystore->id = index;
    load->items[index].state = ITEM_SENT;
    return send(load, K_KEYSTORE, keystore, sizeof *keystore, 1);
}

CC_ERR load_vault_drain(struct load *load)
{
    CC_TRY(send_raw(load));
    while (load->in_flight) {
        short ready = 0;
        CC_TRY(wait_for(load, POLLIN, &ready));
    }
    return CC_OK;
}

enum {
    ASK_BATCH = 256
};

static cc_err ask(struct load *load, const struct k_have *batch, size_t count)
{
    if (count == 0)
        return CC_OK;
    CC_TRY(load_vault_room(load));
    CC_TRY(
        door_send(load->doors.key_fd, load->doors.key_life, K_HAVE, batch, sizeof *batch, count));
    load->in_flight += (uint32_t)count;
    return load_vault_drain(load);
}

CC_ERR load_vault_ask_held(struct load *load)
{
    struct k_have batch[ASK_BATCH];
    size_t count = 0;
    for (size_t i = 0; i < load->count; i++) {
        struct load_item *item = &load->items[i];
        if (item->state != ITEM_WAITS || !item->has_pubkey)
            continue;
        item->state = ITEM_ASKED;
        batch[count++] = (struct k_have){i, item->pubkey};
        if (count == ASK_BATCH) {
            CC_TRY(ask(load, batch, count));
            count = 0;
        }
    }
    return ask(load, batch, count);
}
