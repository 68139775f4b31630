/* Values of the Authorization header. Whatever comes, it is a token with a digest, or bad without one, and the same twice. */
#include <string.h>

#include "front/authorization.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t none[sizeof((struct caller *)0)->token];
    struct caller first = {.listener = LISTENER_API};
    struct caller second = {.token_kind = CALLER_BASIC, .listener = LISTENER_API, .token = {7}};
    authorization_read(span_of(data, size), &first);
    authorization_read(span_of(data, size), &second);
    cc_assert(memcmp(&first, &second, sizeof first) == 0);
    bool bad = first.token_kind == CALLER_BAD;
    cc_assert(bad || first.token_kind == CALLER_BEARER || first.token_kind == CALLER_BASIC);
    cc_assert(bad == (memcmp(first.token, none, sizeof none) == 0));
    return 0;
}
