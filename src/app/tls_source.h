/* app/tls_source.h - the files of `tls.file`, for the front.
 *
 * WHAT      Opens certificate, key and what else TLS needs, puts them into a sealed memfd (wire/tls_files.h), and sees by their
 *           inodes and times when one was replaced: a Kubernetes Secret too, whose files are symbolic links.
 * PROMISE   Looks at no content: the kernel copies from file to file, so the private key is never in this process's memory.
 *           What the front took last is kept, so that a new front can begin with it when the files on disk are no good.
 * THREADS   The supervisor's one thread.
 * OWNERSHIP tls_source_close() closes; configuration and environment are borrowed.
 * ERRORS    CONFIG (a file or variable that can't be read; logged with its option), LIMIT, SYSTEM.
 * SECRETS   A private key and a password lie in the memfd, which goes to the front alone.
 */
#ifndef APP_TLS_SOURCE_H
#define APP_TLS_SOURCE_H

#include <sys/stat.h>

#include "config/config.h"
#include "wire/tls_files.h"

/* What of a file's inode changes when it is replaced or written to; zeros where it can't be seen. */
struct tls_stamp {
    uint64_t device, inode, size;
    int64_t modified_s, modified_ns, changed_s, changed_ns;
};

struct tls_source {
    const struct tls_config *config; /* NULL: no TLS */
    char *const *environment;
    struct tls_stamp
        stamps[TLS_FILE_END]; /* of the last reading, whether it could be read or not */
    int newest;               /* memfd; -1: none */
    uint64_t newest_generation;
    int taken; /* the newest that a front took; -1: none */
    uint64_t taken_generation;
    uint64_t due_ms; /* of the next look; 0: none */
};

/* Reads the files for the first time; does nothing while TLS is off. */
CC_ERR tls_source_open(struct tls_source *source,
                       const struct tls_config *config,
                       char *const *environment);
void tls_source_close(struct tls_source *source);
/* Reads them again, whether they have changed or not. On an error, which is logged, what was read before stays. */
CC_ERR tls_source_read(struct tls_source *source);
/* True when it is time to look and a file is another one than at the last reading. */
bool tls_source_has_changed(struct tls_source *source, uint64_t now_ms);
/* A front serves with the files of this generation. */
void tls_source_taken(struct tls_source *source, uint64_t generation);

#endif
