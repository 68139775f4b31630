#include "vault/chamber_key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "crypto/random.h"
#include "secret/ct.h"
#include "secret/wipe.h"

static const char magic[] = "containment-chamber-key-v1\n";
enum {
    MAGIC_LEN = sizeof magic - 1,
    DIGITS = 2 * SECRET_SIZE,
    FILE_LEN = MAGIC_LEN + DIGITS + 1
};

struct key_file {
    char bytes[FILE_LEN + 1]; /* one more, to see that nothing follows */
};

static void key_file_wipep(struct key_file *f)
{
    wipe(f, sizeof *f);
}

CC_SENSITIVE CC_ERR chamber_key_create(const char *path)
{
    WIPED32 struct secret32 key;
    CC_CLEANUP(key_file_wipep) struct key_file file;
    CC_TRY(random_bytes(key.bytes, sizeof key.bytes));
    memcpy(file.bytes, magic, MAGIC_LEN);
    ct_hex_encode(key.bytes, sizeof key.bytes, file.bytes + MAGIC_LEN);
    file.bytes[FILE_LEN - 1] = '\n';
    return file_write_durable(path, span_of(file.bytes, FILE_LEN), true);
}

CC_ERR chamber_key_open(const char *path, int *ret_fd)
{
    CC_CLEANUP(fd_closep)
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return CC_FAIL(IO, "chamber.key can't be opened");
    if (!S_ISREG(st.st_mode))
        return CC_FAIL(PERMISSIONS, "chamber.key is not a regular file");
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return CC_FAIL(PERMISSIONS, "chamber.key must have mode 0600");
    if (st.st_uid != geteuid() && st.st_uid != 0)
        return CC_FAIL(PERMISSIONS, "chamber.key belongs to another user: run this as that one");
    *ret_fd = fd;
    fd = -1;
    return CC_OK;
}

static cc_err read_file(int fd, struct key_file *ret_file, size_t *ret_len)
{
    size_t len = 0;
    while (len < sizeof ret_file->bytes) {
        ssize_t n = read(fd, ret_file->bytes + len, sizeof ret_file->bytes - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return CC_FAIL(IO, "chamber.key can't be read");
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *ret_len = len;
    return CC_OK;
}

static bool is_well_formed(const struct key_file *file, size_t len)
{
    return len == FILE_LEN && ct_equal(file->bytes, magic, MAGIC_LEN) &&
           file->bytes[FILE_LEN - 1] == '\n';
}

CC_SENSITIVE CC_ERR chamber_key_copy(const char *from, const char *to)
{
    CC_CLEANUP(key_file_wipep) struct key_file file;
    CC_CLEANUP(fd_closep) int fd = -1;
    size_t len = 0;
    CC_TRY(chamber_key_open(from, &fd));
    CC_TRY(read_file(fd, &file, &len));
    if (!is_well_formed(&file, len))
        return CC_FAIL(TAMPERED, "chamber.key is not in its format");
    return file_write_durable(to, span_of(file.bytes, len), true);
}

CC_SENSITIVE CC_ERR chamber_key_read(int fd, struct secret *ret_key)
{
    CC_CLEANUP(fd_closep) int own = fd;
    CC_CLEANUP(key_file_wipep) struct key_file file;
    size_t len = 0;
    CC_TRY(read_file(own, &file, &len));
    if (!is_well_formed(&file, len))
        return CC_FAIL(TAMPERED, "chamber.key is not in its format");
    if (ct_hex_decode(file.bytes + MAGIC_LEN, secret_borrow_mut(ret_key), SECRET_SIZE).code)
        return CC_FAIL(TAMPERED, "chamber.key is not in its format");
    return CC_OK;
}
