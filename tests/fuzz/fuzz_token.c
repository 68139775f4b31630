/* A token's record as it comes from the state store: refused with a place, or written back as one text that reads as itself. Whoever
 * shows it gets an answer, whatever it says.
 */
#include <stdlib.h>
#include <string.h>

#include "auth/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool parse(const uint8_t *data, size_t size, struct token *ret_token)
{
    struct auth_fault fault = {.what = NULL};
    uint8_t *text = malloc(size ? size : 1);
    cc_assert(text);
    if (size)
        memcpy(text, data, size);
    cc_err err = token_parse(text, size, "vc-1", ret_token, &fault);
    free(text);
    cc_assert(fault.what && memchr(fault.place, 0, sizeof fault.place));
    return err.code == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct token token;
    struct token again;
    struct caller caller = {.token_kind = CALLER_BEARER};
    if (!parse(data, size, &token))
        return 0;
    struct buf first = buf_init(4 * TOKEN_STORED_MAX);
    struct buf second = buf_init(4 * TOKEN_STORED_MAX);
    cc_assert(!token_write(&token, &first).code);
    cc_assert(parse(first.data, first.len, &again) || first.len > TOKEN_STORED_MAX);
    if (first.len <= TOKEN_STORED_MAX) {
        cc_assert(!token_write(&again, &second).code);
        cc_assert(span_equal(buf_span(&first), buf_span(&second)));
    }
    cc_assert(token.policy_count > 0);
    enum token_state state = token_check(&token, &caller, token.expires);
    cc_assert(!token.expires || state == TOKEN_EXPIRED);
    cc_assert(token.expires || !token.cidr_count || state == TOKEN_ELSEWHERE);
    buf_release(&first);
    buf_release(&second);
    return 0;
}
