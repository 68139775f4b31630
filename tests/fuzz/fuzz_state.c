/* What the core reads of the state store before and after its signature: any bytes are parsed or refused, and what was
 * parsed is written back as the same bytes.
 */
#include "core/stores.h"
#include "state/pin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_records(struct span bytes)
{
    struct b_chamber chamber;
    struct history_record history;
    struct ceiling ceiling;
    struct slash_watermark floor;
    uint8_t again[CHAMBER_RECORD_SIZE + HISTORY_RECORD_SIZE];
    if (!chamber_record_decode(bytes, &chamber).code) {
        chamber_record_encode(&chamber, again);
        cc_assert(span_equal(bytes, span_of(again, CHAMBER_RECORD_SIZE)));
    }
    if (!history_record_decode(bytes, &history).code) {
        history_record_encode(&history, again);
        cc_assert(span_equal(bytes, span_of(again, HISTORY_RECORD_SIZE)));
    }
    if (!ceiling_record_decode(bytes, &ceiling).code) {
        ceiling_record_encode(&ceiling, again);
        cc_assert(span_equal(bytes, span_of(again, CEILING_RECORD_SIZE)));
    }
    if (!floor_record_decode(bytes, &floor).code) {
        floor_record_encode(&floor, again);
        cc_assert(span_equal(bytes, span_of(again, FLOOR_RECORD_SIZE)));
    }
}

/* Nobody but the vault can make a head that verifies. */
static void as_image(struct span bytes)
{
    static const uint8_t public_key[ED25519_PUBLIC_SIZE] = {1};
    static const uint8_t chamber_id[32];
    struct state_fault fault;
    struct state_image image = {.generation = 1, .head = buf_init(STATE_HEAD_MAX)};
    if (!buf_append(&image.head, bytes.data, bytes.len).code)
        cc_assert(
            error_is(state_image_verify(&image, chamber_id, public_key, &fault), ERROR_TAMPERED));
    buf_release(&image.head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state_pin pin;
    uint64_t generation = 0;
    struct span bytes = span_of(data, size);
    (void)pin_parse(bytes, &pin).code;
    (void)seen_parse(bytes, &generation).code;
    as_records(bytes);
    as_image(bytes);
    return 0;
}
