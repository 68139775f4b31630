/* cli/doctor.h - what of this machine and configuration makes a signer weaker than it could be, or keeps it from starting.
 *
 * WHAT      The table of checks (cli/doctor.def): each looks at one thing, finds it well or not, and has one sentence why it matters
 *           and one how it is mended.
 * PROMISE   Nothing is changed: what has to be tried is tried in a child, or given back at once. Where the program itself decides
 *           by a rule, a check asks that rule and has none of its own. What can't be looked at is never `ok`.
 * THREADS   One, and no other: checks fork.
 * OWNERSHIP Borrows configuration and paths.
 * ERRORS    None: what goes wrong is a finding.
 * SECRETS   None are read: files of keys and passwords are opened for their modes alone. A database's URL goes to the library.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <sys/timex.h>

#include "config/config.h"
#include "crypto/batch.h"

enum doctor_status {
    DOCTOR_OK,
    DOCTOR_SKIP, /* not looked at */
    DOCTOR_WARN, /* the signer runs, with less than it could have */
    DOCTOR_FAIL, /* it doesn't start, or shouldn't */
    DOCTOR_STATUS_END
};

enum {
    DOCTOR_TEXT_SIZE = 768
};

struct doctor_finding {
    enum doctor_status status;
    char text[DOCTOR_TEXT_SIZE];
};

struct doctor_engine {
    enum batch_engine used;
    bool self_test_failed;
};

/* What a machine is asked, where a test can't make one that answers otherwise. */
struct doctor_host {
    const char *root; /* before /proc and /sys: "" */
    int (*ask_clock)(struct timex *ret_clock);
    cc_err (*time_flush)(const char *directory, unsigned n, uint64_t *ret_ns); /* the median of n */
    cc_err (*choose_engine)(enum signing_engine wanted, struct doctor_engine *ret_engine);
    cc_err (*harden)(void); /* in a child */
};

extern const struct doctor_host doctor_this_host;

struct doctor {
    const struct doctor_host *host;
    const struct config *config;
    const char *config_path; /* NULL: none */
    bool config_is_valid;
    bool connects; /* to databases and tables */
};

struct doctor_row {
    const char *name;
    enum doctor_status worst; /* what `bad` is for this check */
    bool of_config;           /* nothing can be said of a configuration that is not valid */
    void (*look)(const struct doctor *doctor, struct doctor_finding *ret_finding);
    const char *why;
    const char *fix;
};

extern const struct doctor_row doctor_rows[];
extern const size_t doctor_row_count;

/* "ok", "skip", "warn", "fail" */
const char *doctor_status_name(enum doctor_status status);
void doctor_look(const struct doctor *doctor,
                 const struct doctor_row *row,
                 struct doctor_finding *ret_finding);

/* --- for the checks ------------------------------------------------------------------------------------------------ */

void doctor_say(struct doctor_finding *finding, enum doctor_status status, const char *fmt, ...)
    CC_PRINTF(3, 4);
/* The same with the row's worst. */
void doctor_say_bad(struct doctor_finding *finding, const char *fmt, ...) CC_PRINTF(2, 3);
/* An error's sentence and detail, as the row's worst. */
void doctor_say_error(struct doctor_finding *finding, cc_err err);
/* A file of the kernel below the host's root; false: there is none. */
bool doctor_read(const struct doctor *doctor, const char *path, struct buf *ret_text);
bool doctor_read_number(const struct doctor *doctor, const char *path, uint64_t *ret_number);
/* True when `work` returned true in a child of its own. */
bool doctor_in_child(bool (*work)(const void *context), const void *context);

#define D(name, Name, worst, of_config, why, fix)                                                  \
    void doctor_##name(const struct doctor *doctor, struct doctor_finding *ret_finding);
#include "cli/doctor.def"
#undef D

#endif
