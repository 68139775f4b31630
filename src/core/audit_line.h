/* core/audit_line.h - the lines of the audit log and the chain that holds them together.
 *
 * WHAT      One decision as one line of JSON that ends in its MAC, and the keys of these MACs: each line has a key of its own,
 *           made from the one before. docs/formats.md has the form, core/audit.h writes, core/audit_check.h verifies.
 * PROMISE   Every entry makes one line, of at most AUDIT_LINE_MAX bytes, whatever its texts hold: they are escaped. Who has the key of
 *           a line can make those that come after it, and none that came before: the chain drops each key as soon as it is used.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows; static texts stay whose they are.
 * ERRORS    MALFORMED.
 * SECRETS   The chain's key: audit_chain_wipe(). Nothing secret stands in a line.
 */
#ifndef CORE_AUDIT_LINE_H
#define CORE_AUDIT_LINE_H

#include <stdbool.h>

#include "base/span.h"

#include "eth/types.h"
#include "wire/door_a.h"

enum {
    AUDIT_KEY_SIZE = 32,
    AUDIT_MAC_SIZE = 16,
    AUDIT_REPLICA_SIZE = 16,
    AUDIT_LINE_MAX = 2560,
    AUDIT_SUBJECT_MAX = 128,
    AUDIT_PRINCIPAL_MAX = 56,
    AUDIT_TIME_LEN = 24,                           /* 2026-11-26T15:00:00.000Z */
    AUDIT_SUFFIX_LEN = 8 + 2 * AUDIT_MAC_SIZE + 3, /* ,"mac":"..."} and the newline */
    AUDIT_FORMAT = 1
};

enum audit_claim {
    AUDIT_NO_CLAIM,
    AUDIT_CLAIM_SLOT,
    AUDIT_CLAIM_EPOCHS
};

/* What is written down; zeros and NULLs are left out, but for the verdict. */
struct audit_entry {
    const char *event;     /* static: "sign", "reload", ... */
    const char *operation; /* static */
    const char *outcome;   /* static: what became of it, where the verdict does not say it all */
    const char *rule;      /* static: what the verdict rests on, where it is no policy's rule */
    struct a_reason reason;
    uint32_t error; /* enum error_code; 0 is written as OK */
    enum audit_claim claim;
    uint64_t slot;
    uint64_t source;
    uint64_t target;
    uint64_t count; /* how many it stands for, where that is not one */
    bool has_pubkey;
    bool has_address;
    bool anybody; /* nobody who had to show who he is: failures fall under a quota */
    uint8_t address[16];
    char principal[AUDIT_PRINCIPAL_MAX];
    struct eth_pubkey pubkey;
    char subject[AUDIT_SUBJECT_MAX]; /* a name that the event is about */
};

/* Fills in who asked. `principal` "anonymous" is anybody. */
void audit_entry_who(struct audit_entry *entry, const struct caller *caller, const char *principal);

/* A line, and all before it. `lines` 0: none. */
struct audit_position {
    uint64_t segment;
    uint64_t lines;
    uint8_t mac[AUDIT_MAC_SIZE]; /* of the last one */
};

struct audit_chain {
    uint8_t key[AUDIT_KEY_SIZE]; /* of the next line */
    struct audit_position at;
};

/* The chain of a segment that has no line yet. */
void audit_chain_begin(struct audit_chain *chain,
                       uint64_t segment,
                       const uint8_t key[static AUDIT_KEY_SIZE]);
/* The MAC of the next line, whose text before its MAC is `prefix`; goes on to the line after it. */
void audit_chain_next(struct audit_chain *chain, struct span prefix);
/* Goes on without a line. */
void audit_chain_skip(struct audit_chain *chain);
void audit_chain_wipe(struct audit_chain *chain);

/* Writes the next line of the chain, its newline too; how long it is. */
size_t audit_line_write(struct audit_chain *chain,
                        const struct audit_entry *entry,
                        uint64_t wall_ms,
                        char ret_line[static AUDIT_LINE_MAX]);

/* What the first line of a segment says. */
struct audit_header {
    uint8_t replica[AUDIT_REPLICA_SIZE];
    struct audit_position previous; /* the end of the segment before, as it was found */
    struct audit_position anchor;   /* what the state store said then */
};
size_t audit_header_write(struct audit_chain *chain,
                          const struct audit_header *header,
                          uint64_t wall_ms,
                          char ret_line[static AUDIT_LINE_MAX]);

/* --- reading: any bytes ------------------------------------------------------------------------------------------- */

struct audit_parts {
    struct span prefix; /* what the MAC is of */
    struct span time;
    struct span event;
    uint64_t segment;
    uint64_t line;
    uint8_t mac[AUDIT_MAC_SIZE];
};

/* Takes a line without its newline apart; MALFORMED where it has not the form of one. Nothing is known of its MAC. */
CC_ERR audit_line_read(struct span line, struct audit_parts *ret_parts);
/* MALFORMED unless the line is the first of a segment. */
CC_ERR audit_header_read(struct span line, struct audit_header *ret_header);

/* --- the anchor: what the state store keeps --------------------------------------------------------------------------- */

enum {
    AUDIT_ANCHOR_MAX = 128
};
CC_ERR audit_anchor_write(const struct audit_position *position, struct buf *out);
CC_ERR audit_anchor_read(struct span text, struct audit_position *ret_position);

#endif
