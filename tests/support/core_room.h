/* support/core_room.h - a real core beside a real vault, for tests: both in child processes, with their doors.
 *
 * The test plays the supervisor, the front and the loader. Failed set-up steps fail the test. Nothing here runs threads,
 * so a test may start its own before it starts a room only if it does not fork afterwards.
 */
#ifndef SUPPORT_CORE_ROOM_H
#define SUPPORT_CORE_ROOM_H

#include "core/test_point.h"
#include "support/vault_room.h"
#include "wire/door_a.h"

struct core_room {
    char directory[64];         /* data_dir */
    struct test_chamber secret; /* only chamber.key of it */
    struct vault_room vault;
    struct config *config;
    pid_t pid;   /* 0: not running */
    int control; /* the supervisor's end */
    int front;   /* the front's end of door A; -1: none */
    uint32_t front_life;
    uint32_t load_life;
    int nsm;               /* the security module that the vault is given; -1: none */
    enum test_point point; /* armed in the next core that starts */
    unsigned point_nth;
    void (*prepare)(void); /* NULL, or run in the child before the core */
};

/* Once, first thing in main(): keeps the descriptor that rooms expect their metrics at. */
void core_room_reserve_metrics(void);

/* A directory with chamber.key; nothing runs. Network sepolia, open_operations "*". */
void core_room_make(struct core_room *room);
/* `init`: vault and core in ROOM_MODE_INIT; the core's exit status. */
int core_room_init(struct core_room *room);
/* A vault that serves. */
void core_room_start_vault(struct core_room *room);
enum {
    CORE_ROOM_KILLED = 1000
};
/* A core that serves beside it; waits for READY. Returns 0, or the exit status of a core that refused to start, or
 * CORE_ROOM_KILLED for one that ended at an armed point.
 */
int core_room_start(struct core_room *room);
/* The core and one load of `keys` keys, until it is healthy; make, init and a vault come before. */
void core_room_serve(struct core_room *room, unsigned keys);
/* make, init, vault, core and one load of `keys` keys. */
void core_room_up(struct core_room *room, unsigned keys);
void core_room_kill(struct core_room *room);
/* Stops the vault in its tracks, and lets it go on. */
void core_room_freeze_vault(struct core_room *room);
void core_room_thaw_vault(struct core_room *room);
/* Waits for a core that ends by itself; its wait status. */
int core_room_wait(struct core_room *room);
/* Ends the core in an orderly way; its exit status. */
int core_room_stop_core(struct core_room *room);
/* Vault and core carry out the order in `fd`, beside nothing that runs; the core's exit status. */
int core_room_order(struct core_room *room, int fd);
/* Ends whatever runs, removes the directory. */
void core_room_remove(struct core_room *room);
/* A new door A, as after the death of a front. */
void core_room_next_front(struct core_room *room);

/* Receives control messages until one of `type`. */
struct control core_room_expect(struct core_room *room, uint32_t type);
/* Answers CONTROL_WANT_LOADER: keys 1..n (test_secret) go into the vault, then to the core, to the end. */
void core_room_load(struct core_room *room, unsigned keys);
/* The pieces of the same: a load door, one message, the ends. */
int core_room_load_door(struct core_room *room);
void core_room_load_key(struct core_room *room, int door, const struct l_key *key);
void core_room_load_done(
    struct core_room *room, int door, bool scanned, bool complete, unsigned failed);
/* Puts key `n` into the vault as the loader does. */
struct l_key core_room_vault_key(struct core_room *room, unsigned n);

void test_secret(unsigned n, uint8_t ret_secret[static 32]);
struct eth_pubkey test_pubkey(unsigned n);
/* For a key that is not loaded by core_room_load(). */
void test_know_pubkey(unsigned n, const struct eth_pubkey *pubkey);

/* A valid request of this network for key `n`. */
struct a_sign test_attestation(unsigned n, uint64_t source, uint64_t target, uint8_t variant);
struct a_sign test_block(unsigned n, uint64_t slot, uint8_t variant);
struct a_sign test_object(unsigned n, enum eth_kind kind, uint8_t variant);

/* Plays the front: sends one request, receives one answer. The first is DOOR_CLOSED when the core is gone. */
cc_err core_room_try_sign(struct core_room *room,
                          const struct a_sign *request,
                          struct a_signed *ret_answer);
struct a_signed core_room_sign(struct core_room *room, const struct a_sign *request);
/* As the owner, who may ask anything. */
void core_room_ask(struct core_room *room,
                   enum a_question question,
                   struct door_message *ret_answer);
/* Asks for health until `ready` is as wanted. */
struct a_health core_room_health(struct core_room *room);
struct a_health core_room_await_health(struct core_room *room, bool ready);
/* How often `text` stands in the audit log, as it is now. */
unsigned core_room_log_holds(struct core_room *room, const char *text);
/* For `prepare`, where one of the next two is used. */
void core_room_ignore_file_size(void);
/* The core can't write another whole line of the first segment of its audit log; until it can again. */
void core_room_fill_log(struct core_room *room);
void core_room_empty_log(struct core_room *room);
/* Asks until no load runs. */
struct a_reload core_room_await_load(struct core_room *room);

#endif
