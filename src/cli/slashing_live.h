/* cli/slashing_live.h - `slashing` on a running signer.
 *
 * WHAT      The commands through the API.
 * PROMISE   An import checks the whole file before it sends anything, then sends whole validators in pieces of a few MiB, so that
 *           no file is too large. An export that breaks off is an error.
 * THREADS   One.   OWNERSHIP Borrows.   ERRORS Exit codes of app/supervisor.h, printed.   SECRETS None.
 */
#ifndef CLI_SLASHING_LIVE_H
#define CLI_SLASHING_LIVE_H

#include "cli/signer_client.h"
#include "slash/interchange.h"
#include "wire/door_a.h"

/* Asks for one of the verbs without a file, with `arguments` (JSON, may be ""), and prints the answer. */
int slashing_live_ask(const struct signer *signer,
                      enum a_slashing_verb verb,
                      const char *arguments,
                      bool json);
int slashing_live_import(const struct signer *signer,
                         const char *from,
                         bool json,
                         const struct interchange_source *source);
/* To `write`; *ret_count is how many validators came. */
int slashing_live_export(const struct signer *signer,
                         interchange_write_fn *write,
                         void *context,
                         uint64_t *ret_count);

/* Appends the keys that are disabled, each by `put`. */
CC_ERR slashing_live_disabled(const struct signer *signer,
                              cc_err (*put)(struct buf *out, const struct eth_pubkey *pubkey),
                              struct buf *out);

#endif
