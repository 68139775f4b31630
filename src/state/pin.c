#include "state/pin.h"

#include <inttypes.h>

#include "base/io.h"
#include "base/num.h"

#include "codec/hex.h"

enum {
    FILE_MAX = 512
};

static const char pin_title[] = "containment-chamber identity v1\n";
static const char seen_title[] = "containment-chamber state seen v1\n";

CC_ERR pin_write(const char *path, const struct state_pin *pin)
{
    struct buf text CC_CLEANUP(buf_release) = buf_init(FILE_MAX);
    CC_TRY(buf_append_str(&text, pin_title));
    CC_TRY(buf_append_str(&text, "chamber "));
    CC_TRY(hex_append(&text, pin->chamber_id, sizeof pin->chamber_id));
    CC_TRY(buf_append_str(&text, "\ned25519 "));
    CC_TRY(hex_append(&text, pin->identity_public, sizeof pin->identity_public));
    CC_TRY(buf_append_str(&text, "\n"));
    return file_write_durable(path, buf_span(&text), true);
}

/* Takes `text` off the front of `rest`. */
static bool skip(struct span *rest, const char *text)
{
    struct span want = span_str(text);
    if (rest->len < want.len || !span_equal(span_of(rest->data, want.len), want))
        return false;
    *rest = span_of(rest->data + want.len, rest->len - want.len);
    return true;
}

static bool take_hex(struct span *rest, uint8_t *ret_bytes, size_t len)
{
    if (!skip(rest, "0x") || rest->len < 2 * len)
        return false;
    if (hex_decode(span_of(rest->data, 2 * len), ret_bytes, len).code)
        return false;
    *rest = span_of(rest->data + 2 * len, rest->len - 2 * len);
    return true;
}

static cc_err read_small(const char *path, struct buf *ret_text, const char *missing)
{
    cc_err err = file_read(path, ret_text);
    return err.code ? CC_FAIL(TAMPERED, missing) : CC_OK;
}

CC_ERR pin_parse(struct span text, struct state_pin *ret_pin)
{
    struct state_pin pin;
    struct span rest = text;
    bool good =
        skip(&rest, pin_title) && skip(&rest, "chamber ") &&
        take_hex(&rest, pin.chamber_id, sizeof pin.chamber_id) && skip(&rest, "\ned25519 ") &&
        take_hex(&rest, pin.identity_public, sizeof pin.identity_public) && skip(&rest, "\n");
    if (!good || rest.len)
        return CC_FAIL(TAMPERED, "identity.pub is malformed");
    *ret_pin = pin;
    return CC_OK;
}

CC_ERR pin_read(const char *path, struct state_pin *ret_pin)
{
    struct buf text CC_CLEANUP(buf_release) = buf_init(FILE_MAX);
    CC_TRY(read_small(path, &text, "identity.pub is missing or can't be read"));
    return pin_parse(buf_span(&text), ret_pin);
}

CC_ERR seen_write(const char *path, uint64_t generation, bool first)
{
    struct buf text CC_CLEANUP(buf_release) = buf_init(FILE_MAX);
    CC_TRY(buf_printf(&text, "%sgeneration %" PRIu64 "\n", seen_title, generation));
    return file_write_durable(path, buf_span(&text), first);
}

CC_ERR seen_parse(struct span text, uint64_t *ret_generation)
{
    struct span rest = text;
    if (!skip(&rest, seen_title) || !skip(&rest, "generation ") || rest.len < 2 ||
        rest.data[rest.len - 1] != '\n' ||
        u64_parse(span_of(rest.data, rest.len - 1), ret_generation).code)
        return CC_FAIL(TAMPERED, "state.seen is malformed");
    return CC_OK;
}

CC_ERR seen_read(const char *path, uint64_t *ret_generation)
{
    struct buf text CC_CLEANUP(buf_release) = buf_init(FILE_MAX);
    CC_TRY(read_small(path, &text, "state.seen is missing or can't be read"));
    return seen_parse(buf_span(&text), ret_generation);
}
