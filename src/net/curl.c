#include "net/curl.h"

#include "base/alloc.h"

#include "secret/wiping_heap.h"

/* curl's memory holds copies of keys and tokens. */
CC_ERR net_curl_begin(void)
{
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, cc_alloc, wiping_free, wiping_realloc, cc_strdup,
                             cc_alloc_array) != CURLE_OK)
        return CC_FAIL(SYSTEM, "libcurl");
    return CC_OK;
}

CURLcode net_curl_set_safety(CURL *curl, bool tls)
{
    NET_CURL_SET(curl, CURLOPT_NOSIGNAL, 1L);
    NET_CURL_SET(curl, CURLOPT_PROTOCOLS_STR, tls ? "https" : "http");
    NET_CURL_SET(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    NET_CURL_SET(curl, CURLOPT_FOLLOWLOCATION, 0L);
    NET_CURL_SET(curl, CURLOPT_PROXY, "");
    NET_CURL_SET(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    NET_CURL_SET(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    NET_CURL_SET(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    NET_CURL_SET(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    return CURLE_OK;
}
