/* What is asked for when a token is to be made: refused with a place, or a token whose record can be written and read again. */
#include <string.h>

#include "base/alloc.h"

#include "auth/token_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct auth_fault fault;
    struct token token, again;
    struct buf record = buf_init(TOKEN_STORED_MAX);
    uint8_t *text = cc_alloc(size + 1);
    cc_assert(text);
    if (size)
        memcpy(text, data, size);
    cc_err err = token_request_parse(text, size, 1700000000, &token, &fault);
    if (err.code) {
        cc_assert(memchr(fault.place, 0, sizeof fault.place) && fault.what);
    } else {
        cc_assert(token.policy_count > 0 && policy_is_name(span_str(token.name)));
        cc_assert(!token_write(&token, &record).code);
        cc_assert(!token_parse(record.data, record.len, token.name, &again, &fault).code);
        cc_assert(again.expires == token.expires && again.policy_count == token.policy_count &&
                  again.cidr_count == token.cidr_count);
    }
    buf_release(&record);
    cc_free(text);
    return 0;
}
