/* keys/report.h - what the loader tells the core and the log.
 *
 * WHAT      Batches of L_KEYS to the core, the counters of L_DONE, and a log line per key file that is refused.
 * PROMISE   Nothing but paths, public keys and error codes. A batch is sent when it is full and by report_flush().
 * THREADS   One thread.   OWNERSHIP Borrows everything.
 * ERRORS    DOOR_CLOSED: the core is gone, and the load with it.   SECRETS None.
 */
#ifndef KEYS_REPORT_H
#define KEYS_REPORT_H

#include <stdbool.h>

#include "wire/door_key.h"

enum {
    REPORT_BATCH = 128,
    REPORT_WARNINGS_MAX = 50 /* of one sort of warning; beyond, only their number is logged */
};

struct report {
    int fd; /* load door */
    uint32_t life;
    uint64_t files;
    uint64_t loaded;
    uint64_t failed;
    uint64_t duplicates;
    uint64_t open_files; /* readable by others */
    bool incomplete;     /* a directory could not be read to its end */
    uint32_t count;
    struct l_key batch[REPORT_BATCH];
};

/* A key that is not in the vault yet. `pubkey` NULL: known only after the decryption. */
CC_ERR report_found(struct report *r, const char *path, const struct eth_pubkey *pubkey);
CC_ERR report_loaded(struct report *r, const char *path, const struct k_result *result);
/* `pubkey` NULL: the file does not tell which key it is. `detail` goes to the log only. */
CC_ERR report_failed(struct report *r,
                     const char *path,
                     cc_err why,
                     const char *detail,
                     const struct eth_pubkey *pubkey);
/* Another file has brought the same key: only logged, since the key is served. */
void report_duplicate(struct report *r, const char *path, const char *first_path);
void report_open_file(struct report *r, const char *path);
/* Sends what waits. */
CC_ERR report_flush(struct report *r);
/* Sends what waits, then L_DONE. */
CC_ERR report_done(struct report *r, bool scanned);

#endif
