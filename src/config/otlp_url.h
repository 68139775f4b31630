/* config/otlp_url.h - where a collector takes traces, by the endpoint of the configuration.
 *
 * WHAT      http://HOST[:PORT][/path] or https://..., the base of which OTLP speaks, to the URL of its traces.
 * PROMISE   In the clear to loopback alone (127.0.0.0/8, ::1, localhost), unless it is allowed. No user, no query, no fragment:
 *           what would be a password is never part of it.
 * THREADS   Any: pure.   OWNERSHIP By value.   ERRORS CONFIG with a sentence for the user as error_detail().   SECRETS None.
 */
#ifndef CONFIG_OTLP_URL_H
#define CONFIG_OTLP_URL_H

#include "config/config.h"

enum {
    OTLP_URL_SIZE = CONFIG_TEXT_MAX + 16
};

CC_ERR otlp_url(const char *endpoint, bool allow_plaintext, char ret_url[static OTLP_URL_SIZE]);

#endif
