#include "support/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/test.h"

const char *vectors_path(const char *path)
{
    static char full[1024];
    const char *root = getenv("CC_VECTORS");
    (void)snprintf(full, sizeof(full), "%s/%s", root ? root : "../shared/vectors", path);
    return full;
}

bool vectors_present(const char *folder, const char *what)
{
    if (access(vectors_path(folder), R_OK) == 0)
        return true;
    print_message("left out: %s (no %s)\n", what, vectors_path(folder));
    return false;
}

char *vectors_read(const char *path, size_t *ret_len)
{
    char command[1100];
    const char *full = vectors_path(path);
    size_t length = strlen(full);
    bool packed = length > 3 && strcmp(full + length - 3, ".gz") == 0;
    (void)snprintf(command, sizeof(command), "gzip -dc '%s'", full);
    FILE *file = packed ? popen(command, "r") : fopen(full, "re");
    assert_non_null(file);
    size_t cap = 1 << 20;
    size_t len = 0;
    char *content = malloc(cap);
    assert_non_null(content);
    for (size_t got; (got = fread(content + len, 1, cap - len - 1, file)) > 0;) {
        len += got;
        if (cap - len > 1)
            continue;
        cap *= 2;
        content = realloc(content, cap);
        assert_non_null(content);
    }
    assert_int_equal(packed ? pclose(file) : fclose(file), 0);
    content[len] = 0;
    *ret_len = len;
    return content;
}
