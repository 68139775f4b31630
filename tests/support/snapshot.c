#include "support/snapshot.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"

#include "support/test.h"

void snapshot_check(const char *path, const struct buf *text)
{
    char name[512];
    (void)snprintf(name, sizeof name, "%s/%s", CC_SOURCE_DIR, path);
    if (getenv("CC_UPDATE_SNAPSHOTS")) {
        FILE *file = fopen(name, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(text->data, 1, text->len, file), text->len);
        assert_int_equal(fclose(file), 0);
    }
    CC_CLEANUP(buf_release) struct buf kept = buf_init(1 << 20);
    if (file_read(name, &kept).code || !span_equal(buf_span(&kept), buf_span(text)))
        fail_msg("%s is not what the program says; look at `git diff` after CC_UPDATE_SNAPSHOTS=1",
                 path);
}
