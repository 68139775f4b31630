/* support/vectors.h - test vectors that are not part of the project.
 *
 * WHAT      Finds them under CC_VECTORS, or beside the source tree; a test whose vectors are not there says so and passes.
 */
#ifndef SUPPORT_VECTORS_H
#define SUPPORT_VECTORS_H

#include <stdbool.h>
#include <stddef.h>

/* True when `folder` is there; else prints that `what` is left out. */
bool vectors_present(const char *folder, const char *what);
/* The content of a file there, unpacked when it ends in .gz, with a zero byte behind; the caller frees. Fails the test
 * when it can't be read.
 */
char *vectors_read(const char *path, size_t *ret_len);
/* The full path of a file there, in a static buffer. */
const char *vectors_path(const char *path);

#endif
