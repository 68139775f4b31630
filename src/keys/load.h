/* keys/load.h - one load of all key files.
 *
 * WHAT      Looks at every configured file, tells the core which keys there are, then has the vault decrypt what it
 *           does not hold yet.
 *           A directory whose fence (keys/fence.h) names another history is not loaded from.
 * PROMISE   Two phases. First every file is looked at: raw keys go to the vault at once, keystores are reported FOUND
 *           by the public key that they name; then L_DONE{scanned}. Second, keystores whose key the vault holds
 *           already are reported LOADED unread, the others are sent with their passwords, at most
 *           keystore_load_concurrency in flight; then the last L_DONE. A file that is refused is named, logged and
 *           counted, and the rest go on. Of several files with one key the first that loads wins.
 * THREADS   One thread; waits only for its two doors.
 * OWNERSHIP Borrows the configuration and the doors.
 * ERRORS    DOOR_CLOSED, PROTOCOL, IO of a door; NO_MEMORY; MEMLOCK. Never for a key file.
 * SECRETS   One password and one batch of raw keys at a time, in locked memory; wiped as soon as they are sent.
 */
#ifndef KEYS_LOAD_H
#define KEYS_LOAD_H

#include <stdbool.h>

#include "base/error.h"

#include "config/config.h"

struct load_doors {
    int key_fd; /* vault */
    uint32_t key_life;
    int load_fd; /* core */
    uint32_t load_life;
    bool knows_history;     /* false: fences are not looked at */
    uint8_t history_id[32]; /* what they must name */
};

CC_ERR load_run(const struct filesystem_config *config, const struct load_doors *doors);

#endif
