/* support/folder.h - a temporary folder of a test. */
#ifndef SUPPORT_FOLDER_H
#define SUPPORT_FOLDER_H

#include <stddef.h>
#include <sys/types.h>

struct folder {
    char path[256];
};

/* Makes a new one below TMPDIR or /tmp; folder_remove() removes it with all that is in it. */
void folder_make(struct folder *folder);
void folder_remove(struct folder *folder);
/* Writes `name` (relative; its folders must be there) with `mode`; returns nothing on purpose: it aborts on failure. */
void folder_write(
    const struct folder *folder, const char *name, const void *data, size_t len, mode_t mode);
void folder_write_text(const struct folder *folder, const char *name, const char *text);
void folder_mkdir(const struct folder *folder, const char *name);
/* The path of `name`, in one of a few buffers used in turn. */
const char *folder_at(const struct folder *folder, const char *name);

#endif
