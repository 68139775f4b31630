#include "front/tls_clients.h"

#include "base/alloc.h"

#include "auth/principal.h"
#include "codec/hex.h"

enum {
    FINGERPRINT_TEXT = 3 * TLS_FINGERPRINT_SIZE - 1 /* with colons */
};

CC_ERR tls_fingerprint_parse(struct span text, uint8_t ret_fingerprint[static TLS_FINGERPRINT_SIZE])
{
    char digits[2 * TLS_FINGERPRINT_SIZE];
    size_t n = 0;
    bool colons = text.len == FINGERPRINT_TEXT;
    if (!colons && text.len != sizeof digits)
        return CC_FAIL(CONFIG, "a SHA-256 fingerprint has 64 hex digits");
    for (size_t i = 0; i < text.len; i++) {
        if (!colons || i % 3 != 2)
            digits[n++] = (char)text.data[i];
        else if (text.data[i] != ':')
            return CC_FAIL(CONFIG, "a SHA-256 fingerprint has 64 hex digits");
    }
    if (hex_decode(span_of(digits, n), ret_fingerprint, TLS_FINGERPRINT_SIZE).code)
        return CC_FAIL(CONFIG, "a SHA-256 fingerprint has 64 hex digits");
    return CC_OK;
}

/* --- the file of known clients ------------------------------------------------------------------------------------------ */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(struct span s)
{
    while (s.len && is_blank(s.data[0]))
        s = span_of(s.data + 1, s.len - 1);
    while (s.len && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

/* A name may hold spaces, the fingerprint behind it doesn't. */
static cc_err parse_line(struct span line, struct tls_known_client *ret_client)
{
    size_t at = line.len;
    while (at && !is_blank(line.data[at - 1]))
        at--;
    struct span name = trim(span_of(line.data, at));
    if (name.len == 0)
        return CC_FAIL(CONFIG, "known clients: a line is a common name and a fingerprint");
    if (name.len >= sizeof ret_client->name || memchr(name.data, 0, name.len))
        return CC_FAIL(CONFIG, "known clients: a name is too long");
    CC_TRY(tls_fingerprint_parse(span_of(line.data + at, line.len - at), ret_client->fingerprint));
    memcpy(ret_client->name, name.data, name.len);
    ret_client->name[name.len] = 0;
    return CC_OK;
}

static struct span take_line(struct span *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    struct span line = span_of(rest->data, len);
    *rest = end ? span_of(end + 1, rest->len - len - 1) : (struct span){0};
    return trim(line);
}

static uint32_t lines_in(struct span text)
{
    uint32_t lines = 1;
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    return lines;
}

static cc_err
parse_lines(struct span rest, uint32_t room, struct tls_known *known, uint32_t *line_number)
{
    while (rest.len) {
        struct span line = take_line(&rest);
        ++*line_number;
        if (line.len == 0 || line.data[0] == '#')
            continue;
        if (known->count == room)
            return CC_FAIL(CONFIG, "known clients: there are more than 4096");
        CC_TRY(parse_line(line, &known->clients[known->count]));
        known->count++;
    }
    return CC_OK;
}

CC_ERR tls_known_parse(struct span text, struct tls_known *ret_known, uint32_t *ret_line)
{
    uint32_t lines = lines_in(text);
    uint32_t room = lines < TLS_KNOWN_MAX ? lines : TLS_KNOWN_MAX;
    struct tls_known known = {.clients = cc_alloc_array(room, sizeof *known.clients)};
    *ret_line = 0;
    if (!known.clients)
        return CC_FAIL(NO_MEMORY, "known clients");
    cc_err err = parse_lines(text, room, &known, ret_line);
    if (err.code) {
        tls_known_release(&known);
        return err;
    }
    *ret_known = known;
    return CC_OK;
}

void tls_known_release(struct tls_known *known)
{
    cc_free(known->clients);
    *known = (struct tls_known){0};
}

static bool prints_equal(const uint8_t *a, const uint8_t *b)
{
    return span_equal(span_of(a, TLS_FINGERPRINT_SIZE), span_of(b, TLS_FINGERPRINT_SIZE));
}

bool tls_known_has(const struct tls_known *known, const struct tls_certificate *certificate)
{
    for (uint32_t i = 0; i < known->count; i++)
        if (prints_equal(known->clients[i].fingerprint, certificate->fingerprint) &&
            certificate->name[0] && strcmp(known->clients[i].name, certificate->name) == 0)
            return true;
    return false;
}

/* --- rows of auth.certificates --------------------------------------------------------------------- */

static bool has_alternative(const struct tls_certificate *certificate, const char *name)
{
    for (uint32_t i = 0; i < certificate->alternative_count; i++)
        if (strcmp(certificate->alternatives[i], name) == 0)
            return true;
    return false;
}

static bool
fits(const struct principal_row *row, const struct tls_certificate *certificate, bool vouched)
{
    switch (row->kind) {
    case PRINCIPAL_FINGERPRINT:
        return prints_equal(row->fingerprint, certificate->fingerprint);
    case PRINCIPAL_CN:
        return vouched && strcmp(row->name, certificate->name) == 0;
    case PRINCIPAL_SAN:
        return vouched && has_alternative(certificate, row->name);
    case PRINCIPAL_LISTENER:
        break;
    }
    return false;
}

uint16_t tls_row_of(const struct config_text_list *rows,
                    const struct tls_certificate *certificate,
                    bool vouched)
{
    for (uint32_t i = 0; i < rows->count && i < CONFIG_LIST_MAX; i++) {
        struct principal_row row;
        cc_err err = principal_certificate_parse(span_str(rows->items[i]), &row);
        if (!err.code && fits(&row, certificate, vouched))
            return (uint16_t)(i + 1);
    }
    return 0;
}

bool tls_rows_pin(const struct config_text_list *rows)
{
    for (uint32_t i = 0; i < rows->count && i < CONFIG_LIST_MAX; i++) {
        struct principal_row row;
        cc_err err = principal_certificate_parse(span_str(rows->items[i]), &row);
        if (!err.code && row.kind == PRINCIPAL_FINGERPRINT)
            return true;
    }
    return false;
}
