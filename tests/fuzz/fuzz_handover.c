/* The token of a hand-over, which comes from another machine, and the orders that carry it: refused, or it is the one text of
 * what it says.
 */
#include "core/handover.h"
#include "core/order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t nobody[ED25519_PUBLIC_SIZE] = {1};
    struct buf again = buf_init(HANDOVER_TEXT_MAX);
    struct handover handover;
    struct order order;
    if (!handover_parse(span_of(data, size), &handover).code) {
        cc_assert(!handover_encode(&handover, &again).code);
        cc_assert(span_equal(buf_span(&again), span_of(data, size)));
        cc_assert(error_is(handover_verify(&handover, nobody), ERROR_TAMPERED));
    }
    if (!order_parse(span_of(data, size), &order).code && order.verb == ORDER_TAKE_OVER)
        (void)handover_parse(order.token, &handover).code;
    buf_release(&again);
    return 0;
}
