#include "keys/fence.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "codec/hex.h"
#include "keys/filesystem.h"

static const char title[] = "containment-chamber-fence-v1\nhistory 0x";

CC_ERR fence_parse(struct span text, uint8_t ret_history_id[static FENCE_ID_SIZE])
{
    const size_t head = sizeof title - 1;
    const size_t len = head + 2 * FENCE_ID_SIZE + 1;
    if (text.len != len || !span_equal(span_of(text.data, head), span_of(title, head)) ||
        text.data[len - 1] != '\n' ||
        hex_decode(span_of(text.data + head, 2 * FENCE_ID_SIZE), ret_history_id, FENCE_ID_SIZE)
            .code)
        return CC_FAIL(KEY_FENCED, "its " FENCE_NAME " is none");
    return CC_OK;
}

static cc_err path_of(const char *directory, char ret_path[static KEY_PATH_MAX])
{
    int n = snprintf(ret_path, KEY_PATH_MAX, "%s/%s", directory, FENCE_NAME);
    return n > 0 && n < KEY_PATH_MAX ? CC_OK : CC_FAIL(LIMIT, "path too long");
}

CC_ERR
fence_check(const char *path, const uint8_t history_id[static FENCE_ID_SIZE], bool *ret_there)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(FENCE_TEXT_MAX);
    uint8_t found[FENCE_ID_SIZE];
    char name[KEY_PATH_MAX];
    struct key_file_facts facts;
    *ret_there = false;
    CC_TRY(path_of(path, name));
    cc_err err = key_file_read(name, false, &text, &facts);
    if (err.code && facts.missing)
        return CC_OK;
    *ret_there = true;
    if (err.code)
        return CC_FAIL(KEY_FENCED, "its " FENCE_NAME " can't be read");
    CC_TRY(fence_parse(buf_span(&text), found));
    return span_equal(span_of(found, sizeof found), span_of(history_id, FENCE_ID_SIZE))
               ? CC_OK
               : CC_FAIL(KEY_FENCED, "its " FENCE_NAME " names another history");
}

CC_ERR
fence_write(const char *path, const uint8_t history_id[static FENCE_ID_SIZE], bool replace)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(FENCE_TEXT_MAX);
    char digits[2 * FENCE_ID_SIZE + 1] = {0};
    char name[KEY_PATH_MAX];
    CC_TRY(path_of(path, name));
    hex_encode(history_id, FENCE_ID_SIZE, digits);
    CC_TRY(buf_printf(&text, "%s%s\n", title, digits));
    CC_TRY(file_write_durable(name, buf_span(&text), !replace));
    /* It says nothing that others may not know, and every room and replica must be able to read it. */
    return chmod(name, 0644) == 0 ? CC_OK : CC_FAIL(IO, "chmod");
}
