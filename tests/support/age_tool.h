/* support/age_tool.h - the age tool, and two identities of the tests: published here, and used for nothing else. */
#ifndef SUPPORT_AGE_TOOL_H
#define SUPPORT_AGE_TOOL_H

#include <stdbool.h>
#include <stddef.h>

#define AGE_TOOL_RECIPIENT "age1854mg9uhmyt0cfxd39emc2z3cvr4k2yu3av7ms36zfejs26lag7q4mj03c"
#define AGE_TOOL_SSH_RECIPIENT                                                                     \
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOtAR7oRXD39fYNGAqa3g++CwrWjOP52a8c233xzqf3F"

enum age_tool_identity {
    AGE_TOOL_X25519,
    AGE_TOOL_SSH
};

/* False, and says so, where it is not installed. */
bool age_tool_present(void);
/* Decrypts a file of `len` bytes; -1 when the tool refuses, else how many bytes came out. */
long age_tool_decrypt(
    enum age_tool_identity identity, const void *file, size_t len, char *ret_plain, size_t room);

#endif
