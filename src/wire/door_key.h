/* wire/door_key.h - messages of the loader: to the vault (key door) and to the core (load door).
 *
 * WHAT      The loader is a short-lived room that reads key files and ends. It hands the vault what it found
 *           (still encrypted, but for file-raw) and tells the core which public keys exist and what failed.
 * PROMISE   Passwords and raw keys go to the vault only; the core sees public keys, paths and errors.
 * THREADS   As wire/door.h.   OWNERSHIP By value.   ERRORS As wire/door.h.
 * SECRETS   struct k_raw and struct k_keystore: wiped by sender and receiver after use (docs/secrets.md).
 */
#ifndef WIRE_DOOR_KEY_H
#define WIRE_DOOR_KEY_H

#include "wire/door.h"
#include "wire/door_b.h"
#include "wire/keystore.h"

enum door_key_type {
    /* loader to vault */
    K_HAVE = 0x51,     /* struct k_have: is this public key loaded? */
    K_RAW = 0x52,      /* struct k_raw */
    K_KEYSTORE = 0x53, /* struct k_keystore */
    /* vault to loader: struct k_result for each, in any order */
    K_RESULT = 0x61,
    /* loader to core */
    L_KEYS = 0x71, /* struct l_key */
    L_DONE = 0x72, /* struct l_done: the last message */
    /* core to loader */
    L_BEGIN = 0x79, /* struct l_begin: the first and only one */
};

struct k_have {
    uint64_t id;
    struct eth_pubkey pubkey;
};

struct k_raw {
    uint64_t id;
    uint32_t has_pubkey;
    uint32_t reserved;
    struct eth_pubkey pubkey; /* expected */
    uint8_t secret[32];       /* big-endian scalar */
};

struct k_result {
    uint64_t id;
    uint32_t error;   /* K_HAVE: KEY_UNKNOWN when it is not */
    uint32_t existed; /* the key was loaded before */
    struct eth_pubkey pubkey;
    struct key_handle key;
};

enum l_state {
    L_FOUND = 1,  /* still being decrypted; without a public key where the file does not name it */
    L_LOADED = 2, /* in the vault */
    L_FAILED = 3
};

enum {
    L_PATH_MAX = 256
};

struct l_key {
    uint32_t state; /* enum l_state */
    uint32_t error; /* L_FAILED */
    uint32_t has_pubkey;
    uint32_t existed;
    struct eth_pubkey pubkey;
    struct key_handle key;
    char path[L_PATH_MAX]; /* of the file, its tail when longer; zero-terminated */
};

struct l_begin {
    uint8_t history_id[32]; /* what a fence must name (keys/fence.h) */
};

struct l_done {
    uint64_t files;
    uint64_t loaded;
    uint64_t failed;
    uint32_t complete; /* 1: every directory could be read to its end */
    uint32_t
        scanned; /* 1: first of two: every file was looked at, what follows is decryption; 0: the end */
};

extern const struct door_type door_key_to_vault[];
extern const struct door_type door_key_to_loader[];
extern const struct door_type door_load_to_core[];
extern const struct door_type door_load_to_loader[];

#endif
