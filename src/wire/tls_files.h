/* wire/tls_files.h - what the front needs to serve TLS, in one file without a name.
 *
 * WHAT      The contents of the files of `tls.file`, as the supervisor puts them one behind the other into a sealed memfd, and
 *           as the front takes them apart again. CONTROL_TLS brings the descriptor.
 * PROMISE   Whoever makes it need not look at the contents; whoever reads it gets spans inside what was read, or PROTOCOL.
 * THREADS   Any: pure.   OWNERSHIP The spans borrow the bytes.   ERRORS PROTOCOL.
 * SECRETS   The private key and its password are among the contents (docs/secrets.md).
 */
#ifndef WIRE_TLS_FILES_H
#define WIRE_TLS_FILES_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

enum tls_file {
    TLS_CERTIFICATE,   /* PEM: the signer's certificate, then those between it and its authority */
    TLS_KEY,           /* PEM */
    TLS_PKCS12,        /* both in one */
    TLS_PASSWORD,      /* of the key or of the PKCS#12 file; its line end is no part of it */
    TLS_CLIENT_CA,     /* PEM: authorities of clients */
    TLS_KNOWN_CLIENTS, /* front/tls_clients.h */
    TLS_FILE_END
};

enum {
    TLS_FILE_MAX = 1 << 20,
    TLS_FILES_MAX = TLS_FILE_END * TLS_FILE_MAX + 64
};

#define TLS_FILE_NONE UINT32_MAX

/* What stands before the contents, which follow in the order of enum tls_file. */
struct tls_files_head {
    uint32_t magic;
    uint32_t client_auth;           /* enum tls_client_auth */
    uint32_t lengths[TLS_FILE_END]; /* TLS_FILE_NONE: not configured */
};

struct tls_files {
    uint32_t client_auth;
    bool has[TLS_FILE_END];
    struct span files[TLS_FILE_END];
};

#define TLS_FILES_MAGIC UINT32_C(0x31534c54)

CC_ERR tls_files_read(struct span bytes, struct tls_files *ret_files);

#endif
