/* wire/door_a.h - messages between front and core.
 *
 * WHAT      Sign requests and their answers, and the few questions that the other routes ask.
 * PROMISE   Everything that the front says is a claim: the core checks each field again.
 * THREADS   As wire/door.h.   OWNERSHIP By value.   ERRORS As wire/door.h.   SECRETS None in this release.
 */
#ifndef WIRE_DOOR_A_H
#define WIRE_DOOR_A_H

#include "eth/sign_request.h"
#include "wire/door.h"

enum door_a_type {
    /* front to core */
    A_SIGN = 0x11,  /* struct a_sign */
    A_QUERY = 0x12, /* struct a_query */
    /* core to front */
    A_SIGNED = 0x21,         /* struct a_signed */
    A_PUBLIC_KEYS = 0x22,    /* struct a_public_keys */
    A_HEALTH = 0x23,         /* struct a_health */
    A_RELOAD = 0x24,         /* struct a_reload */
    A_HIGH_WATERMARK = 0x25, /* struct a_high_watermark */
};

struct a_sign {
    uint64_t id;     /* the front's, echoed */
    uint32_t client; /* who asks, for fairness: one number for each address or local user */
    uint32_t reserved;
    struct sign_request request;
};

struct a_signed {
    uint64_t id;
    uint32_t error; /* enum error_code; 0: signature is set */
    uint32_t rule;  /* SLASHABLE: enum slash_rule; DENIED: enum policy_rule (auth/policy.h) */
    uint64_t earlier_slot;
    uint64_t earlier_source;
    uint64_t earlier_target;
    struct signing_root root; /* computed here, for ROOT_MISMATCH messages */
    struct eth_signature signature;
};

enum a_question {
    ASK_PUBLIC_KEYS = 1,
    ASK_HEALTH,
    ASK_RELOAD_START,
    ASK_RELOAD_STATUS,
    ASK_HIGH_WATERMARK
};

struct a_query {
    uint64_t id;
    uint32_t question; /* enum a_question */
    uint32_t reserved;
};

enum {
    A_PUBLIC_KEYS_CHUNK = 256
};

/* A list as numbered chunks; `last` ends it; error is KEY_LOADING while the set is unknown. */
struct a_public_keys {
    uint64_t id;
    uint32_t error;
    uint32_t chunk;
    uint32_t count;
    uint32_t last;
    struct eth_pubkey keys[A_PUBLIC_KEYS_CHUNK];
};

struct a_health {
    uint64_t id;
    uint64_t keys_loaded;
    uint64_t keys_known;    /* loaded or still decrypting */
    uint64_t keys_expected; /* 0: no expectation */
    uint64_t load_errors;
    uint8_t ready; /* a signature would succeed now */
    uint8_t store_up;
    uint8_t keys_complete; /* loading has ended and the expectation holds */
    uint8_t sealed;
    uint8_t history_noop;
    uint8_t auth_open;
    uint8_t reserved[2];
};

enum reload_state {
    RELOAD_IDLE,
    RELOAD_ACTIVE,
    RELOAD_COMPLETED,
    RELOAD_COMPLETED_WITH_ERRORS,
    RELOAD_FAILED
};

struct a_reload {
    uint64_t id;
    uint32_t error;         /* RELOAD_RUNNING for a start that was refused */
    uint32_t state;         /* enum reload_state */
    uint64_t ended_wall_ms; /* 0: never */
    uint64_t load_errors;
};

struct a_high_watermark {
    uint64_t id;
    uint32_t error;
    uint32_t present;
    uint64_t slot;
    uint64_t epoch;
};

/* What each side accepts. */
extern const struct door_type door_a_to_core[];
extern const struct door_type door_a_to_front[];

#endif
