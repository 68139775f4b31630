#include "core/audit_line.h"

#include <inttypes.h>
#include <string.h>

#include "base/num.h"

#include "codec/hex.h"
#include "codec/json.h"
#include "crypto/mac.h"
#include "crypto/sha256.h"
#include "secret/wipe.h"

/* Titles with their zero byte. */
static const char line_title[] = "containment-chamber/audit/line/v1";
static const char next_title[] = "containment-chamber/audit/next/v1";

static const char time_begins[] = "{\"time\":\"";
static const char event_begins[] = "\",\"event\":\"";
static const char segment_begins[] = ",\"segment\":";
static const char line_begins[] = ",\"line\":";
static const char mac_begins[] = ",\"mac\":\"";
static const char mac_ends[] = "\"}";

enum {
    TOKENS_MAX = 64,
    ADDRESS_ROOM = 48
};

_Static_assert(AUDIT_SUFFIX_LEN ==
                   sizeof mac_begins - 1 + 2 * AUDIT_MAC_SIZE + sizeof mac_ends - 1 + 1,
               "what follows a line's prefix");
_Static_assert(AUDIT_LINE_MAX > 6 * (AUDIT_PRINCIPAL_MAX + A_NAME_MAX + AUDIT_SUBJECT_MAX) + 1000,
               "any entry fits");

/* --- the chain -------------------------------------------------------------------------------------------------------- */

void audit_chain_begin(struct audit_chain *chain,
                       uint64_t segment,
                       const uint8_t key[static AUDIT_KEY_SIZE])
{
    memcpy(chain->key, key, sizeof chain->key);
    chain->at = (struct audit_position){.segment = segment};
}

/* What sha256() leaves on the stack is the key of a line that is written already, and is written over by the next one's. */
void audit_chain_skip(struct audit_chain *chain)
{
    uint8_t both[sizeof next_title + AUDIT_KEY_SIZE];
    memcpy(both, next_title, sizeof next_title);
    memcpy(both + sizeof next_title, chain->key, AUDIT_KEY_SIZE);
    sha256(span_of(both, sizeof both), chain->key);
    wipe(both, sizeof both);
    chain->at.lines++;
}

void audit_chain_next(struct audit_chain *chain, struct span prefix)
{
    uint8_t message[sizeof line_title + SHA256_SIZE + AUDIT_MAC_SIZE];
    uint8_t mac[MAC_SIZE];
    memcpy(message, line_title, sizeof line_title);
    sha256(prefix, message + sizeof line_title);
    memcpy(message + sizeof line_title + SHA256_SIZE, chain->at.mac, AUDIT_MAC_SIZE);
    mac_hmac_sha256_once(chain->key, span_of(message, sizeof message), mac);
    memcpy(chain->at.mac, mac, sizeof chain->at.mac);
    audit_chain_skip(chain);
}

void audit_chain_wipe(struct audit_chain *chain)
{
    wipe(chain, sizeof *chain);
}

/* --- writing ------------------------------------------------------------------------------------------------------------ */

/* Where the next byte goes; there is always room (AUDIT_LINE_MAX). */
struct pen {
    char *at;
};

static void put(struct pen *pen, const char *text, size_t len)
{
    memcpy(pen->at, text, len);
    pen->at += len;
}

static void put_str(struct pen *pen, const char *text)
{
    put(pen, text, strlen(text));
}

static void put_number(struct pen *pen, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    put(pen, digits + at, sizeof digits - at);
}

static void put_padded(struct pen *pen, uint64_t number, unsigned width)
{
    for (unsigned i = width; i--; number /= 10)
        pen->at[i] = (char)('0' + number % 10);
    pen->at += width;
}

static void put_hex(struct pen *pen, const void *bytes, size_t len)
{
    hex_encode(bytes, len, pen->at);
    pen->at += 2 * len;
}

/* A string's characters: what is no plain ASCII is written as \u00XX, byte by byte. */
static void put_escaped(struct pen *pen, const char *text, size_t room)
{
    for (size_t i = 0; i < room && text[i]; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
            *pen->at++ = (char)c;
        } else {
            put(pen, "\\u00", 4);
            put_hex(pen, &c, 1);
        }
    }
}

static void put_member(struct pen *pen, const char *name, const char *text, size_t room)
{
    if (!text || !text[0])
        return;
    put_str(pen, ",\"");
    put_str(pen, name);
    put_str(pen, "\":\"");
    put_escaped(pen, text, room);
    *pen->at++ = '"';
}

static void put_static(struct pen *pen, const char *name, const char *text)
{
    put_member(pen, name, text, A_NAME_MAX);
}

static void put_count(struct pen *pen, const char *name, uint64_t number)
{
    put_str(pen, ",\"");
    put_str(pen, name);
    put_str(pen, "\":");
    put_number(pen, number);
}

/* Days since 1970-01-01 as a date of the Gregorian calendar. */
static void put_date(struct pen *pen, uint64_t days)
{
    const uint64_t shifted = days + 719468; /* since 0000-03-01 */
    const uint64_t era = shifted / 146097;
    const uint64_t of_era = shifted % 146097;
    const uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    const uint64_t month = (5 * of_year + 2) / 153; /* from March */
    put_padded(pen, year + era * 400 + (month >= 10), 4);
    *pen->at++ = '-';
    put_padded(pen, month < 10 ? month + 3 : month - 9, 2);
    *pen->at++ = '-';
    put_padded(pen, of_year - (153 * month + 2) / 5 + 1, 2);
}

static void put_time(struct pen *pen, uint64_t wall_ms)
{
    const uint64_t seconds = wall_ms / 1000;
    put_date(pen, seconds / 86400);
    *pen->at++ = 'T';
    put_padded(pen, seconds / 3600 % 24, 2);
    *pen->at++ = ':';
    put_padded(pen, seconds / 60 % 60, 2);
    *pen->at++ = ':';
    put_padded(pen, seconds % 60, 2);
    *pen->at++ = '.';
    put_padded(pen, wall_ms % 1000, 3);
    *pen->at++ = 'Z';
}

static void put_address(struct pen *pen, const uint8_t address[static 16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    put_str(pen, ",\"address\":\"");
    if (span_equal(span_of(address, sizeof mapped), span_of(mapped, sizeof mapped))) {
        for (size_t i = 12; i < 16; i++) {
            put_number(pen, address[i]);
            if (i < 15)
                *pen->at++ = '.';
        }
    } else {
        for (size_t i = 0; i < 16; i += 2) {
            put_hex(pen, address + i, 2);
            if (i < 14)
                *pen->at++ = ':';
        }
    }
    *pen->at++ = '"';
}

static void put_claim(struct pen *pen, const struct audit_entry *entry)
{
    switch (entry->claim) {
    case AUDIT_NO_CLAIM:
        return;
    case AUDIT_CLAIM_SLOT:
        put_count(pen, "slot", entry->slot);
        return;
    case AUDIT_CLAIM_EPOCHS:
        put_count(pen, "source", entry->source);
        put_count(pen, "target", entry->target);
        return;
    }
}

static void put_rule(struct pen *pen, const struct audit_entry *entry)
{
    if (!entry->reason.policy[0]) {
        put_static(pen, "rule", entry->rule);
        return;
    }
    put_str(pen, ",\"rule\":\"");
    put_escaped(pen, entry->reason.policy, sizeof entry->reason.policy);
    *pen->at++ = '/';
    put_number(pen, entry->reason.number);
    *pen->at++ = '"';
}

static void begin_line(struct pen *pen, const char *event, uint64_t wall_ms)
{
    put_str(pen, time_begins);
    put_time(pen, wall_ms);
    put_str(pen, event_begins);
    put_str(pen, event);
    *pen->at++ = '"';
}

/* Which line it is, and its MAC; the line's length. */
static size_t end_line(struct pen *pen, struct audit_chain *chain, char *line)
{
    put_str(pen, segment_begins);
    put_number(pen, chain->at.segment);
    put_str(pen, line_begins);
    put_number(pen, chain->at.lines + 1);
    audit_chain_next(chain, span_of(line, (size_t)(pen->at - line)));
    put_str(pen, mac_begins);
    put_hex(pen, chain->at.mac, sizeof chain->at.mac);
    put_str(pen, mac_ends);
    *pen->at++ = '\n';
    return (size_t)(pen->at - line);
}

size_t audit_line_write(struct audit_chain *chain,
                        const struct audit_entry *entry,
                        uint64_t wall_ms,
                        char ret_line[static AUDIT_LINE_MAX])
{
    struct pen pen = {ret_line};
    begin_line(&pen, entry->event, wall_ms);
    put_member(&pen, "principal", entry->principal, sizeof entry->principal);
    if (entry->has_address)
        put_address(&pen, entry->address);
    put_static(&pen, "operation", entry->operation);
    put_member(&pen, "subject", entry->subject, sizeof entry->subject);
    if (entry->has_pubkey) {
        put_str(&pen, ",\"key\":\"0x");
        put_hex(&pen, entry->pubkey.bytes, sizeof entry->pubkey.bytes);
        *pen.at++ = '"';
    }
    put_claim(&pen, entry);
    if (entry->count)
        put_count(&pen, "count", entry->count);
    put_static(&pen, "verdict", entry->error ? error_name(error_from_number(entry->error)) : "OK");
    put_static(&pen, "outcome", entry->outcome);
    put_rule(&pen, entry);
    return end_line(&pen, chain, ret_line);
}

static void put_position(struct pen *pen, const char *name, const struct audit_position *position)
{
    put_str(pen, ",\"");
    put_str(pen, name);
    put_str(pen, "\":{\"segment\":");
    put_number(pen, position->segment);
    put_count(pen, "lines", position->lines);
    put_str(pen, ",\"mac\":\"");
    put_hex(pen, position->mac, sizeof position->mac);
    put_str(pen, "\"}");
}

size_t audit_header_write(struct audit_chain *chain,
                          const struct audit_header *header,
                          uint64_t wall_ms,
                          char ret_line[static AUDIT_LINE_MAX])
{
    struct pen pen = {ret_line};
    begin_line(&pen, "segment", wall_ms);
    put_count(&pen, "format", AUDIT_FORMAT);
    put_str(&pen, ",\"replica\":\"");
    put_hex(&pen, header->replica, sizeof header->replica);
    *pen.at++ = '"';
    put_position(&pen, "previous", &header->previous);
    put_position(&pen, "anchor", &header->anchor);
    return end_line(&pen, chain, ret_line);
}

void audit_entry_who(struct audit_entry *entry, const struct caller *caller, const char *principal)
{
    static const uint8_t none[16];
    const size_t len = strnlen(principal, sizeof entry->principal - 1);
    memcpy(entry->principal, principal, len);
    entry->principal[len] = 0;
    entry->anybody = len == 0 || strcmp(principal, "anonymous") == 0;
    memcpy(entry->address, caller->address, sizeof entry->address);
    entry->has_address =
        !span_equal(span_of(caller->address, sizeof none), span_of(none, sizeof none));
}

/* --- reading -------------------------------------------------------------------------------------------------------------- */

/* Takes `text` off the front of *rest. */
static bool take(struct span *rest, const char *text)
{
    const size_t len = strlen(text);
    if (rest->len < len || !span_is(span_of(rest->data, len), text))
        return false;
    *rest = span_of(rest->data + len, rest->len - len);
    return true;
}

/* Takes `,"name":NUMBER` off the end of *rest. */
static bool take_number_back(struct span *rest, const char *begins, uint64_t *ret_number)
{
    size_t digits = 0;
    const size_t len = strlen(begins);
    while (digits < rest->len && digits < 20 && rest->data[rest->len - 1 - digits] >= '0' &&
           rest->data[rest->len - 1 - digits] <= '9')
        digits++;
    if (rest->len < len + digits)
        return false;
    const uint8_t *at = rest->data + rest->len - digits - len;
    if (!span_is(span_of(at, len), begins) || u64_parse(span_of(at + len, digits), ret_number).code)
        return false;
    rest->len -= digits + len;
    return true;
}

static cc_err read_mac(struct span line, struct audit_parts *parts)
{
    const size_t suffix = AUDIT_SUFFIX_LEN - 1;
    if (line.len < suffix || line.len >= AUDIT_LINE_MAX)
        return CC_FAIL(MALFORMED, "no line of an audit log");
    struct span rest = span_of(line.data + line.len - suffix, suffix);
    if (!take(&rest, mac_begins))
        return CC_FAIL(MALFORMED, "a line without its MAC");
    const struct span digits = span_of(rest.data, (size_t)2 * AUDIT_MAC_SIZE);
    rest = span_of(rest.data + digits.len, rest.len - digits.len);
    CC_TRY(hex_decode(digits, parts->mac, sizeof parts->mac));
    if (!span_is(rest, mac_ends))
        return CC_FAIL(MALFORMED, "a line without its MAC");
    parts->prefix = span_of(line.data, line.len - suffix);
    return CC_OK;
}

CC_ERR audit_line_read(struct span line, struct audit_parts *ret_parts)
{
    struct audit_parts parts = {0};
    CC_TRY(read_mac(line, &parts));
    struct span rest = parts.prefix;
    if (!take(&rest, time_begins) || rest.len < AUDIT_TIME_LEN)
        return CC_FAIL(MALFORMED, "a line without its time");
    parts.time = span_of(rest.data, AUDIT_TIME_LEN);
    rest = span_of(rest.data + AUDIT_TIME_LEN, rest.len - AUDIT_TIME_LEN);
    if (!take(&rest, event_begins))
        return CC_FAIL(MALFORMED, "a line without its event");
    const uint8_t *end = memchr(rest.data, '"', rest.len);
    if (!end)
        return CC_FAIL(MALFORMED, "a line without its event");
    parts.event = span_of(rest.data, (size_t)(end - rest.data));
    rest = span_of(end, rest.len - parts.event.len);
    if (!take_number_back(&rest, line_begins, &parts.line) ||
        !take_number_back(&rest, segment_begins, &parts.segment))
        return CC_FAIL(MALFORMED, "a line without its number");
    *ret_parts = parts;
    return CC_OK;
}

static cc_err member_u64(struct jval object, const char *name, uint64_t *ret_number)
{
    struct jval value;
    if (!jval_member(object, name, &value) || jval_type(value) != JVAL_NUMBER)
        return CC_FAIL(MALFORMED, "a number is missing");
    return jval_u64(value, ret_number);
}

static cc_err member_bytes(struct jval object, const char *name, uint8_t *ret_bytes, size_t len)
{
    struct jval value;
    struct span text;
    if (!jval_member(object, name, &value))
        return CC_FAIL(MALFORMED, "bytes are missing");
    CC_TRY(jval_text(value, &text));
    if (text.len != 2 * len)
        return CC_FAIL(MALFORMED, "bytes of another length");
    return hex_decode(text, ret_bytes, len);
}

static cc_err position_of(struct jval object, struct audit_position *ret_position)
{
    CC_TRY(member_u64(object, "segment", &ret_position->segment));
    CC_TRY(member_u64(object, "lines", &ret_position->lines));
    return member_bytes(object, "mac", ret_position->mac, sizeof ret_position->mac);
}

static cc_err header_of(struct jval root, struct audit_header *ret_header)
{
    struct jval previous;
    struct jval anchor;
    uint64_t format = 0;
    CC_TRY(member_u64(root, "format", &format));
    if (format != AUDIT_FORMAT)
        return CC_FAIL(MALFORMED, "a segment of another format");
    if (!jval_member(root, "previous", &previous) || !jval_member(root, "anchor", &anchor))
        return CC_FAIL(MALFORMED, "a segment's first line is incomplete");
    CC_TRY(member_bytes(root, "replica", ret_header->replica, sizeof ret_header->replica));
    CC_TRY(position_of(previous, &ret_header->previous));
    return position_of(anchor, &ret_header->anchor);
}

CC_ERR audit_header_read(struct span line, struct audit_header *ret_header)
{
    struct audit_parts parts;
    struct audit_header header = {0};
    uint8_t copy[AUDIT_LINE_MAX];
    CC_TRY(audit_line_read(line, &parts));
    if (!span_is(parts.event, "segment") || parts.line != 1)
        return CC_FAIL(MALFORMED, "not the first line of a segment");
    memcpy(copy, line.data, line.len);
    struct jdoc doc = jdoc_init(TOKENS_MAX);
    cc_err err = jdoc_parse(&doc, copy, line.len);
    if (!err.code)
        err = header_of(jdoc_root(&doc), &header);
    jdoc_release(&doc);
    if (!err.code)
        *ret_header = header;
    return err;
}

/* --- the anchor ------------------------------------------------------------------------------------------------------------ */

CC_ERR audit_anchor_write(const struct audit_position *position, struct buf *out)
{
    char digits[2 * AUDIT_MAC_SIZE + 1] = {0};
    hex_encode(position->mac, sizeof position->mac, digits);
    return buf_printf(out, "{\"segment\":%" PRIu64 ",\"lines\":%" PRIu64 ",\"mac\":\"%s\"}",
                      position->segment, position->lines, digits);
}

/* Only the one text of a position: what the state store holds was written above. */
CC_ERR audit_anchor_read(struct span text, struct audit_position *ret_position)
{
    uint8_t copy[AUDIT_ANCHOR_MAX];
    struct audit_position position = {0};
    CC_CLEANUP(buf_release) struct buf again = buf_init(AUDIT_ANCHOR_MAX);
    if (text.len > sizeof copy)
        return CC_FAIL(MALFORMED, "an audit anchor is too long");
    if (text.len)
        memcpy(copy, text.data, text.len);
    struct jdoc doc = jdoc_init(TOKENS_MAX);
    cc_err err = jdoc_parse(&doc, copy, text.len);
    if (!err.code)
        err = position_of(jdoc_root(&doc), &position);
    jdoc_release(&doc);
    CC_TRY(err);
    CC_TRY(audit_anchor_write(&position, &again));
    if (!span_equal(buf_span(&again), text))
        return CC_FAIL(MALFORMED, "an audit anchor is written otherwise");
    *ret_position = position;
    return CC_OK;
}
