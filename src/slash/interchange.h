/* slash/interchange.h - EIP-3076 files, version 5: the way in and out of a history.
 *
 * WHAT      Import and export, validator by validator.
 * PROMISE   An import is read twice: nothing is merged unless the whole file is well-formed, of version "5" and
 *           of this history's network. Then validators are merged, many in one step, each atomically (slash/merge.h:
 *           never loosening); a validator that comes twice is merged twice. An export holds what another signer needs
 *           to be at least as strict: records from the low watermarks on, and the watermarks themselves.
 * THREADS   As the store.
 * OWNERSHIP Borrows all. Memory: one validator's records, or two MB of many.
 * ERRORS    INTERCHANGE, INTERCHANGE_VERSION, WRONG_NETWORK, what JSON says (with line and element in the
 *           messages), IDENTITY (export of a history whose network isn't fixed), as the store.
 * SECRETS   None.
 */
#ifndef SLASH_INTERCHANGE_H
#define SLASH_INTERCHANGE_H

#include "base/span.h"

#include "codec/json_stream.h"
#include "slash/store.h"

enum {
    INTERCHANGE_FAULTS_MAX = 20,       /* then the reader gives up */
    INTERCHANGE_RECORDS_MAX = 1 << 21, /* of one validator in one file: 25 years of attestations */
    INTERCHANGE_MESSAGES_MAX = 1 << 20
};

/* A file that can be read twice. */
struct interchange_source {
    json_stream_read_fn *read;
    cc_err (*rewind)(void *context);
    void *context;
};
typedef cc_err interchange_write_fn(void *context, const void *data, size_t len);

/* What an import takes of a file, and where the rows stand afterwards; all zero: everything, as it is in the file. */
struct interchange_rules {
    const struct eth_pubkey *only; /* with `only_count` > 0: these validators, and no other */
    size_t only_count;
    /* Of each validator that comes, the low watermarks rise to these at least: what was forgotten lies below (core/ceiling.h). */
    struct slash_watermark floor;
};

struct interchange_result {
    struct slash_import_report report;
    uint32_t faults; /* why nothing was imported */
    uint32_t notes;  /* what a person should know about what was imported */
    /* One line each: "line 12: data[3].signed_blocks[0].slot: not a decimal number". Made with
     * buf_init(INTERCHANGE_MESSAGES_MAX) by the caller, who releases it. */
    struct buf messages;
};

/* `rules` may be NULL. New validators are enabled. */
CC_ERR interchange_import(struct slash_store *store,
                          const struct interchange_source *source,
                          const struct interchange_rules *rules,
                          struct interchange_result *ret_result);
/* Exports everything, or with `only_count` > 0 the validators of that list; *ret_count says how many, all the time: what
 * `write` is given last belongs to the last of them.
 */
CC_ERR interchange_export(struct slash_store *store,
                          interchange_write_fn *write,
                          void *context,
                          const struct eth_pubkey *only,
                          size_t only_count,
                          uint64_t *ret_count);

/* --- an export whose validators come from elsewhere: begin, each validator in order of public key, end ---------------- */

struct interchange_writer {
    interchange_write_fn *write;
    void *context;
    uint64_t count; /* validators so far */
    struct buf out; /* not given to `write` yet */
};
CC_ERR interchange_write_begin(struct interchange_writer *writer,
                               const struct eth_root *genesis_validators_root);
CC_ERR interchange_write_validator(struct interchange_writer *writer,
                                   const struct slash_validator *validator);
/* Gives `write` what there is. */
CC_ERR interchange_write_flush(struct interchange_writer *writer);
CC_ERR interchange_write_end(struct interchange_writer *writer);
void interchange_writer_release(struct interchange_writer *writer);

#endif
