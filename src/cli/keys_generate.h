/* cli/keys_generate.h - `keys generate`: new keys in a running signer, and what their owner keeps of them.
 *
 * WHAT      Asks for keys in requests of bounded size, each with a mnemonic of its own; writes each backup as it comes, and the deposit data
 *           of all keys at the end.
 * PROMISE   A deposit is written only when its signature holds under the terms that were asked for. A backup is on the disk, in a new
 *           file that only its owner can read, before the next request is made; where it can't be written it is printed. Of a run
 *           that ends early the deposit data of the keys that were made is written.
 * THREADS   One.   OWNERSHIP Borrows.   ERRORS Exit codes of app/supervisor.h, printed.
 * SECRETS   None: the mnemonic comes encrypted to the signer's recipients.
 */
#ifndef CLI_KEYS_GENERATE_H
#define CLI_KEYS_GENERATE_H

#include "cli/keys_deposit.h"

struct keys_generate {
    const struct signer *signer;
    uint64_t count;
    uint64_t items; /* keys of a request */
    const char *directory;
    struct deposit_terms terms;
    bool inactive;
    bool json;
};

int keys_generate(const struct keys_generate *generate);

#endif
