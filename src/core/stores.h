/* core/stores.h - the chamber's records, files and history: made once by init, opened and verified by every start.
 *
 * WHAT      Where things lie in the data directory; what the state records `chamber` and `history` hold; the checks that
 *           tie configuration, state store, history and vault to one another.
 * PROMISE   stores_create() refuses if any of its files exists. stores_open() goes on only when the state store is as the
 *           vault signed it last (T2), the history is the one that init made (P3), and the vault agrees to both. What it
 *           refuses it names in the log, with what to do.
 * THREADS   The control thread, before there are others.
 * OWNERSHIP stores_close() frees.
 * ERRORS    EXISTS, TAMPERED, IDENTITY, HISTORY_MISSING, CONFIG, LOCKED, FILESYSTEM, IO, DOOR_CLOSED, and the vault's.
 * SECRETS   None in clear.
 *
 * Formats: docs/formats.md.
 */
#ifndef CORE_STORES_H
#define CORE_STORES_H

#include "auth/policy.h"
#include "config/config.h"
#include "core/vault_call.h"
#include "eth/network.h"
#include "slash/store.h"
#include "state/pin.h"
#include "state/store.h"

/* The record `history`. */
struct history_record {
    uint8_t history_id[32];
    uint8_t proof[32];
    bool has_genesis_validators_root;
    struct eth_root genesis_validators_root;
};

struct stores {
    struct eth_network network;
    struct policy policy;
    struct state_store *state;
    struct slash_store *history;
    struct slash_high high;
    struct b_chamber chamber;
    struct history_record record;
    /* Network's, configuration's or history's; the same wherever it is known. */
    bool has_genesis_validators_root;
    struct eth_root genesis_validators_root;
};

/* Both need the network and policy of `config`; zero *ret_stores first. */
CC_ERR stores_load_config(const struct config *config, struct stores *stores);
CC_ERR stores_create(const struct config *config, struct vault_call *vault, struct stores *stores);
CC_ERR stores_open(const struct config *config, struct vault_call *vault, struct stores *stores);
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
