/* slash/interchange_read.h - the reader under interchange_import(), one pass over a file.
 *
 * WHAT      Reads a file and calls `each` for every validator; collects faults instead of stopping at the first.
 * PROMISE   `each` sees only validators without a fault. CC_OK means that the file has no fault at all.
 * THREADS   One thread.   OWNERSHIP interchange_reader_release().   ERRORS As interchange.h.   SECRETS None.
 */
#ifndef SLASH_INTERCHANGE_READ_H
#define SLASH_INTERCHANGE_READ_H

#include "slash/interchange.h"

struct interchange_reader {
    struct json_stream json;
    struct interchange_result *result;
    slash_visit_fn *each;
    void *context;
    /* What the metadata said. */
    bool has_version;
    bool has_genesis_validators_root;
    struct eth_root genesis_validators_root;
    uint64_t metadata_line;
    /* private: where we are, and the validator being read */
    const char *list; /* "signed_blocks", "signed_attestations" or NULL */
    uint64_t validator;
    uint64_t record;
    bool in_data;
    struct slash_block *blocks;
    size_t block_count, block_room;
    struct slash_attestation *attestations;
    size_t attestation_count, attestation_room;
};

/* Reads the whole of `source`. */
CC_ERR interchange_read(struct interchange_reader *reader,
                        const struct interchange_source *source,
                        struct interchange_result *result,
                        slash_visit_fn *each,
                        void *context);
void interchange_reader_release(struct interchange_reader *reader);
/* Notes a fault at `line` with the reader's place in the file; `field` may be NULL. */
void interchange_fault(struct interchange_reader *reader,
                       uint64_t line,
                       const char *field,
                       const char *what);

#endif
