/* core/audit_file.h - where the lines of the audit log go: a segment's file, or standard output.
 *
 * WHAT      Making a segment, writing at its end, what stands at the end of one that is there.
 * PROMISE   A segment is never opened for writing again: a new one has a new name. A write that fails is as if it had not been: the
 *           next one goes to the same place. What went to standard output in part is ended by a newline before the next line.
 * THREADS   One writer at a time; sync from any.
 * OWNERSHIP audit_file_close().
 * ERRORS    IO (errno is kept), EXISTS, LIMIT, NO_MEMORY.
 * SECRETS   None.
 */
#ifndef CORE_AUDIT_FILE_H
#define CORE_AUDIT_FILE_H

#include "core/audit_line.h"

struct audit_file {
    int fd;          /* -1: none */
    uint64_t length; /* of what was written whole */
    bool stream;     /* standard output */
    bool torn;       /* the last write to it failed in the middle */
};

/* "DIRECTORY/00000012.jsonl" */
CC_ERR audit_file_path(const char *directory, uint64_t segment, struct buf *out);
bool audit_file_exists(const char *directory, uint64_t segment);
CC_ERR audit_file_create(const char *directory, uint64_t segment, struct audit_file *ret_file);
/* One that could not be begun. */
void audit_file_remove(const char *directory, uint64_t segment);
void audit_file_stdout(struct audit_file *ret_file);
CC_ERR audit_file_write(struct audit_file *file, const char *text, size_t len);
/* Makes what was written durable. */
CC_ERR audit_file_sync(const struct audit_file *file);
void audit_file_close(struct audit_file *file);
/* The last whole line of a segment; zeros where there is none that can be read. */
void audit_file_tail(const char *directory, uint64_t segment, struct audit_position *ret_position);

#endif
