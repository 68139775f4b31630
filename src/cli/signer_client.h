/* cli/signer_client.h - a request to a running signer.
 *
 * WHAT      Over its Unix socket, over TCP or over TLS, with a token or without; one connection for each request.
 * PROMISE   Waits SIGNER_PATIENCE_S for the signer to take or to send something, then gives up. Nothing is sent over plain TCP to
 *           anywhere but loopback unless `allow_plaintext` says so, and nothing over TLS to who can't show a certificate of that
 *           name and of a trusted authority, or, with `attested`, is not the enclave of that policy now (cli/signer_attested.h).
 * THREADS   One.
 * OWNERSHIP signer_release() ends a struct signer, and wipes; the URL and a seed are borrowed.
 * ERRORS    ATTEST_* (not that enclave), IO (no signer there), PROTOCOL (an answer that can't be read), MALFORMED (a URL, or one that is not to be used), SYSTEM.
 * SECRETS   The token: in struct signer, and in the head of a request while it is sent; both are wiped.
 */
#ifndef CLI_SIGNER_CLIENT_H
#define CLI_SIGNER_CLIENT_H

#include "attest/atls.h"
#include "cli/http_answer.h"

enum {
    SIGNER_PATIENCE_S = 120,
    SIGNER_PATH_MAX = 108,
    SIGNER_HOST_MAX = 256,
    SIGNER_TOKEN_MAX = 512
};

struct signer {
    const char *url;                 /* for messages; NULL: none was given */
    char path[SIGNER_PATH_MAX];      /* of a Unix socket; "": TCP */
    char authority[SIGNER_HOST_MAX]; /* host and port as the URL has them: the Host header */
    char host[SIGNER_HOST_MAX];      /* without brackets */
    char port[6];
    bool tls;
    const char *ca; /* TLS, PEM files: the authorities that are trusted; NULL: the system's */
    const char *certificate; /* what to show, with its key; NULL: none */
    const char *key;
    const struct atls_policy *attested; /* NULL: a certificate is asked for its authority */
    bool allow_plaintext;
    char token[SIGNER_TOKEN_MAX + 1]; /* "": none */
    const uint8_t *signs_with;        /* the seed of a key that signs each request; NULL: none */
    const char *headers;              /* further header lines, each with its line end; NULL: none */
};

/* unix:/path, unix:///path, http+unix://%2Fpath, or the path itself; http://host[:port], https://host[:port]. MALFORMED for anything else. */
CC_ERR signer_of_url(const char *url, struct signer *ret_signer);
void signer_release(struct signer *signer);
/* Says on standard error what may help after a refusal of that status: a Unix socket knows its owner, and root not always. */
void signer_hint(const struct signer *signer, int status);

/* Sends it, and reads the answer: the body goes to answer->sink. */
CC_ERR signer_ask(const struct signer *signer,
                  const char *method,
                  const char *target,
                  struct span body,
                  struct http_answer *answer);

#endif
