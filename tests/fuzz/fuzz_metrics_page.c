/* Heads of requests for metrics: what has been judged stays judged, however much comes after it. */
#include <string.h>

#include "net/metrics_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int status = metrics_page_status(span_of(data, size));
    cc_assert(status == 0 || status == 200 || status == 400 || status == 404 || status == 405);
    for (size_t len = 0; len < size && len < 512; len++) {
        int earlier = metrics_page_status(span_of(data, len));
        cc_assert(earlier == 0 || size >= 4096 || earlier == status);
    }
    return 0;
}
