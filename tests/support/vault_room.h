/* support/vault_room.h - a real vault for tests: vault_main() in a child process or a thread, with its doors.
 *
 * The test plays the supervisor, the core and the loader. Failed set-up steps fail the test.
 */
#ifndef SUPPORT_VAULT_ROOM_H
#define SUPPORT_VAULT_ROOM_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "config/config.h"
#include "wire/control.h"
#include "wire/door_b.h"
#include "wire/door_documents.h"
#include "wire/door_key.h"

/* A chamber made by a vault in ROOM_MODE_INIT, the proof of its one history, and its set of mode local. */
struct test_chamber {
    char directory[64];
    char key_path[96];
    struct b_chamber stored;
    struct b_hello hello;
    struct seal_set set;
};

struct vault_room {
    bool in_thread;
    pid_t pid;
    pthread_t thread;
    int control;   /* the supervisor's end */
    int core;      /* the core's end of door B; -1: none */
    int loader;    /* the loader's end of the key door; -1: none */
    int documents; /* the core's end of the door of documents; -1: none, or not in an enclave */
    uint32_t core_life;
    uint32_t loader_life;
    struct config *config;
    int room_control; /* thread: the room's end */
    cc_err result;    /* thread: of vault_main() */
};

void test_chamber_make(struct test_chamber *chamber);
void test_chamber_remove(struct test_chamber *chamber);

/* Starts a vault in `mode` with the chamber's key, door B of life 1 and key door of life 1, and waits for READY. */
void vault_room_start(struct vault_room *room,
                      const struct test_chamber *chamber,
                      enum room_mode mode,
                      bool in_thread);
/* The same in a child process that serves, with this signing.engine and two signing threads. */
void vault_room_start_engine(struct vault_room *room,
                             const struct test_chamber *chamber,
                             enum signing_engine engine);
/* The same, with two signing threads and a configuration that allows ceremonies. */
void vault_room_start_ceremony(struct vault_room *room, const struct test_chamber *chamber);
/* The same, where images that operators have approved open the chamber. */
void vault_room_start_by_image(struct vault_room *room, const struct test_chamber *chamber);
/* The same, where new keys are backed up to both recipients of support/age_tool.h. */
void vault_room_start_generate(struct vault_room *room, const struct test_chamber *chamber);
/* In an enclave with this security module (attest/nsm.h), and a core whose options have this digest. */
void vault_room_start_enclave(struct vault_room *room,
                              const struct test_chamber *chamber,
                              enum room_mode mode,
                              int nsm,
                              const uint8_t core_digest[static 32]);
/* Opens the chamber and its master key and proves the history: after it the vault signs. */
void vault_room_greet(struct vault_room *room, const struct test_chamber *chamber);
/* Opens the chamber's root alone. */
void vault_room_open_root(struct vault_room *room, const struct test_chamber *chamber);
/* New doors of the next life, as after the death of a core or loader. */
void vault_room_next_core(struct vault_room *room);
void vault_room_next_loader(struct vault_room *room);
/* Whether half of `needle`, as it is or backwards, is in these bytes. */
bool test_contains(const void *haystack, size_t len, const uint8_t needle[static 32]);
/* The same of every readable and writable mapping of a vault in a process of its own. memfd_secret memory can't be read even so; where the
 * kernel lacks it, the search is only right after a seal.
 */
bool vault_room_holds(const struct vault_room *room, const uint8_t needle[static 32]);
/* Closes the control line and waits; returns the exit status, or the error code of a thread. */
int vault_room_stop(struct vault_room *room);

/* Sends one message and receives its answer. The result is that of the receive: DOOR_CLOSED when the vault hung up. */
cc_err core_ask(struct vault_room *room,
                uint16_t type,
                const void *items,
                size_t item_size,
                size_t count,
                struct door_message *ret_answer);
cc_err loader_ask(struct vault_room *room,
                  uint16_t type,
                  const void *items,
                  size_t item_size,
                  size_t count,
                  struct door_message *ret_answer);

/* Loads the key with this big-endian scalar as file-raw would; fails the test unless it loads. */
struct k_result loader_add_raw(struct vault_room *room, const uint8_t secret[static 32]);

#endif
