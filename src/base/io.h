/* base/io.h - small files and descriptors.
 *
 * WHAT      Whole-file reads with a limit, atomic durable writes, closing by scope.
 * PROMISE   file_write_durable() leaves the old or the new content after a power cut, never a mix:
 *           temporary file, fsync, rename, fsync of the directory; mode 0600.
 * THREADS   Any.
 * OWNERSHIP The caller owns the returned buf; fd_closep() closes.
 * ERRORS    IO (errno is kept), LIMIT, NO_MEMORY, EXISTS.
 * SECRETS   file_read() may be used for secret files only in the vault and the loader.
 */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/span.h"

/* Cleanup helper: CC_CLEANUP(fd_closep) int fd = -1. */
void fd_closep(int *fd);

/* Reads all of `fd` from its position; LIMIT if there are more than ret_content->max bytes. */
CC_ERR fd_read_all(int fd, struct buf *ret_content);
/* Reads a regular file whole. */
CC_ERR file_read(const char *path, struct buf *ret_content);
/* Writes exactly `len` bytes, going on after short writes and EINTR. */
CC_ERR fd_write_all(int fd, const void *data, size_t len);
/* Replaces `path` by `content` durably. With `must_be_new`, EXISTS if it is there already. */
CC_ERR file_write_durable(const char *path, struct span content, bool must_be_new);

#endif
