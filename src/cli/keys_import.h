/* cli/keys_import.h - `keys import`: EIP-2335 files of the operator's machine, or keys that another service keeps, to a running signer.
 *
 * WHAT      Finds keystores and their passwords, sends them in requests of bounded size, says what became of each.
 * PROMISE   Nothing is written, nothing is decrypted here. A file that can't be read, or whose password is missing, is named and
 *           the rest is sent. What was imported before a failure stays, and the import can be repeated. With `json` one object, written as
 *           answers come: who is cut short leaves one without its end.
 * THREADS   One.   OWNERSHIP Borrows.   ERRORS Exit codes of app/supervisor.h, printed.
 * SECRETS   Passwords, in the body of a request: wiped once it is sent. Keys of another service: encrypted as they come, wiped.
 */
#ifndef CLI_KEYS_IMPORT_H
#define CLI_KEYS_IMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/key_source.h"
#include "cli/signer_client.h"

struct keys_import {
    const struct signer *signer;
    const char *from_dir;      /* keystores; with a source: its descriptions */
    struct key_source source;  /* .kind NULL: files */
    const char *passwords;     /* directory of <name>.txt; NULL: beside each keystore */
    const char *password_file; /* one for all that have none; NULL: none */
    const char *history;       /* EIP-3076 file; NULL: none */
    uint64_t items;            /* keystores of a request */
    bool inactive;
    bool json;
};

int keys_import(const struct keys_import *import);

#endif
