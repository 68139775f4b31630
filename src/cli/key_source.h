/* cli/key_source.h - keys that another service keeps as secrets, as Web3Signer reads them.
 *
 * WHAT      HashiCorp Vault, by Web3Signer's descriptions (type hashicorp): KV version 2, with a token or a Kubernetes role. AWS Secrets
 *           Manager, by descriptions (type aws-secret) and by the beginning of names or by tags. Azure Key Vault, by descriptions (type
 *           azure-secret) and by the vault and tags, and GCP Secret Manager, by the project and its filter, with an access token that the operator
 *           brings. Up to 200 keys in a secret, one a line.
 * PROMISE   Reads only. What a list has and was not asked for is left out, whatever the service takes names and tags for; of a filter of GCP only
 *           the service knows. A secret that can't be had, or is no key, is named and the rest is read. No name, text or answer of a secret
 *           that failed is in what is said but the name. A service is asked over TLS, or in the clear on loopback alone.
 * THREADS   One.   OWNERSHIP Borrows.
 * ERRORS    Of a secret: to `fail`. Of the whole: what the directory or the session says, or what `take` returned.
 * SECRETS   Keys, tokens: wiped when they were handed on. libyaml's copy of a description's token is not (docs/secrets.md).
 */
#ifndef CLI_KEY_SOURCE_H
#define CLI_KEY_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"

#include "codec/json.h"

enum {
    KEY_SOURCE_KEYS_MAX = 200, /* in one secret */
    KEY_SOURCE_NAME_MAX = 1024
};

struct key_source_kind;

struct key_source {
    const struct key_source_kind *kind;
    const char *descriptions; /* directory, or one file; NULL: none */
    const char *prefixes;     /* beginnings of names, with commas between; NULL: none */
    const char *tags;         /* with commas between; a secret must have all of them; NULL: none */
    const char *filter;       /* gcp: in the service's own language; NULL: none */
    const char *region;       /* aws-secrets; NULL: that of the environment */
    const char *endpoint;     /* not hashicorp; NULL: the service's own */
    const char *ca; /* PEM, not aws-secrets: whose certificates are trusted; NULL: the system's */
    const char *vault;   /* azure: its name; NULL: none */
    const char *project; /* gcp: its id; NULL: none */
    const char *token;   /* azure, gcp: env:NAME or file:PATH; NULL: none */
    char *const *environment;
};

/* Gets each key; an error ends the reading. */
typedef cc_err key_source_take_fn(void *context, const char *name, const uint8_t secret[static 32]);
/* Is told what was left out, and why; `why` is static. */
typedef void key_source_fail_fn(void *context, const char *name, cc_err err, const char *why);

struct key_source_sink {
    key_source_take_fn *take;
    key_source_fail_fn *fail;
    void *context;
};

/* NULL when there is no such service. */
const struct key_source_kind *key_source_find(const char *name);
const char *key_source_names(void);
/* NULL, or what is wrong with the options, before anything is asked. */
const char *key_source_fault(const struct key_source *source);
CC_ERR key_source_read(const struct key_source *source, const struct key_source_sink *sink);

/* --- for the services ---------------------------------------------------------------------------------------------- */

struct yml_node;

struct key_source_kind {
    const char *name;
    const char *type; /* of descriptions; "": there are none */
    /* What one description names; its error is the secret's. *ret_name is for people. */
    cc_err (*describe)(const struct key_source *source,
                       const struct yml_node *description,
                       char ret_name[static KEY_SOURCE_NAME_MAX],
                       struct buf *ret_secret);
    /* Says what is missing in the options; NULL: nothing. */
    const char *(*lacks)(const struct key_source *source);
    /* Without descriptions: secrets by their names, if the options say so. NULL: there is no such way. */
    cc_err (*read_all)(const struct key_source *source, const struct key_source_sink *sink);
    void (*end)(void); /* NULL: nothing to end */
    bool has_tags, has_filter;
};

extern const struct key_source_kind key_source_hashicorp;
extern const struct key_source_kind key_source_aws;
extern const struct key_source_kind key_source_azure;
extern const struct key_source_kind key_source_gcp;

/* The keys in a secret's text, one a line; each is 32 bytes of hex, with or without 0x. */
CC_ERR key_source_take_text(const struct key_source_sink *sink, const char *name, struct span text);
/* True when `name` begins with one of source->prefixes, or none is given. */
bool key_source_wants(const struct key_source *source, struct span name);
/* A tag that a secret must have: NAME=VALUE, NAME (whatever its value), =VALUE (whatever its name). */
struct key_source_tag {
    struct span name; /* empty: any */
    struct span value;
    bool has_value;
};
/* Takes the next of source->tags off `list`, which begins as that; false: there is none. */
bool key_source_next_tag(const char **list, struct key_source_tag *ret_tag);
bool key_source_fits(const struct key_source_tag *tag, struct span name, struct span value);
/* True when `has` finds each of source->tags in `member` of what a service lists of a secret, or none is given. */
bool key_source_has_tags(const struct key_source *source,
                         struct jval secret,
                         const char *member,
                         bool (*has)(struct jval tags, const struct key_source_tag *tag));
/* A property's text, zero-terminated; `otherwise` where there is none (NULL: FIELD_MISSING). */
CC_ERR key_source_property(const struct yml_node *description,
                           const char *name,
                           const char *otherwise,
                           const char **ret_text);

#endif
