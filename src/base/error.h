/* base/error.h - the one error type.
 *
 * WHAT      An error newtype whose result can't be dropped, and one table (error.def) of codes.
 * PROMISE   The class of an error, and only it, drives the reaction: status, retry, log level.
 * THREADS   Any; the detail is thread-local.
 * OWNERSHIP A detail is a pointer to a static string: it can't leak input and can't fail.
 * ERRORS    Programming errors are cc_assert(), never a code here.
 * SECRETS   None, by construction: no text is made from data.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/macros.h"

typedef struct {
    int code;
} cc_err;

#define CC_ERR CC_MUST_USE cc_err
#define CC_OK  ((cc_err){0})
/* Returns the error of `expr` from the calling function, if there is one. */
#define CC_TRY(expr)                                                                               \
    do {                                                                                           \
        cc_err cc_e_ = (expr);                                                                     \
        if (cc_unlikely(cc_e_.code))                                                               \
            return cc_e_;                                                                          \
    } while (0)

enum error_code {
    ERROR_NONE = 0,
#define E(name, class, status, text) ERROR_##name,
#include "base/error.def"
#undef E
    ERROR_CODE_END
};

enum error_class {
    CLASS_NONE,
    CLASS_INPUT,
    CLASS_AUTH,
    CLASS_REFUSED,
    CLASS_NOT_FOUND,
    CLASS_SEALED,
    CLASS_BUSY,
    CLASS_UNAVAILABLE,
    CLASS_INTERNAL
};

/* Makes the error `code`, remembering where it was made and a static explanation (may be NULL). */
cc_err error_make(enum error_code code, const char *static_detail, const char *file, int line);
#define CC_FAIL(name, detail) error_make(ERROR_##name, (detail), __FILE__, __LINE__)

static inline int error_is(cc_err err, enum error_code code)
{
    return err.code == (int)code;
}

/* All take any cc_err, also one that came over a door with a value out of the table: that reads as
 * an internal error.
 */
const char *error_name(cc_err err); /* "SLASHABLE" */
const char *error_text(cc_err err); /* the table's sentence */
int error_status(cc_err err);       /* the table's HTTP status; 200 for CC_OK */
enum error_class error_class(cc_err err);

/* The detail and place of the last error this thread made; "" when there was none. */
const char *error_detail(void);
const char *error_place(void);

/* Turns an unchecked number (from a door) into an error that is in the table. */
cc_err error_from_number(uint32_t number);

#endif
