/* cli/attest_options.h - whom a client of attested TLS accepts, from the command line.
 *
 * WHAT      --attest-pcr N=HEX (again and again; an N that stands there already begins another set, one of which must hold),
 *           --attest-chamber HEX|any, --attest-config HEX|any, --attest-root FILE, --attest-max-age N[s|m|h], --attest-allow-debug.
 * PROMISE   Without registers and without a word on the chamber there is no policy: a mistake can't make one that accepts everybody.
 * THREADS   Main only.
 * OWNERSHIP attest_options_release(); policies point into the options.
 * ERRORS    Exit codes of app/supervisor.h.
 * SECRETS   None.
 */
#ifndef CLI_ATTEST_OPTIONS_H
#define CLI_ATTEST_OPTIONS_H

#include "attest/atls.h"
#include "cli/command.h"

enum {
    ATTEST_SETS_MAX = 8
};

struct attest_options {
    struct atls_policy policy; /* complete when `given` */
    const char *given;         /* the first option that was there; NULL: none */
    /* private */
    struct attest_pcrs sets[ATTEST_SETS_MAX];
    uint8_t chamber_id[ATTEST_CHAMBER_ID_SIZE];
    uint8_t config_digest[ATTEST_CONFIG_DIGEST_SIZE];
    struct buf root;
};

/* Takes the options out of `arguments`, in whose order the sets are. Where one is there, all that are needed must be. */
int command_take_attest(struct arguments *arguments, struct attest_options *ret_options);
/* EXIT_CODE_USAGE and a message when they are not complete. */
int command_need_attest(const struct arguments *arguments, const struct attest_options *options);
void attest_options_release(struct attest_options *options);

#endif
