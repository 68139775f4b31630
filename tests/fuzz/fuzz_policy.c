/* A policy as an administrator sends it, or as a record holds it: refused with a place, or written as one text that reads back as
 * itself, and judged without a surprise: a deny anywhere wins, nothing is allowed that no rule allows.
 */
#include <stdlib.h>
#include <string.h>

#include "auth/policy.h"
#include "auth/principal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct policy *parse(const uint8_t *data, size_t size, const char *name)
{
    struct policy *policy = NULL;
    struct auth_fault fault = {.what = NULL};
    uint8_t *text = malloc(size ? size : 1);
    cc_assert(text);
    if (size)
        memcpy(text, data, size);
    cc_err err = policy_parse(text, size, name, &policy, &fault);
    free(text);
    cc_assert((err.code != 0) == (policy == NULL));
    cc_assert(fault.what && memchr(fault.place, 0, sizeof fault.place));
    return policy;
}

static void write(const struct policy *policy, struct buf *text)
{
    *text = buf_init(4 * POLICY_STORED_MAX);
    cc_assert(!policy_write(policy, text).code);
}

static void judge(const struct policy *policy, const struct policy *again)
{
    static const uint8_t address[16] = {[10] = 0xff, [11] = 0xff, [12] = 10, [15] = 1};
    static const struct eth_address recipient = {{0x44}};
    static const uint64_t gas_limit = 30000000;
    struct eth_pubkey pubkey;
    memset(&pubkey, 0xab, sizeof pubkey);
    for (int i = 0; i < SCOPE_END * KIND_END; i++) {
        const struct policy_question question = {
            .scope = (enum auth_scope)(i / KIND_END),
            .kind = (enum eth_kind)(i % KIND_END),
            .pubkey = i & 1 ? &pubkey : NULL,
            .fee_recipient = i & 2 ? &recipient : NULL,
            .gas_limit = i & 2 ? &gas_limit : NULL,
            .address = i & 4 ? address : NULL,
        };
        const struct policy *const both[] = {policy, again};
        struct policy_finding one;
        struct policy_finding two;
        policy_judge(both, 1, &question, &one);
        policy_judge(both, 2, &question, &two);
        cc_assert(one.effect == two.effect && one.number == two.number);
        cc_assert((one.effect == POLICY_SAYS_NOTHING) == (one.number == 0));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct principal_row row;
    struct buf first;
    struct buf second;
    (void)principal_certificate_parse(span_of(data, size), &row).code;
    (void)principal_listener_parse(span_of(data, size), &row).code;
    struct policy *policy = parse(data, size, NULL);
    struct policy *named = parse(data, size, "fuzzed");
    if (policy) {
        write(policy, &first);
        struct policy *again = parse(first.data, first.len, policy_name(policy));
        cc_assert(again || first.len > POLICY_STORED_MAX);
        if (again) {
            write(again, &second);
            cc_assert(span_equal(buf_span(&first), buf_span(&second)));
            judge(policy, again);
            buf_release(&second);
        }
        policy_free(again);
        buf_release(&first);
    }
    policy_free(policy);
    policy_free(named);
    return 0;
}
