#include "front/head.h"

#include <string.h>
#include <strings.h>

#include "base/num.h"

void head_begin(struct head *head, const char *line_end)
{
    *head = (struct head){.next = line_end ? line_end + 2 : NULL};
}

void head_refuse(struct head *head, const char *static_text)
{
    if (!head->problem)
        head->problem = static_text;
}

/* RFC 9110 5.6.2. */
static bool is_token(struct span s)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && (c == 0 || !strchr(others, c)))
            return false;
    }
    return s.len > 0;
}

static bool is_text(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((s.data[i] < 0x20 && s.data[i] != '\t') || s.data[i] == 0x7f)
            return false;
    return true;
}

static struct span trim(struct span s)
{
    while (s.len && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = span_of(s.data + 1, s.len - 1);
    while (s.len && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Cuts what stands before the first `mark` off *rest; all of it when there is none. */
static struct span cut(struct span *rest, char mark)
{
    const uint8_t *at = rest->len ? memchr(rest->data, mark, rest->len) : NULL;
    struct span part = at ? span_of(rest->data, (size_t)(at - rest->data)) : *rest;
    *rest = at ? span_of(at + 1, rest->len - part.len - 1) : span_of(NULL, 0);
    return trim(part);
}

/* "q=0", "q=0.0", "Q=0.000": not wanted at all (RFC 9110 12.4.2). */
static bool is_refusing_weight(struct span parameter)
{
    if (parameter.len < 3 || (parameter.data[0] != 'q' && parameter.data[0] != 'Q') ||
        parameter.data[1] != '=')
        return false;
    for (size_t i = 2; i < parameter.len; i++)
        if (parameter.data[i] != '0' && parameter.data[i] != '.')
            return false;
    return true;
}

static void take_accept(struct head *head, struct span value)
{
    head->accept |= ACCEPT_PRESENT;
    while (value.len) {
        struct span entry = cut(&value, ',');
        struct span type = cut(&entry, ';');
        bool refused = false;
        while (entry.len)
            refused |= is_refusing_weight(cut(&entry, ';'));
        if (refused)
            continue;
        if (span_is_nocase(type, "application/json"))
            head->accept |= ACCEPT_JSON;
        else if (span_is(type, "*/*"))
            head->accept |= ACCEPT_ANY;
        else if (span_is_nocase(type, "application/*"))
            head->accept |= ACCEPT_SOME_JSON;
    }
}

static void take_length(struct head *head, struct span value)
{
    if (++head->lengths > 1)
        head_refuse(head, "Content-Length twice");
    head->has_length = true;
    if (u64_parse(value, &head->length).code)
        head_refuse(head, "Content-Length is not a number");
}

static void take_encoding(struct head *head, struct span value)
{
    if (++head->encodings > 1)
        head_refuse(head, "Transfer-Encoding twice");
    if (!span_is_nocase(value, "chunked"))
        head_refuse(head, "Transfer-Encoding other than chunked");
    head->chunked = true;
}

static void take_authorization(struct head *head)
{
    if (++head->authorizations > 1)
        head_refuse(head, "Authorization twice");
}

static void take_host(struct head *head, struct span value)
{
    if (++head->hosts > 1)
        head_refuse(head, "Host twice");
    if (value.len > HEAD_HOST_MAX) {
        head_refuse(head, "Host is too long");
        return;
    }
    memcpy(head->host, value.data, value.len);
    head->host[value.len] = '\0';
}

void head_add(struct head *head, struct span name, struct span value)
{
    if (head->next && (const char *)name.data != head->next)
        head_refuse(head, "a folded line, a bare line feed, or hidden bytes");
    if (head->next)
        head->next = (const char *)value.data + value.len + 2;
    if (!is_token(name))
        head_refuse(head, "a header name is not a token");
    if (!is_text(value))
        head_refuse(head, "a control character in a header");
    value = trim(value);
    if (span_is_nocase(name, "Accept"))
        take_accept(head, value);
    else if (span_is_nocase(name, "Content-Length"))
        take_length(head, value);
    else if (span_is_nocase(name, "Transfer-Encoding"))
        take_encoding(head, value);
    else if (span_is_nocase(name, "Host"))
        take_host(head, value);
    else if (span_is_nocase(name, "Authorization"))
        take_authorization(head);
    else if (span_is_nocase(name, "Origin"))
        head->origin = true;
    else if (span_is_nocase(name, "Content-Encoding"))
        head->encoded |= !span_is_nocase(value, "identity");
    else if (span_is_nocase(name, "Expect"))
        head->continues |= span_is_nocase(value, "100-continue");
}

void head_end(struct head *head, const char *body)
{
    if (head->next && body != head->next + 2)
        head_refuse(head, "the head does not end with its empty line");
}

CC_ERR head_finish(const struct head *head, const char *version)
{
    bool old = strcmp(version, "HTTP/1.0") == 0;
    if (!old && strcmp(version, "HTTP/1.1") != 0)
        return CC_FAIL(HTTP_VERSION, NULL);
    if (head->problem)
        return CC_FAIL(MALFORMED, head->problem);
    if (head->has_length && head->chunked)
        return CC_FAIL(MALFORMED, "both Content-Length and Transfer-Encoding");
    if (old && head->chunked)
        return CC_FAIL(MALFORMED, "Transfer-Encoding in HTTP/1.0");
    if (!old && head->hosts == 0)
        return CC_FAIL(MALFORMED, "no Host");
    if (head->origin)
        return CC_FAIL(ORIGIN_DENIED, NULL);
    if (head->encoded)
        return CC_FAIL(CONTENT_TYPE, "Content-Encoding is not supported");
    return CC_OK;
}

/* The length of `host` without ":port"; an IPv6 address keeps its brackets. */
static size_t name_length(const char *host)
{
    const char *bracket = host[0] == '[' ? strchr(host, ']') : NULL;
    const char *colon = strchr(bracket ? bracket : host, ':');
    return colon ? (size_t)(colon - host) : strlen(host);
}

CC_ERR head_check_host(const struct head *head, const struct config_text_list *allowed)
{
    size_t len = name_length(head->host);
    for (uint32_t i = 0; i < allowed->count && i < CONFIG_LIST_MAX; i++) {
        const char *item = allowed->items[i];
        if (strcmp(item, "*") == 0 || strcasecmp(item, "all") == 0)
            return CC_OK;
        if (len && name_length(item) == len && strncasecmp(item, head->host, len) == 0)
            return CC_OK;
    }
    return CC_FAIL(HOST_DENIED, NULL);
}
