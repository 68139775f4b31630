/* core/stores.h - the chamber's records, files and history: made once by init, opened and verified by every start.
 *
 * WHAT      Where things lie in the data directory; what the state records `chamber` and `history` hold; the checks that
 *           tie configuration, state store, history and vault to one another.
 * PROMISE   stores_create() refuses if any of its files exists. stores_join() makes no history and no record: this machine is one
 *           more replica of what is there, and of nothing but the chamber of identity.pub, or of an enclave's record (core/enclave_root.h). stores_open() goes on only when the state store is as the
 *           vault signed it last (T2), the history is the one that init made (P3), and the vault agrees to both. What it
 *           refuses it names in the log, with what to do.
 * THREADS   The control thread, before there are others.
 * OWNERSHIP stores_close() frees.
 * ERRORS    SEALED, EXISTS, TAMPERED, IDENTITY, HISTORY_MISSING, CONFIG, LOCKED, FILESYSTEM, IO, DOOR_CLOSED, and the vault's.
 * SECRETS   None in clear.
 *
 * Formats: docs/formats.md.
 */
#ifndef CORE_STORES_H
#define CORE_STORES_H

#include "aws/session.h"
#include "config/config.h"
#include "core/ceiling.h"
#include "core/enclave_root.h"
#include "core/key_book.h"
#include "core/vault_call.h"
#include "eth/network.h"
#include "slash/store.h"
#include "state/pin.h"
#include "state/store.h"

enum {
    STORES_PATH_MAX = 4096 /* PATH_MAX */
};

/* The record `history`. */
struct history_record {
    uint8_t history_id[32];
    uint8_t proof[32];
    bool has_genesis_validators_root;
    struct eth_root genesis_validators_root;
};

struct stores {
    struct aws_session
        *aws; /* NULL: no store is in AWS; opened before stores_create() and stores_open() */
    struct aws_session *tables_own; /* what calls of DynamoDB are signed by; NULL: `aws` */
    struct enclave_root *root;      /* NULL: chamber.key is a file; borrowed */
    struct eth_network network;
    struct state_store *state;
    struct slash_store *history;
    uint8_t
        replica[SLASH_REPLICA_SIZE]; /* this data directory, among those that share the history */
    struct slash_store *awaited;     /* a history that is not connected yet; NULL: none */
    bool ignores_seal;               /* an order's: it signs nothing for a validator */
    bool
        latched; /* the latch of an emergency seal is there: a file before stores_open(), or the state store's after it */
    bool sealed; /* stores_open() has found the state store's latch */
    bool waiting;     /* it was opened before, in vain: what the log said stands there once */
    bool has_ceiling; /* false: the history keeps nothing */
    struct ceiling ceiling;
    struct slash_watermark floor; /* of rows that are made from now on */
    struct key_book *keys;        /* NULL: no key store is configured */
    struct b_chamber chamber;
    enum b_memory memory; /* after stores_open(): of the vault's secrets */
    struct b_seal_state
        seal; /* after stores_open(): of the set that is stored; generation 0: none is */
    struct history_record record;
    /* Network's, configuration's or history's; the same wherever it is known. */
    bool has_genesis_validators_root;
    struct eth_root genesis_validators_root;
};

/* Both need the network of `config`; zero *ret_stores first. */
CC_ERR stores_load_config(const struct config *config, struct stores *stores);
CC_ERR stores_create(const struct config *config, struct vault_call *vault, struct stores *stores);
/* CHAMBER_MISSING in an enclave: there is none yet. */
CC_ERR stores_join(const struct config *config, struct vault_call *vault, struct stores *stores);
CC_ERR stores_open(const struct config *config, struct vault_call *vault, struct stores *stores);
/* After stores_open(), for a core that serves. */
CC_ERR
stores_open_keys(const struct config *config, struct vault_call *vault, struct stores *stores);
/* The kind of the key store that is configured; false: none is. */
bool stores_key_kind(const struct config *config, enum key_book_kind *ret_kind);
/* What is known of one of that kind, `path` its file's if it has one; CONFIG where the configuration does not say. After stores_open(). */
CC_ERR stores_key_settings(const struct config *config,
                           const struct stores *stores,
                           enum key_book_kind kind,
                           char path[static STORES_PATH_MAX],
                           struct key_book_settings *ret_settings);
/* After an error of stores_open(): true when a database is away that may come. Then stores_begin_again(), and open again. */
bool stores_may_come(const struct config *config, cc_err err);
void stores_begin_again(struct stores *stores);
void stores_close(struct stores *stores);

/* --- records as bytes (exported for tests and fuzzers) -------------------------------------------------- */

enum {
    CHAMBER_RECORD_SIZE = 4 + 32 + 32 + 2 * SEALED_KEY_SIZE,
    HISTORY_RECORD_SIZE = 4 + 32 + 32 + 1 + 32
};

void chamber_record_encode(const struct b_chamber *chamber,
                           uint8_t out[static CHAMBER_RECORD_SIZE]);
CC_ERR chamber_record_decode(struct span bytes, struct b_chamber *ret_chamber);
void history_record_encode(const struct history_record *record,
                           uint8_t out[static HISTORY_RECORD_SIZE]);
CC_ERR history_record_decode(struct span bytes, struct history_record *ret_record);

#endif
