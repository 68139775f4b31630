/* slash/mirror_frame.h - the bytes of a mirror: its header, its frames and what stands in them.
 *
 * WHAT      Writes and reads what slash/mirror.h keeps in its file; docs/formats.md has the layout.
 * PROMISE   Any bytes are read or refused, without reading beyond them; what was written is read back as it was. A frame
 *           whose MAC is right was written by a holder of the key, at this place of this file, behind that frame.
 * THREADS   Any: pure.   OWNERSHIP Borrows; a frame borrows the bytes that it was read from.
 * ERRORS    TAMPERED (not such bytes), NO_MEMORY, LIMIT.
 * SECRETS   The MAC key, lent by the caller.
 */
#ifndef SLASH_MIRROR_FRAME_H
#define SLASH_MIRROR_FRAME_H

#include "base/span.h"

#include "slash/store.h"

enum {
    MIRROR_MAC_SIZE = 16,
    MIRROR_KEY_SIZE = 32,
    MIRROR_SALT_SIZE = 16,
    MIRROR_HEADER_SIZE = 8 + 32 + 32 + SLASH_REPLICA_SIZE + MIRROR_SALT_SIZE + MIRROR_MAC_SIZE,
    MIRROR_FRAME_HEAD = 4 + 4 * 8 + MIRROR_MAC_SIZE,
    MIRROR_FRAME_MIN = MIRROR_FRAME_HEAD + MIRROR_MAC_SIZE,
    MIRROR_FRAME_MAX = 1 << 16,
    MIRROR_ITEM_MAX = 64 /* bytes of the longest item */
};

/* Which file it is. The salt makes each file's key its own, so that no frame of one fits into another. */
struct mirror_header {
    uint8_t history_id[32];
    uint8_t chamber_id[32];
    uint8_t replica[SLASH_REPLICA_SIZE];
    uint8_t salt[MIRROR_SALT_SIZE];
};

/* TAMPERED unless the MAC under `key` is right. *ret_file_key is what the file's frames are MACed with. */
CC_ERR mirror_header_read(const uint8_t bytes[static MIRROR_HEADER_SIZE],
                          const uint8_t key[static MIRROR_KEY_SIZE],
                          struct mirror_header *ret_header,
                          uint8_t ret_file_key[static MIRROR_KEY_SIZE]);
/* The same without a key: nothing of it is known to be true. */
CC_ERR mirror_header_peek(const uint8_t bytes[static MIRROR_HEADER_SIZE],
                          struct mirror_header *ret_header);
void mirror_header_write(const struct mirror_header *header,
                         const uint8_t key[static MIRROR_KEY_SIZE],
                         uint8_t ret_bytes[static MIRROR_HEADER_SIZE],
                         uint8_t ret_file_key[static MIRROR_KEY_SIZE]);

struct mirror_frame {
    uint64_t sequence; /* from 1, without gaps */
    uint64_t offset;   /* where it stands in the file */
    uint64_t
        synced; /* the frame up to which all were known to be on the disk when this one was written */
    uint64_t position; /* slash_store.position after the commit that it is of */
    uint8_t previous[MIRROR_MAC_SIZE];
    struct span items;
    uint8_t mac[MIRROR_MAC_SIZE];
};

enum mirror_item_kind {
    MIRROR_KEY = 1,
    MIRROR_BLOCK,
    MIRROR_VOTE,
    MIRROR_LOW
};

struct mirror_item {
    enum mirror_item_kind kind;
    uint32_t
        key; /* number of a key: keys are numbered from 0 in the order of their MIRROR_KEY; unused there */
    uint64_t back; /* a record's: where the key's record before this one stands; 0: none */
    union {
        struct eth_pubkey pubkey;
        struct slash_block block;      /* always with a root */
        struct slash_attestation vote; /* the same */
        struct slash_watermark low;
    };
};

/* Begins a frame in an empty `frame`; then items, then the end, which fills in what `head` says and the MAC. */
CC_ERR mirror_frame_begin(struct buf *frame);
CC_ERR mirror_item_add(struct buf *frame, const struct mirror_item *item);
void mirror_frame_end(struct buf *frame,
                      const struct mirror_frame *head,
                      const uint8_t file_key[static MIRROR_KEY_SIZE],
                      uint8_t ret_mac[static MIRROR_MAC_SIZE]);

/* Reads the frame at the beginning of `bytes`; its MAC is not looked at with `file_key` NULL. */
CC_ERR mirror_frame_read(struct span bytes,
                         const uint8_t *file_key,
                         struct mirror_frame *ret_frame,
                         size_t *ret_size);
/* Takes the item at the front of `items`. */
CC_ERR mirror_item_take(struct span *items, struct mirror_item *ret_item);

#endif
