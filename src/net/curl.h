/* net/curl.h - libcurl as this program uses it: the only place that includes its header.
 *
 * WHAT      The library's start with memory that is wiped when it is freed, and what is the same for every transfer.
 * PROMISE   Certificates and their names are always checked, TLS is 1.2 or newer; no redirect, no proxy and no .netrc is used.
 * THREADS   As libcurl: one thread for a handle.   OWNERSHIP Borrows.   ERRORS SYSTEM.
 * SECRETS   curl holds copies of what it is given; they are wiped by the allocator.
 */
#ifndef NET_CURL_H
#define NET_CURL_H

#include <curl/curl.h>
#include <stdbool.h>

#include "base/error.h"

/* Once for each use that ends; curl counts the calls. */
CC_ERR net_curl_begin(void);
/* For a fresh or reset handle. */
CURLcode net_curl_set_safety(CURL *curl, bool tls);

/* In a function that returns a CURLcode. */
#define NET_CURL_SET(curl, option, value)                                                          \
    do {                                                                                           \
        CURLcode set_ = curl_easy_setopt(curl, option, value);                                     \
        if (set_ != CURLE_OK)                                                                      \
            return set_;                                                                           \
    } while (0)

#endif
