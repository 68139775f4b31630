/* cli/backup_file.h - one backup of a chamber whose stores are files.
 *
 * WHAT      A text that says what follows, and then the parts, one after the other: identity.pub, the state store, the key store, the
 *           latches, the mirror, the keys that are disabled, and the history as an EIP-3076 interchange,
 *           which does not say that.
 * PROMISE   backup_read() takes what backup_write() has written, byte for byte, and nothing else: each part has the size and the digest that
 *           the text names, and the text has one spelling. It is no archive that other tools unpack: what lies in it has forgotten what was
 *           signed since, and only `restore` raises the watermarks over that.
 * THREADS   One.
 * OWNERSHIP Borrows; spans of a backup that was read point into the file's bytes.
 * ERRORS    MALFORMED (no backup), TAMPERED (cut short, changed), LIMIT, IO, NO_MEMORY.
 * SECRETS   None in clear: the parts are sealed or public. chamber.key is never in it.
 *
 * Format: docs/formats.md, "Backup".
 */
#ifndef CLI_BACKUP_FILE_H
#define CLI_BACKUP_FILE_H

#include "base/span.h"

#include "crypto/sha256.h"
#include "slash/store.h"

enum backup_part {
    BACKUP_IDENTITY,
    BACKUP_STATE,
    BACKUP_KEYS,     /* may be missing: nothing was ever imported */
    BACKUP_ENFORCED, /* the latch of auth.mode enforce; may be missing */
    BACKUP_LATCH,    /* the latch of an emergency seal; may be missing */
    BACKUP_MIRROR, /* vouches for the history, under a key of the vault's; may be missing: nothing was ever signed */
    BACKUP_DISABLED, /* of the history's keys those that were deleted: a line 0x… for each */
    BACKUP_HISTORY,
    BACKUP_PARTS
};

struct backup {
    uint64_t made; /* seconds since 1970, by the clock of who made it */
    struct slash_high high;
    bool has[BACKUP_PARTS];
    struct span parts[BACKUP_PARTS];
    uint8_t digest[SHA256_SIZE]; /* of the text, and so of all */
};

/* Fills in the digest. */
CC_ERR backup_write(int fd, struct backup *backup);
CC_ERR backup_read(struct span bytes, struct backup *ret_backup);

/* A line of the part of disabled keys. */
CC_ERR backup_put_disabled(struct buf *part, const struct eth_pubkey *pubkey);
/* Takes the first line off `part`, which is not empty. */
CC_ERR backup_take_disabled(struct span *part, struct eth_pubkey *ret_pubkey);

#endif
