/* The state records of keys: whatever is accepted is written again as the same bytes. */
#include <string.h>

#include "core/key_book.h"
#include "core/pause.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pause_keys paused;
    static uint8_t again[PAUSE_KEYS_MAX];
    struct key_book_record record;
    const struct span bytes = span_of(data, size);
    if (!key_book_record_decode(bytes, &record).code) {
        key_book_record_encode(&record, again);
        cc_assert(span_equal(bytes, span_of(again, KEY_BOOK_RECORD_SIZE)));
    }
    if (!pause_keys_decode(bytes, &paused).code) {
        cc_assert(paused.count <= A_KEYS_PAUSED_MAX);
        cc_assert(span_equal(bytes, span_of(again, pause_keys_encode(&paused, again))));
    }
    return 0;
}
