/* cli/migrate_try.h - proves that every key of a configuration signs, before anything depends on it.
 *
 * WHAT      Starts this binary on the configuration's key files and network, in a chamber of its own that ends with the trial, has each
 *           key sign, and verifies the signatures. With another signer beside it, the two lists of keys and each signature are
 *           compared: a key signs a message in one way only.
 * PROMISE   Only an AGGREGATION_SLOT of slot 0 is signed: nobody can be slashed for it, and no network has a use for it any more. Neither
 *           the configuration's data directory nor its database is touched, and no fence is written into the key directories.
 * THREADS   One.   OWNERSHIP Borrows.   ERRORS As own_signer.h; IO, PROTOCOL of the other signer. What is wrong with a key is said
 *           on standard error and counted.
 * SECRETS   None here: the key files are read by the trial's loader.
 */
#ifndef CLI_MIGRATE_TRY_H
#define CLI_MIGRATE_TRY_H

#include "cli/progress.h"
#include "config/config.h"
#include "eth/network.h"

struct migrate_try {
    const struct config *config;
    const struct eth_network *network;
    const struct eth_root *genesis_validators_root;
    const char *directory; /* the chamber is made below it */
    const char *reference; /* URL of the signer that there is now; NULL: none */
    enum progress_how progress;
};

struct migrate_tried {
    uint64_t keys;     /* that were found */
    uint64_t proven;   /* of those: signed, and verified */
    uint64_t compared; /* of those: signed in the same way by the other signer */
    uint64_t missing;  /* that only the other signer has */
    uint64_t more;     /* that it lacks */
    uint64_t refused;  /* key files */
};

CC_ERR migrate_try(const struct migrate_try *wanted, struct migrate_tried *ret_tried);

#endif
