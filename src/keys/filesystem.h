/* keys/filesystem.h - the key files of a directory.
 *
 * WHAT      Lists key files, reads them and their passwords, and resolves the names that one file gives for another.
 * PROMISE   Never hangs on what is not a regular file, never reads more than the limit, writes nothing. A directory is
 *           listed in the order of its names; it is not descended; hidden files are passed over.
 * THREADS   Any: no state.
 * OWNERSHIP key_files_release() frees a list.
 * ERRORS    IO (the detail says what), KEY_FILE (not a regular file, too large), KEY_FILE_MODE, PASSWORD_FILE,
 *           PASSWORD_TEXT, NO_MEMORY, LIMIT.
 * SECRETS   What is read goes to the caller's wiping buf; passwords only to the caller's bytes.
 */
#ifndef KEYS_FILESYSTEM_H
#define KEYS_FILESYSTEM_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

#include "eth/types.h"

enum {
    KEY_FILES_MAX = 262144,    /* far above what one signer serves */
    KEY_PATH_MAX = 4096,       /* PATH_MAX: the longest that open() takes */
    PASSWORD_FILE_MAX = 65536, /* only the first line counts */
};

enum key_file_kind {
    KEY_FILE_NONE,
    KEY_FILE_YAML, /* .yaml, .yml: Web3Signer's description */
    KEY_FILE_JSON  /* .json: EIP-2335 */
};

struct key_file {
    char *path;
    enum key_file_kind kind;
};

struct key_files {
    struct key_file *items;
    size_t count;
    size_t capacity;
};

/* By the end of the name; KEY_FILE_NONE for hidden and other files. */
enum key_file_kind key_file_kind(const char *name);

/* Appends the key files of the directory `path`, or `path` itself when it is a file of such a name. After an error
 * the list holds what was read until then.
 */
CC_ERR key_files_scan(struct key_files *files, const char *path);
void key_files_release(struct key_files *files);

struct key_file_facts {
    bool opened;                /* it is a regular file, and the next two are known */
    struct eth_pubkey identity; /* device and inode, as a key for a key_map */
    bool open_to_others;        /* group or others may read or write it */
    bool missing;               /* with IO: there is no such file */
};

/* Opens it and reads nothing. */
CC_ERR key_file_look(const char *path, struct key_file_facts *ret_facts);
/* Reads a regular file whole, to ret_content->max bytes. With `strict`, KEY_FILE_MODE when it is open to others. */
CC_ERR key_file_read(const char *path,
                     bool strict,
                     struct buf *ret_content,
                     struct key_file_facts *ret_facts);

struct password {
    size_t len;
    uint8_t bytes[2048];
};

/* Reads the first line of a file, which must not be blank, and prepares it as EIP-2335 says. */
CC_ERR key_password_read(const char *path,
                         bool strict,
                         struct password *ret_password,
                         struct key_file_facts *ret_facts);

/* `name` as seen from the directory of `file`; an absolute one stays. LIMIT when it gets too long. */
CC_ERR key_path_beside(const char *file, const char *name, char ret_path[static KEY_PATH_MAX]);
/* `directory`/NAME`suffix`, or beside `file` when directory is NULL, where NAME is `file`'s without its ending. */
CC_ERR key_path_of_password(const char *file,
                            const char *directory,
                            const char *suffix,
                            char ret_path[static KEY_PATH_MAX]);

#endif
