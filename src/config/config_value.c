#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/num.h"

#include "config/config_table.h"
#include "config/kms_secret.h"

static void *field(struct config *config, const struct config_row *row)
{
    return (uint8_t *)config + row->offset;
}

static const void *field_const(const struct config *config, const struct config_row *row)
{
    return (const uint8_t *)config + row->offset;
}

static bool is_address(const char *text)
{
    struct in6_addr address;
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_root(struct span text)
{
    if (text.len == 0)
        return true;
    if (text.len != 66 || text.data[0] != '0' || text.data[1] != 'x')
        return false;
    for (size_t i = 2; i < text.len; i++)
        if (!isxdigit(text.data[i]))
            return false;
    return true;
}

static cc_err copy_text(char *to, size_t size, struct span text)
{
    if (text.len >= size)
        return CC_FAIL(CONFIG, "is too long");
    for (size_t i = 0; i < text.len; i++)
        if (iscntrl(text.data[i]))
            return CC_FAIL(CONFIG, "has a control character in it");
    memset(to, 0, size);
    if (text.len)
        memcpy(to, text.data, text.len);
    return CC_OK;
}

static cc_err set_text(struct config *config, const struct config_row *row, struct span text)
{
    char checked[CONFIG_PATH_MAX];
    cc_assert(row->size <= sizeof checked);
    CC_TRY(copy_text(checked, row->size, text));
    if (text.len < row->min)
        return CC_FAIL(CONFIG, "must not be empty");
    if (row->type == CONFIG_ADDRESS && !is_address(checked))
        return CC_FAIL(CONFIG, "is not an IPv4 or IPv6 address");
    if (row->type == CONFIG_ROOT && !is_root(text))
        return CC_FAIL(CONFIG, "is not 0x and 64 hex digits");
    memcpy(field(config, row), checked, row->size);
    return CC_OK;
}

static cc_err set_number(struct config *config, const struct config_row *row, struct span text)
{
    uint64_t value = 0;
    cc_err err = u64_parse(text, &value);
    if (error_is(err, ERROR_NUMBER_RANGE) || (!err.code && (value < row->min || value > row->max)))
        return CC_FAIL(CONFIG, "is out of range");
    if (err.code)
        return CC_FAIL(CONFIG, "is not a number");
    uint16_t value16 = (uint16_t)value;
    uint32_t value32 = (uint32_t)value;
    const void *from = row->type == CONFIG_U16   ? (const void *)&value16
                       : row->type == CONFIG_U32 ? (const void *)&value32
                                                 : (const void *)&value;
    memcpy(field(config, row), from, row->size);
    return CC_OK;
}

static cc_err set_bool(struct config *config, const struct config_row *row, struct span text)
{
    bool yes = span_is_nocase(text, "true");
    if (!yes && !span_is_nocase(text, "false"))
        return CC_FAIL(CONFIG, "is neither true nor false");
    *(bool *)field(config, row) = yes;
    return CC_OK;
}

/* 0, 1, 0.01: digits and a point, and nothing that a floating-point number would round. */
static cc_err set_ratio(struct config *config, const struct config_row *row, struct span text)
{
    const uint8_t *point = text.len ? memchr(text.data, '.', text.len) : NULL;
    const size_t whole_len = point ? (size_t)(point - text.data) : text.len;
    const struct span decimals =
        point ? span_of(point + 1, text.len - whole_len - 1) : span_of("0", 1);
    uint64_t whole = 0;
    uint32_t millionths = 0;
    if (decimals.len == 0 || decimals.len > CONFIG_RATIO_DECIMALS ||
        u64_parse(span_of(text.data, whole_len), &whole).code)
        return CC_FAIL(CONFIG, "is not a number from 0 to 1 with at most six decimals");
    for (size_t i = 0; i < CONFIG_RATIO_DECIMALS; i++) {
        const uint8_t digit = i < decimals.len ? decimals.data[i] : '0';
        if (!isdigit(digit))
            return CC_FAIL(CONFIG, "is not a number from 0 to 1 with at most six decimals");
        millionths = millionths * 10 + (uint32_t)(digit - '0');
    }
    if (whole > 1 || (whole == 1 && millionths))
        return CC_FAIL(CONFIG, "is out of range");
    millionths += (uint32_t)whole * CONFIG_RATIO_ONE;
    memcpy(field(config, row), &millionths, sizeof millionths);
    return CC_OK;
}

static cc_err ratio_text(uint32_t millionths, struct buf *out)
{
    char decimals[CONFIG_RATIO_DECIMALS + 1];
    const uint32_t part = millionths % CONFIG_RATIO_ONE;
    (void)snprintf(decimals, sizeof decimals, "%06" PRIu32, part);
    size_t len = CONFIG_RATIO_DECIMALS;
    while (len && decimals[len - 1] == '0')
        decimals[--len] = 0;
    return buf_printf(out, "%" PRIu32 "%s%s", millionths / CONFIG_RATIO_ONE, len ? "." : "",
                      decimals);
}

/* Finds the choice with number `index`; an empty span when there are fewer. */
static struct span choice_at(const struct config_row *row, uint32_t index)
{
    const char *at = row->choices;
    for (uint32_t i = 0; i < index; i++) {
        at = strchr(at, '|');
        if (!at)
            return (struct span){0};
        at++;
    }
    return span_of(at, strcspn(at, "|"));
}

static cc_err set_choice(struct config *config, const struct config_row *row, struct span text)
{
    _Static_assert(sizeof(enum log_level) == sizeof(uint32_t), "enums are of 4 bytes");
    for (uint32_t i = 0; choice_at(row, i).data; i++) {
        if (!span_equal(choice_at(row, i), text))
            continue;
        memcpy(field(config, row), &i, sizeof i);
        return CC_OK;
    }
    return CC_FAIL(CONFIG, "is not one of the values that this release knows");
}

void config_list_clear(struct config *config, const struct config_row *row)
{
    memset(field(config, row), 0, row->size);
}

static size_t item_size(const struct config_row *row)
{
    return row->type == CONFIG_PATHS ? CONFIG_PATH_MAX : CONFIG_TEXT_MAX;
}

static char *item_at(struct config *config, const struct config_row *row, uint32_t i)
{
    return (char *)field(config, row) + sizeof(uint32_t) + i * item_size(row);
}

CC_ERR config_list_add(struct config *config, const struct config_row *row, struct span item)
{
    uint32_t count = config_list_count(config, row);
    if (count >= CONFIG_LIST_MAX)
        return CC_FAIL(CONFIG, "has more than 16 items");
    if (item.len == 0)
        return CC_FAIL(CONFIG, "has an empty item");
    CC_TRY(copy_text(item_at(config, row, count), item_size(row), item));
    count++;
    memcpy(field(config, row), &count, sizeof count);
    return CC_OK;
}

static bool is_name(struct span key)
{
    for (size_t i = 0; i < key.len; i++)
        if (!isalnum(key.data[i]) && key.data[i] != '_')
            return false;
    return key.len > 0;
}

CC_ERR config_map_put(struct config *config,
                      const struct config_row *row,
                      struct span key,
                      struct span value)
{
    char pair[CONFIG_TEXT_MAX];
    if (!is_name(key) || value.len == 0)
        return CC_FAIL(CONFIG, "needs a name and a value");
    if (key.len + 1 + value.len >= sizeof pair)
        return CC_FAIL(CONFIG, "is too long");
    memcpy(pair, key.data, key.len);
    pair[key.len] = '=';
    memcpy(pair + key.len + 1, value.data, value.len);
    struct span both = span_of(pair, key.len + 1 + value.len);
    for (uint32_t i = 0; i < config_list_count(config, row); i++) {
        char *item = item_at(config, row, i);
        if (strncmp(item, pair, key.len + 1) == 0)
            return copy_text(item, item_size(row), both);
    }
    return config_list_add(config, row, both);
}

static cc_err add_item(struct config *config, const struct config_row *row, struct span item)
{
    if (row->type != CONFIG_MAP)
        return config_list_add(config, row, item);
    const uint8_t *equals = item.len ? memchr(item.data, '=', item.len) : NULL;
    if (!equals)
        return CC_FAIL(CONFIG, "is not NAME=value");
    size_t key_len = (size_t)(equals - item.data);
    return config_map_put(config, row, span_of(item.data, key_len),
                          span_of(equals + 1, item.len - key_len - 1));
}

static cc_err set_list(struct config *config, const struct config_row *row, struct span text)
{
    config_list_clear(config, row);
    while (text.len) {
        const uint8_t *comma = memchr(text.data, ',', text.len);
        size_t len = comma ? (size_t)(comma - text.data) : text.len;
        CC_TRY(add_item(config, row, span_of(text.data, len)));
        text = comma ? span_of(comma + 1, text.len - len - 1) : (struct span){0};
    }
    return CC_OK;
}

CC_ERR config_value_set(struct config *config, const struct config_row *row, struct span text)
{
    switch (row->type) {
    case CONFIG_TEXT:
    case CONFIG_ADDRESS:
    case CONFIG_ROOT:
        return set_text(config, row, text);
    case CONFIG_U16:
    case CONFIG_U32:
    case CONFIG_U64:
        return set_number(config, row, text);
    case CONFIG_BOOL:
        return set_bool(config, row, text);
    case CONFIG_RATIO:
        return set_ratio(config, row, text);
    case CONFIG_CHOICE:
        return set_choice(config, row, text);
    case CONFIG_TEXTS:
    case CONFIG_PATHS:
    case CONFIG_MAP:
        return set_list(config, row, text);
    case CONFIG_POLICIES:
        if (text.len)
            return CC_FAIL(CONFIG, "is taken from a file alone");
        config_list_clear(config, row);
        return CC_OK;
    }
    return CC_FAIL(CONFIG, "has no type");
}

uint32_t config_list_count(const struct config *config, const struct config_row *row)
{
    uint32_t count;
    memcpy(&count, field_const(config, row), sizeof count);
    return count;
}

const char *config_list_item(const struct config *config, const struct config_row *row, uint32_t i)
{
    return (const char *)field_const(config, row) + sizeof(uint32_t) + i * item_size(row);
}

static uint64_t number_of(const struct config *config, const struct config_row *row)
{
    uint16_t value16;
    uint32_t value32;
    uint64_t value64 = 0;
    const void *from = field_const(config, row);
    if (row->size == sizeof value16) {
        memcpy(&value16, from, sizeof value16);
        return value16;
    }
    if (row->size == sizeof value32) {
        memcpy(&value32, from, sizeof value32);
        return value32;
    }
    memcpy(&value64, from, sizeof value64);
    return value64;
}

CC_ERR config_value_text(const struct config *config, const struct config_row *row, struct buf *out)
{
    switch (row->type) {
    case CONFIG_TEXT:
    case CONFIG_ADDRESS:
    case CONFIG_ROOT:
        return buf_append_str(out, field_const(config, row));
    case CONFIG_U16:
    case CONFIG_U32:
    case CONFIG_U64:
        return buf_printf(out, "%" PRIu64, number_of(config, row));
    case CONFIG_RATIO:
        return ratio_text((uint32_t)number_of(config, row), out);
    case CONFIG_BOOL:
        return buf_append_str(out, *(const bool *)field_const(config, row) ? "true" : "false");
    case CONFIG_CHOICE: {
        struct span name = choice_at(row, (uint32_t)number_of(config, row));
        return buf_append(out, name.data, name.len);
    }
    case CONFIG_TEXTS:
    case CONFIG_PATHS:
    case CONFIG_MAP:
    case CONFIG_POLICIES:
        cc_assert(false); /* a list has no single text */
    }
    return CC_OK;
}

bool config_has_root(const struct config *config)
{
    return config->tee.platform == TEE_NITRO && config->tee.root.kms_key_arns.count > 0;
}

bool config_uses_dynamodb(const struct config *config)
{
    return config->anti_slashing.backend == HISTORY_DYNAMODB ||
           config->signer_state.backend == STATE_DYNAMODB ||
           config->key_sources.dynamodb.table[0] != 0;
}

bool config_uses_aws(const struct config *config)
{
    struct config_kms_secret secrets[CONFIG_KMS_SECRETS];
    return config->signer_state.kms || config->signer_state.auto_unseal ||
           config_has_root(config) || config_uses_dynamodb(config) ||
           config_kms_secrets(config, secrets) > 0;
}
