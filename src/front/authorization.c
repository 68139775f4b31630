#include "front/authorization.h"

#include "codec/base64.h"
#include "crypto/sha256.h"
#include "secret/wipe.h"

enum {
    PAIR_MAX = AUTHORIZATION_USER_MAX + 1 + AUTHORIZATION_TOKEN_MAX
};

_Static_assert(sizeof((struct caller *)0)->token == SHA256_SIZE, "a token travels as its digest");

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct span trim(struct span s)
{
    while (s.len && is_blank(s.data[0]))
        s = span_of(s.data + 1, s.len - 1);
    while (s.len && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 6750, 2.1: b64token. */
static bool is_bearer_text(struct span s)
{
    size_t i = 0;
    while (i < s.len && (is_alnum(s.data[i]) || memchr("-._~+/", s.data[i], 6)))
        i++;
    bool some = i > 0;
    while (i < s.len && s.data[i] == '=')
        i++;
    return some && i == s.len;
}

static bool is_visible(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x21 || s.data[i] > 0x7e)
            return false;
    return s.len > 0;
}

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x20 || s.data[i] == 0x7f)
            return true;
    return false;
}

/* Cuts `scheme` and the blanks after it off *value. */
static bool cut_scheme(struct span *value, const char *scheme)
{
    size_t len = strlen(scheme);
    if (value->len <= len || value->data[len] != ' ' ||
        !span_is_nocase(span_of(value->data, len), scheme))
        return false;
    while (len < value->len && value->data[len] == ' ')
        len++;
    *value = span_of(value->data + len, value->len - len);
    return true;
}

static void take_token(struct caller *caller, enum caller_token kind, struct span token)
{
    if (token.len > AUTHORIZATION_TOKEN_MAX)
        return;
    sha256(token, caller->token);
    caller->token_kind = (uint8_t)kind;
}

/* RFC 7617: the user ends at the first colon. */
static void take_pair(struct caller *caller, struct span pair)
{
    const uint8_t *colon = pair.len ? memchr(pair.data, ':', pair.len) : NULL;
    if (!colon)
        return;
    size_t user = (size_t)(colon - pair.data);
    struct span password = span_of(colon + 1, pair.len - user - 1);
    if (user <= AUTHORIZATION_USER_MAX && !has_control(span_of(pair.data, user)) &&
        is_visible(password))
        take_token(caller, CALLER_BASIC, password);
}

CC_SENSITIVE static void take_basic(struct caller *caller, struct span text)
{
    uint8_t pair[PAIR_MAX];
    size_t len = 0;
    if (text.len && !base64_decode(text, pair, sizeof pair, &len).code)
        take_pair(caller, span_of(pair, len));
    wipe(pair, sizeof pair);
}

CC_SENSITIVE void authorization_read(struct span value, struct caller *caller)
{
    caller->token_kind = CALLER_BAD;
    memset(caller->token, 0, sizeof caller->token);
    value = trim(value);
    if (cut_scheme(&value, "Bearer")) {
        if (is_bearer_text(value))
            take_token(caller, CALLER_BEARER, value);
    } else if (cut_scheme(&value, "Basic")) {
        take_basic(caller, value);
    }
    wipe_stack(); /* what SHA-256 left */
}
