#include "base/num.h"

#include "config/config_policies.h"

/* A room's part as bytes, for the same binary on the other end of a descriptor:
 * magic, room, number of rows (4 bytes each, little-endian), then per row its index, its size and the field. The vault's ends with the digest
 * of the core's options.
 */
static const char magic[4] = {'C', 'C', 'F', '1'};
enum {
    HEAD_SIZE = 12,
    ROW_HEAD_SIZE = 8
};

static cc_err put_u32(struct buf *out, uint32_t value)
{
    uint8_t bytes[8];
    u64_store_le(bytes, value);
    return buf_append(out, bytes, 4);
}

static uint32_t load_u32(const uint8_t *from)
{
    uint8_t bytes[8] = {0};
    memcpy(bytes, from, 4);
    return (uint32_t)u64_load_le(bytes);
}

static uint32_t visible_count(enum config_room room)
{
    uint32_t count = 0;
    for (size_t i = 0; i < config_row_count; i++)
        count += (config_rows[i].rooms & (unsigned)room) != 0;
    return count;
}

static cc_err put_digest(const struct config *config, struct buf *out)
{
    uint8_t digest[sizeof config->core_digest];
    CC_TRY(config_digest(config, digest));
    return buf_append(out, digest, sizeof digest);
}

CC_ERR config_encode(const struct config *config, enum config_room room, struct buf *out)
{
    CC_TRY(buf_append(out, magic, sizeof magic));
    CC_TRY(put_u32(out, (uint32_t)room));
    CC_TRY(put_u32(out, visible_count(room)));
    for (size_t i = 0; i < config_row_count; i++) {
        const struct config_row *row = &config_rows[i];
        if (!(row->rooms & (unsigned)room))
            continue;
        CC_TRY(put_u32(out, (uint32_t)i));
        CC_TRY(put_u32(out, (uint32_t)row->size));
        CC_TRY(buf_append(out, (const uint8_t *)config + row->offset, row->size));
    }
    return room == CONFIG_FOR_VAULT ? put_digest(config, out) : CC_OK;
}

/* Fields come as raw memory, so what code relies on is checked: texts end, lists are short, enums and bools exist. */
static bool is_sound(const struct config *config, const struct config_row *row)
{
    const uint8_t *field = (const uint8_t *)config + row->offset;
    uint32_t number;
    switch (row->type) {
    case CONFIG_TEXT:
    case CONFIG_ADDRESS:
    case CONFIG_ROOT:
        return memchr(field, 0, row->size) != NULL;
    case CONFIG_U16:
    case CONFIG_U32:
    case CONFIG_U64:
        return true;
    case CONFIG_BOOL:
        return field[0] <= 1;
    case CONFIG_RATIO:
        memcpy(&number, field, sizeof number);
        return number <= CONFIG_RATIO_ONE;
    case CONFIG_CHOICE: {
        uint32_t choices = 1;
        for (const char *at = row->choices; *at; at++)
            choices += *at == '|';
        memcpy(&number, field, sizeof number);
        return number < choices;
    }
    case CONFIG_TEXTS:
    case CONFIG_PATHS:
    case CONFIG_MAP:
        break;
    case CONFIG_POLICIES:
        return config_policies_sound((const void *)field);
    }
    size_t item = row->type == CONFIG_PATHS ? CONFIG_PATH_MAX : CONFIG_TEXT_MAX;
    if (config_list_count(config, row) > CONFIG_LIST_MAX)
        return false;
    for (uint32_t i = 0; i < config_list_count(config, row); i++)
        if (!memchr(config_list_item(config, row, i), 0, item))
            return false;
    return true;
}

/* Rows come in the table's order, so none comes twice and none is missing. */
static cc_err
decode_row(struct span *rest, enum config_room room, uint32_t *next, struct config *config)
{
    if (rest->len < ROW_HEAD_SIZE)
        return CC_FAIL(PROTOCOL, "config: short row");
    uint32_t index = load_u32(rest->data);
    uint32_t size = load_u32(rest->data + 4);
    if (index < *next || index >= config_row_count || !(config_rows[index].rooms & (unsigned)room))
        return CC_FAIL(PROTOCOL, "config: not a row of this room");
    const struct config_row *row = &config_rows[index];
    *next = index + 1;
    if (size != row->size || rest->len - ROW_HEAD_SIZE < size)
        return CC_FAIL(PROTOCOL, "config: size of a row");
    memcpy((uint8_t *)config + row->offset, rest->data + ROW_HEAD_SIZE, size);
    *rest = span_of(rest->data + ROW_HEAD_SIZE + size, rest->len - ROW_HEAD_SIZE - size);
    return is_sound(config, row) ? CC_OK : CC_FAIL(PROTOCOL, "config: value of a row");
}

static cc_err decode_digest(struct span *rest, struct config *config)
{
    if (rest->len < sizeof config->core_digest)
        return CC_FAIL(PROTOCOL, "config: short digest");
    memcpy(config->core_digest, rest->data, sizeof config->core_digest);
    *rest =
        span_of(rest->data + sizeof config->core_digest, rest->len - sizeof config->core_digest);
    return CC_OK;
}

CC_ERR config_decode(struct span encoded, enum config_room room, struct config *ret_config)
{
    if (encoded.len < HEAD_SIZE ||
        !span_equal(span_of(encoded.data, sizeof magic), span_of(magic, sizeof magic)) ||
        load_u32(encoded.data + 4) != (uint32_t)room)
        return CC_FAIL(PROTOCOL, "config: not for this room");
    uint32_t count = load_u32(encoded.data + 8);
    if (count != visible_count(room))
        return CC_FAIL(PROTOCOL, "config: number of rows");
    struct span rest = span_of(encoded.data + HEAD_SIZE, encoded.len - HEAD_SIZE);
    uint32_t next = 0;
    config_defaults(ret_config);
    for (uint32_t i = 0; i < count; i++)
        CC_TRY(decode_row(&rest, room, &next, ret_config));
    if (room == CONFIG_FOR_VAULT)
        CC_TRY(decode_digest(&rest, ret_config));
    return rest.len ? CC_FAIL(PROTOCOL, "config: trailing bytes") : CC_OK;
}
