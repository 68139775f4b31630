#include "cli/json_object.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/supervisor.h"
#include "cli/json_text.h"
#include "codec/hex.h"

enum {
    OBJECT_MAX = 1 << 20
};

struct json_object json_object_begin(void)
{
    struct json_object object = {.text = buf_init(OBJECT_MAX)};
    object.err = buf_append_str(&object.text, "{");
    return object;
}

/* What stands before a value: a comma if it is not the first, and its name if it has one. */
static cc_err put_name(struct buf *text, const char *name)
{
    const uint8_t last = text->data[text->len - 1];
    if (last != '{' && last != '[')
        CC_TRY(buf_append_str(text, ", "));
    return name ? buf_printf(text, "\"%s\": ", name) : CC_OK;
}

static void begin(struct json_object *object, const char *name)
{
    if (!object->err.code)
        object->err = put_name(&object->text, name);
}

static void put_literal(struct json_object *object, const char *name, const char *literal)
{
    begin(object, name);
    if (!object->err.code)
        object->err = buf_append_str(&object->text, literal);
}

void json_object_span(struct json_object *object, const char *name, struct span text)
{
    begin(object, name);
    if (!object->err.code)
        object->err = json_put_text(&object->text, text);
}

void json_object_text(struct json_object *object, const char *name, const char *text)
{
    if (text)
        json_object_span(object, name, span_str(text));
    else
        put_literal(object, name, "null");
}

void json_object_json(struct json_object *object, const char *name, struct span json)
{
    begin(object, name);
    if (!object->err.code)
        object->err = json.len ? buf_append(&object->text, json.data, json.len)
                               : buf_append_str(&object->text, "null");
}

void json_object_flag(struct json_object *object, const char *name, bool flag)
{
    put_literal(object, name, flag ? "true" : "false");
}

void json_object_count(struct json_object *object, const char *name, uint64_t count)
{
    begin(object, name);
    if (!object->err.code)
        object->err = buf_printf(&object->text, "%" PRIu64, count);
}

void json_object_time(struct json_object *object, const char *name, uint64_t number)
{
    begin(object, name);
    if (!object->err.code)
        object->err = buf_printf(&object->text, "\"%" PRIu64 "\"", number);
}

static cc_err put_hex(struct buf *text, struct span bytes)
{
    CC_TRY(buf_append_str(text, "\""));
    CC_TRY(hex_append(text, bytes.data, bytes.len));
    return buf_append_str(text, "\"");
}

void json_object_hex(struct json_object *object, const char *name, struct span bytes)
{
    begin(object, name);
    if (!object->err.code)
        object->err = put_hex(&object->text, bytes);
}

void json_object_lines(struct json_object *object, const char *name, struct span text)
{
    json_object_open(object, name, '[');
    while (text.len) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        const size_t len = end ? (size_t)(end - text.data) : text.len;
        const size_t step = end ? len + 1 : len;
        json_object_span(object, NULL, span_of(text.data, len));
        text = span_of(text.data + step, text.len - step);
    }
    json_object_close(object, ']');
}

void json_object_open(struct json_object *object, const char *name, char bracket)
{
    put_literal(object, name, (char[]){bracket, 0});
}

void json_object_close(struct json_object *object, char bracket)
{
    if (!object->err.code)
        object->err = buf_append(&object->text, &bracket, 1);
}

CC_ERR json_object_end(struct json_object *object)
{
    json_object_close(object, '}');
    return object->err;
}

int json_object_print(struct json_object *object, const char *command, int code)
{
    cc_err err = json_object_end(object);
    if (!err.code && (fwrite(object->text.data, 1, object->text.len, stdout) != object->text.len ||
                      putchar('\n') == EOF || fflush(stdout) != 0))
        err = CC_FAIL(IO, "standard output");
    json_object_release(object);
    if (!err.code)
        return code;
    (void)fprintf(stderr, "containment-chamber %s: what was done can't be written: %s\n", command,
                  error_text(err));
    return EXIT_CODE_FAILED;
}

void json_object_release(struct json_object *object)
{
    buf_release(&object->text);
}
