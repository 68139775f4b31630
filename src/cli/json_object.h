/* cli/json_object.h - what a command did, as one JSON object on standard output.
 *
 * WHAT      --json of the commands that no signer answers: members are put one after the other, then all is printed at once.
 * PROMISE   Standard output gets a whole object or, with a message and EXIT_CODE_FAILED, none that is taken for one. Numbers of epochs and
 *           slots are text, as in the signer's answers.
 * THREADS   One.
 * OWNERSHIP json_object_print() and json_object_release() free; the latter takes zeros.
 * ERRORS    LIMIT, NO_MEMORY: the first one stays in `err`, what is put after it is passed over, and printing says it.
 * SECRETS   None: what is put here is not wiped.
 */
#ifndef CLI_JSON_OBJECT_H
#define CLI_JSON_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"

struct json_object {
    struct buf text;
    cc_err err;
};

struct json_object json_object_begin(void);

/* `name` NULL: an item of a list. `text` NULL: null. */
void json_object_text(struct json_object *object, const char *name, const char *text);
void json_object_span(struct json_object *object, const char *name, struct span text);
/* What is JSON already; empty: null. */
void json_object_json(struct json_object *object, const char *name, struct span json);
void json_object_flag(struct json_object *object, const char *name, bool flag);
void json_object_count(struct json_object *object, const char *name, uint64_t count);
/* An epoch or a slot. */
void json_object_time(struct json_object *object, const char *name, uint64_t number);
/* 0x and digits. */
void json_object_hex(struct json_object *object, const char *name, struct span bytes);
/* The lines of a text for people. */
void json_object_lines(struct json_object *object, const char *name, struct span text);
/* '{' or '[', and what ends it. */
void json_object_open(struct json_object *object, const char *name, char bracket);
void json_object_close(struct json_object *object, char bracket);

/* Ends the object; its text stays the object's. */
CC_ERR json_object_end(struct json_object *object);
/* Ends it, prints it and frees it; `code`, or EXIT_CODE_FAILED with a message of `command`. */
int json_object_print(struct json_object *object, const char *command, int code);
void json_object_release(struct json_object *object);

#endif
