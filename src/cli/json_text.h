/* cli/json_text.h - text in JSON that a command writes.
 *
 * WHAT      A string with its quotation marks; what JSON doesn't take as it is, escaped.
 * PROMISE   Bytes above 0x7f are passed on as they are.
 * THREADS   Any.   OWNERSHIP The caller's buf.   ERRORS LIMIT, NO_MEMORY.   SECRETS What the caller writes.
 */
#ifndef CLI_JSON_TEXT_H
#define CLI_JSON_TEXT_H

#include "base/error.h"
#include "base/span.h"

CC_ERR json_put_text(struct buf *out, struct span text);

#endif
