#include "slash/mirror_frame.h"

#include "base/num.h"

#include "crypto/mac.h"
#include "crypto/sha256.h"

static const char magic[8] = "CCMIRR\0\1";
static const char header_title[] =
    "containment-chamber/mirror/header/v1"; /* titles with their zero */
static const char file_title[] = "containment-chamber/mirror/file/v1";
static const char frame_title[] = "containment-chamber/mirror/frame/v1";

enum {
    LOW_HAS_SLOT = 1,
    LOW_HAS_EPOCHS = 2,
    ROOT_SIZE = sizeof(struct signing_root),
    AT_LENGTH = 0,
    AT_SEQUENCE = 4,
    AT_OFFSET = 12,
    AT_SYNCED = 20,
    AT_POSITION = 28,
    AT_PREVIOUS = 36
};

_Static_assert(AT_PREVIOUS + MIRROR_MAC_SIZE == MIRROR_FRAME_HEAD, "a frame's head");

/* Of the bytes' digest: SHA-256 of what is no secret is several times as fast as HMAC's own. */
static void
mac(const uint8_t *key, struct span title, struct span bytes, uint8_t ret_mac[static MAC_SIZE])
{
    uint8_t digest[SHA256_SIZE];
    sha256(bytes, digest);
    const struct span parts[] = {title, span_of(digest, sizeof digest)};
    mac_hmac_sha256(span_of(key, MIRROR_KEY_SIZE), parts, ARRAY_LEN(parts), ret_mac);
}

static uint32_t u32_load(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

/* --- header --------------------------------------------------------------------------------------------------------- */

static void put(uint8_t **at, const void *bytes, size_t len)
{
    memcpy(*at, bytes, len);
    *at += len;
}

static void take(const uint8_t **at, void *ret_bytes, size_t len)
{
    memcpy(ret_bytes, *at, len);
    *at += len;
}

void mirror_header_write(const struct mirror_header *header,
                         const uint8_t key[static MIRROR_KEY_SIZE],
                         uint8_t ret_bytes[static MIRROR_HEADER_SIZE],
                         uint8_t ret_file_key[static MIRROR_KEY_SIZE])
{
    uint8_t *at = ret_bytes;
    uint8_t digest[MAC_SIZE];
    put(&at, magic, sizeof magic);
    put(&at, header->history_id, sizeof header->history_id);
    put(&at, header->chamber_id, sizeof header->chamber_id);
    put(&at, header->replica, sizeof header->replica);
    put(&at, header->salt, sizeof header->salt);
    const struct span body = span_of(ret_bytes, MIRROR_HEADER_SIZE - MIRROR_MAC_SIZE);
    mac(key, span_of(header_title, sizeof header_title), body, digest);
    put(&at, digest, MIRROR_MAC_SIZE);
    mac(key, span_of(file_title, sizeof file_title), body, ret_file_key);
}

CC_ERR mirror_header_peek(const uint8_t bytes[static MIRROR_HEADER_SIZE],
                          struct mirror_header *ret_header)
{
    const uint8_t *at = bytes + sizeof magic;
    if (memcmp(bytes, magic, sizeof magic) != 0)
        return CC_FAIL(TAMPERED, "the mirror is no mirror of this version");
    take(&at, ret_header->history_id, sizeof ret_header->history_id);
    take(&at, ret_header->chamber_id, sizeof ret_header->chamber_id);
    take(&at, ret_header->replica, sizeof ret_header->replica);
    take(&at, ret_header->salt, sizeof ret_header->salt);
    return CC_OK;
}

CC_ERR mirror_header_read(const uint8_t bytes[static MIRROR_HEADER_SIZE],
                          const uint8_t key[static MIRROR_KEY_SIZE],
                          struct mirror_header *ret_header,
                          uint8_t ret_file_key[static MIRROR_KEY_SIZE])
{
    uint8_t again[MIRROR_HEADER_SIZE];
    CC_TRY(mirror_header_peek(bytes, ret_header));
    mirror_header_write(ret_header, key, again, ret_file_key);
    return memcmp(bytes, again, sizeof again) == 0
               ? CC_OK
               : CC_FAIL(TAMPERED, "the mirror's header was changed, or is another chamber's");
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

CC_ERR mirror_frame_begin(struct buf *frame)
{
    uint8_t *head = NULL;
    frame->len = 0;
    return buf_grow(frame, MIRROR_FRAME_HEAD, &head);
}

static size_t item_write(const struct mirror_item *item, uint8_t out[static MIRROR_ITEM_MAX])
{
    uint8_t *at = out;
    *at++ = (uint8_t)item->kind;
    if (item->kind == MIRROR_KEY) {
        put(&at, item->pubkey.bytes, sizeof item->pubkey.bytes);
        return (size_t)(at - out);
    }
    uint64_t numbers[3] = {0};
    size_t count = 0;
    const struct signing_root *root = NULL;
    u32_store_be(at, item->key);
    at += 4;
    if (item->kind == MIRROR_LOW) {
        *at++ = (uint8_t)((item->low.has_slot ? LOW_HAS_SLOT : 0) |
                          (item->low.has_epochs ? LOW_HAS_EPOCHS : 0));
        numbers[count++] = item->low.has_slot ? item->low.slot : 0;
        numbers[count++] = item->low.has_epochs ? item->low.source : 0;
        numbers[count++] = item->low.has_epochs ? item->low.target : 0;
    } else if (item->kind == MIRROR_BLOCK) {
        numbers[count++] = item->back;
        numbers[count++] = item->block.slot;
        root = &item->block.root;
    } else {
        numbers[count++] = item->back;
        numbers[count++] = item->vote.source;
        numbers[count++] = item->vote.target;
        root = &item->vote.root;
    }
    for (size_t i = 0; i < count; i++, at += 8)
        u64_store_be(at, numbers[i]);
    if (root)
        put(&at, root->bytes, sizeof root->bytes);
    return (size_t)(at - out);
}

CC_ERR mirror_item_add(struct buf *frame, const struct mirror_item *item)
{
    uint8_t bytes[MIRROR_ITEM_MAX];
    return buf_append(frame, bytes, item_write(item, bytes));
}

void mirror_frame_end(struct buf *frame,
                      const struct mirror_frame *head,
                      const uint8_t file_key[static MIRROR_KEY_SIZE],
                      uint8_t ret_mac[static MIRROR_MAC_SIZE])
{
    uint8_t digest[MAC_SIZE];
    uint8_t *at = frame->data;
    cc_assert(frame->len >= MIRROR_FRAME_HEAD && frame->len + MIRROR_MAC_SIZE <= MIRROR_FRAME_MAX);
    u32_store_be(at + AT_LENGTH, (uint32_t)(frame->len + MIRROR_MAC_SIZE));
    u64_store_be(at + AT_SEQUENCE, head->sequence);
    u64_store_be(at + AT_OFFSET, head->offset);
    u64_store_be(at + AT_SYNCED, head->synced);
    u64_store_be(at + AT_POSITION, head->position);
    memcpy(at + AT_PREVIOUS, head->previous, MIRROR_MAC_SIZE);
    mac(file_key, span_of(frame_title, sizeof frame_title), buf_span(frame), digest);
    memcpy(ret_mac, digest, MIRROR_MAC_SIZE);
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

CC_ERR mirror_frame_read(struct span bytes,
                         const uint8_t *file_key,
                         struct mirror_frame *ret_frame,
                         size_t *ret_size)
{
    uint8_t digest[MAC_SIZE];
    if (bytes.len < MIRROR_FRAME_MIN)
        return CC_FAIL(TAMPERED, "a frame of the mirror ends early");
    size_t size = u32_load(bytes.data + AT_LENGTH);
    if (size < MIRROR_FRAME_MIN || size > MIRROR_FRAME_MAX || size > bytes.len)
        return CC_FAIL(TAMPERED, "a frame of the mirror has a wrong length");
    size_t body = size - MIRROR_MAC_SIZE;
    if (file_key) {
        mac(file_key, span_of(frame_title, sizeof frame_title), span_of(bytes.data, body), digest);
        if (memcmp(digest, bytes.data + body, MIRROR_MAC_SIZE) != 0)
            return CC_FAIL(TAMPERED, "a frame of the mirror was changed");
    }
    ret_frame->sequence = u64_load_be(bytes.data + AT_SEQUENCE);
    ret_frame->offset = u64_load_be(bytes.data + AT_OFFSET);
    ret_frame->synced = u64_load_be(bytes.data + AT_SYNCED);
    ret_frame->position = u64_load_be(bytes.data + AT_POSITION);
    memcpy(ret_frame->previous, bytes.data + AT_PREVIOUS, MIRROR_MAC_SIZE);
    memcpy(ret_frame->mac, bytes.data + body, MIRROR_MAC_SIZE);
    ret_frame->items = span_of(bytes.data + MIRROR_FRAME_HEAD, body - MIRROR_FRAME_HEAD);
    *ret_size = size;
    return CC_OK;
}

/* Bytes behind the kind. */
static size_t item_size(uint8_t kind)
{
    switch (kind) {
    case MIRROR_KEY:
        return sizeof(struct eth_pubkey);
    case MIRROR_BLOCK:
        return 4 + 2 * 8 + ROOT_SIZE;
    case MIRROR_VOTE:
        return 4 + 3 * 8 + ROOT_SIZE;
    case MIRROR_LOW:
        return 4 + 1 + 3 * 8;
    default:
        return 0;
    }
}

static cc_err read_low(const uint8_t *at, struct slash_watermark *ret_low)
{
    if (at[0] & ~(LOW_HAS_SLOT | LOW_HAS_EPOCHS))
        return CC_FAIL(TAMPERED, "an item of the mirror has an unknown flag");
    *ret_low = (struct slash_watermark){
        .has_slot = (at[0] & LOW_HAS_SLOT) != 0,
        .has_epochs = (at[0] & LOW_HAS_EPOCHS) != 0,
        .slot = u64_load_be(at + 1),
        .source = u64_load_be(at + 9),
        .target = u64_load_be(at + 17),
    };
    bool plain = (ret_low->has_slot || ret_low->slot == 0) &&
                 (ret_low->has_epochs || (ret_low->source == 0 && ret_low->target == 0));
    return plain ? CC_OK
                 : CC_FAIL(TAMPERED, "an item of the mirror has numbers that it doesn't name");
}

CC_ERR mirror_item_take(struct span *items, struct mirror_item *ret_item)
{
    size_t size = items->len ? item_size(items->data[0]) : 0;
    if (size == 0 || items->len < 1 + size)
        return CC_FAIL(TAMPERED, "an item of the mirror is malformed");
    const uint8_t *at = items->data + 1;
    *ret_item = (struct mirror_item){.kind = (enum mirror_item_kind)items->data[0]};
    *items = span_of(at + size, items->len - 1 - size);
    if (ret_item->kind == MIRROR_KEY) {
        memcpy(ret_item->pubkey.bytes, at, sizeof ret_item->pubkey.bytes);
        return CC_OK;
    }
    ret_item->key = u32_load(at);
    at += 4;
    if (ret_item->kind == MIRROR_LOW)
        return read_low(at, &ret_item->low);
    ret_item->back = u64_load_be(at);
    at += 8;
    if (ret_item->kind == MIRROR_BLOCK) {
        ret_item->block = (struct slash_block){.slot = u64_load_be(at), .has_root = true};
        memcpy(ret_item->block.root.bytes, at + 8, ROOT_SIZE);
        return CC_OK;
    }
    ret_item->vote = (struct slash_attestation){
        .source = u64_load_be(at), .target = u64_load_be(at + 8), .has_root = true};
    memcpy(ret_item->vote.root.bytes, at + 16, ROOT_SIZE);
    return CC_OK;
}
