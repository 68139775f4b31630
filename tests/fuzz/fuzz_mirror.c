/* The mirror's header, frames and items: any bytes are read or refused, and what was read is written back as the same bytes. */
#include <stdlib.h>

#include "slash/mirror_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t key[MIRROR_KEY_SIZE] = {7};

static void as_header(const uint8_t *data, size_t size)
{
    struct mirror_header header;
    uint8_t file_key[MIRROR_KEY_SIZE], again[MIRROR_HEADER_SIZE];
    if (size < MIRROR_HEADER_SIZE || mirror_header_peek(data, &header).code)
        return;
    mirror_header_write(&header, key, again, file_key);
    cc_assert(memcmp(data, again, MIRROR_HEADER_SIZE - MIRROR_MAC_SIZE) == 0);
    cc_assert(!mirror_header_read(again, key, &header, file_key).code);
}

/* Items are read to the first fault; then those that were read must be the bytes that they were read from. */
static size_t as_items(struct span items, struct buf *again)
{
    struct mirror_item item;
    const struct span all = items;
    while (items.len && !mirror_item_take(&items, &item).code)
        cc_assert(!mirror_item_add(again, &item).code);
    size_t read = again->len - MIRROR_FRAME_HEAD;
    cc_assert(read <= all.len && memcmp(again->data + MIRROR_FRAME_HEAD, all.data, read) == 0);
    return read;
}

static void as_frame(struct span bytes)
{
    struct mirror_frame frame, made;
    uint8_t mac[MIRROR_MAC_SIZE];
    size_t length = 0, again_length = 0;
    struct buf again CC_CLEANUP(buf_release) = buf_init(MIRROR_FRAME_MAX);
    if (mirror_frame_read(bytes, NULL, &frame, &length).code)
        return;
    cc_assert(length <= bytes.len && frame.items.len < length);
    cc_assert(!mirror_frame_begin(&again).code);
    if (as_items(frame.items, &again) != frame.items.len)
        return;
    mirror_frame_end(&again, &frame, key, mac);
    cc_assert(memcmp(again.data, bytes.data, length - MIRROR_MAC_SIZE) == 0);
    cc_assert(!buf_append(&again, mac, sizeof mac).code);
    cc_assert(!mirror_frame_read(buf_span(&again), key, &made, &again_length).code);
    cc_assert(again_length == length && made.position == frame.position);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_header(data, size);
    as_frame(span_of(data, size));
    return 0;
}
