/* cli/owner_key.h - the owner's key, as a command takes it, and as one is made.
 *
 * WHAT      --owner-key SECRET signs a command's requests, where -c would show the owner by his file. `auth owner-key` makes one.
 * PROMISE   The key never leaves this process but into the file that it is made into; it signs for https:// alone. Beside a token or -c it is refused.
 * THREADS   Main only.
 * OWNERSHIP owner_key_release() wipes; a signer borrows the key until then.
 * ERRORS    Exit codes of app/supervisor.h, printed.
 * SECRETS   The seed.
 */
#ifndef CLI_OWNER_KEY_H
#define CLI_OWNER_KEY_H

#include "auth/owner.h"
#include "cli/command.h"
#include "cli/signer_client.h"

#define OWNER_KEY_NEEDS_SIGNER "needs --signer-url https://HOST:PORT, and goes without -c"

struct owner_key_option {
    const char *source; /* NULL: not given */
    uint8_t seed[ED25519_SEED_SIZE];
};

/* Takes --owner-key out of `arguments`; it is not read yet. */
int owner_key_take(struct arguments *arguments, struct owner_key_option *ret_option);
/* Has it sign what is asked of this signer; nothing where the option was not given. */
int owner_key_use(const struct arguments *arguments,
                  struct owner_key_option *option,
                  struct signer *signer);
void owner_key_release(struct owner_key_option *option);

/* Makes a key in a new file, and prints its row of auth.owner_keys, with `json` in an object. `name` NULL: none. */
int owner_key_make(const struct arguments *arguments, const char *to, const char *name, bool json);

#endif
