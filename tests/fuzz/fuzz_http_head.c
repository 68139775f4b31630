/* Heads and targets as the HTTP library may hand them over: method, target, then lines. Whatever comes, a head that passes has
 * one framing, and a route's argument holds nothing that could be structure.
 */
#include <stdlib.h>
#include <string.h>

#include "front/head.h"
#include "front/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *take_line(char **rest)
{
    char *line = *rest;
    char *end = strchr(line, '\n');
    *rest = end ? end + 1 : line + strlen(line);
    if (end)
        *end = '\0';
    return line;
}

static void check_route(const char *method, const char *target)
{
    struct route_match match;
    cc_err err = route_find(method, target, ROUTE_ON_API, &match);
    cc_assert(!err.code == (match.id != ROUTE_NONE));
    cc_assert(match.argument_len == strlen(match.argument));
    for (const char *c = match.argument; *c && strcmp(match.argument, "%") != 0; c++)
        cc_assert(*c != '/' && *c != '?' && *c != '#' && *c != '%');
}

static void check_head(char *lines)
{
    struct config_text_list hosts = {.count = 1, .items = {"localhost"}};
    struct head head;
    head_begin(&head, NULL);
    while (*lines) {
        char *line = take_line(&lines);
        char *colon = strchr(line, ':');
        size_t name = colon ? (size_t)(colon - line) : strlen(line);
        head_add(&head, span_of(line, name), colon ? span_str(colon + 1) : span_of(line + name, 0));
    }
    cc_err err = head_finish(&head, "HTTP/1.1");
    cc_assert(err.code || !(head.has_length && head.chunked));
    cc_assert(strlen(head.host) <= HEAD_HOST_MAX);
    if (!head_check_host(&head, &hosts).code)
        cc_assert(strncasecmp(head.host, "localhost", 9) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    cc_assert(text);
    memcpy(text, data, size);
    text[size] = '\0';
    char *rest = text;
    const char *method = take_line(&rest);
    const char *target = take_line(&rest);
    check_route(method, target);
    check_head(rest);
    free(text);
    return 0;
}
