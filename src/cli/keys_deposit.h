/* cli/keys_deposit.h - deposits of keys: their terms, the file that the launchpad takes, and `keys deposit-data`.
 *
 * WHAT      Terms from options; entries gathered into one JSON list, and written as deposit_data-TIME.json; deposits of keys that a
 *           running signer holds already, each signed by it as any DEPOSIT.
 * PROMISE   A deposit is written only when its signature holds for the key, the terms and the network. The file is written at once and
 *           durably, and is never put in the place of another.
 * THREADS   One.   OWNERSHIP deposit_file_release() frees.   ERRORS Exit codes of app/supervisor.h, printed.   SECRETS None.
 */
#ifndef CLI_KEYS_DEPOSIT_H
#define CLI_KEYS_DEPOSIT_H

#include "cli/command.h"
#include "cli/keys_client.h"
#include "eth/deposit.h"

/* --withdrawal-address ADDRESS [--compounding] [--amount GWEI] */
struct deposit_terms {
    bool is_set; /* there is an address */
    bool compounding;
    struct eth_address address;
    struct eth_root credentials;
    uint64_t amount;
};

int deposit_terms_take(struct arguments *arguments, struct deposit_terms *ret_terms);

struct deposit_file {
    const char *directory;
    struct buf text;
    size_t count;
};

/* "." where `directory` is NULL. What can't be written to is found out here. */
int deposit_file_begin(struct deposit_file *file, const char *directory);
void deposit_file_release(struct deposit_file *file);
/* A path in the directory: the name, seconds since 1970, a number where there are several, the suffix. */
CC_ERR deposit_file_path(const struct deposit_file *file,
                         const char *name,
                         size_t number,
                         const char *suffix,
                         struct buf *out);
CC_ERR deposit_file_add(struct deposit_file *file, struct span entry);
/* Writes what was added, and says where; nothing when nothing was. */
int deposit_file_write(struct deposit_file *file, bool quiet);

struct keys_deposit {
    const struct signer *signer;
    const char *network; /* name, or path of a consensus config */
    const char *directory;
    struct deposit_terms terms;
    bool json;
};

/* `pubkeys`: {"pubkeys":["0x…",...]}; changed. */
int keys_deposit_data(const struct keys_deposit *deposit, struct buf *pubkeys);

#endif
