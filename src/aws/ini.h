/* aws/ini.h - the form of ~/.aws/config and ~/.aws/credentials.
 *
 * WHAT      Walks a text of [sections] and `key = value` lines, with values of their own below a key (indented lines, as in
 *           a `services` section); looks one value up.
 * PROMISE   Any bytes are walked in linear time; lines of no known form are passed over, as the AWS CLI's relatives do. Of
 *           two values of one name the later one counts. A comment is a line that begins with # or ;, or what follows
 *           white space and one of them.
 * THREADS   Any: pure.   OWNERSHIP Borrows: spans point into the text.   ERRORS None.   SECRETS Values may be.
 */
#ifndef AWS_INI_H
#define AWS_INI_H

#include "base/span.h"

struct aws_ini_line {
    struct span section; /* inside the brackets, trimmed: "profile work" */
    struct span key;
    struct span below; /* the indented key below `key`; empty: none */
    struct span value;
};

struct aws_ini {
    /* private */
    struct span rest;
    struct span section;
    struct span key;
};

static inline struct aws_ini aws_ini_walk(struct span text)
{
    return (struct aws_ini){.rest = text};
}
/* False at the end. */
bool aws_ini_next(struct aws_ini *ini, struct aws_ini_line *ret_line);

/* True when `section` is `kind` and `name` with white space between ("profile", "work"); `name` may stand in quotes there.
 * An empty `kind`: `name` alone.
 */
bool aws_ini_section_is(struct span section, const char *kind, struct span name);

/* The value of `key` (compared without case) and, where `below` is not "", of the key below it, in the sections that are
 * `kind` and `name`; `ret_found` says whether there is such a section at all. An empty span: no such value.
 */
struct span aws_ini_get(struct span text,
                        const char *kind,
                        struct span name,
                        const char *key,
                        const char *below,
                        bool *ret_found);

#endif
