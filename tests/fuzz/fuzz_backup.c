/* A backup's file, and its list of disabled keys. One that is taken is written again as it was, and its parts lie inside it; a key
 * that is taken from the list is the key that a list with it alone has. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"

#include "cli/backup_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_disabled(struct span list)
{
    struct eth_pubkey pubkey, again;
    while (!backup_take_disabled(&list, &pubkey).code) {
        CC_CLEANUP(buf_release) struct buf alone = buf_init(256);
        cc_assert(!backup_put_disabled(&alone, &pubkey).code);
        struct span rest = buf_span(&alone);
        cc_assert(!backup_take_disabled(&rest, &again).code && rest.len == 0);
        cc_assert(!memcmp(&pubkey, &again, sizeof pubkey));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct backup backup;
    check_disabled(span_of(data, size));
    CC_CLEANUP(buf_release) struct buf again = buf_init(size + 1);
    if (backup_read(span_of(data, size), &backup).code)
        return 0;
    for (size_t i = 0; i < BACKUP_PARTS; i++)
        cc_assert(!backup.has[i] || (backup.parts[i].data >= data &&
                                     backup.parts[i].data + backup.parts[i].len <= data + size));
    CC_CLEANUP(fd_closep) int fd = memfd_create("backup", MFD_CLOEXEC);
    cc_assert(fd >= 0 && !backup_write(fd, &backup).code && lseek(fd, 0, SEEK_SET) == 0);
    cc_assert(!fd_read_all(fd, &again).code);
    cc_assert(span_equal(buf_span(&again), span_of(data, size)));
    return 0;
}
