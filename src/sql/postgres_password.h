/* sql/postgres_password.h - passwords of databases that don't stand in their URLs.
 *
 * WHAT      Who is asked for the password of a URL when a connection is made. In an enclave it is KMS, which gives it to the image alone
 *           (core/enclave_secrets.h).
 * PROMISE   One that the server has refused is not given again without asking anew.
 * THREADS   postgres_passwords_install() before there are threads, or when nothing connects any more; the rest any.
 * OWNERSHIP Borrows what is installed.
 * ERRORS    What the source says, as STORE.
 * SECRETS   The password: in the caller's buf, which wipes it, and in libpq's memory while the connection lives.
 */
#ifndef SQL_POSTGRES_PASSWORD_H
#define SQL_POSTGRES_PASSWORD_H

#include "base/span.h"

enum {
    POSTGRES_PASSWORD_MAX = 256, /* with its terminator */
    POSTGRES_PASSWORDS_MAX = 3
};

struct postgres_password {
    const char *url;
    /* Appends the password, as text with its terminator. May take seconds. */
    cc_err (*get)(void *context, struct buf *ret_password);
    /* The server refuses the one that was given last. */
    void (*refuse)(void *context);
    void *context;
};

/* From now on these; count 0: none. */
void postgres_passwords_install(const struct postgres_password *passwords, size_t count);
/* False: nobody has one for that URL. */
bool postgres_password_exists(const char *url);
CC_ERR postgres_password_get(const char *url, struct buf *ret_password);
void postgres_password_refused(const char *url);

#endif
