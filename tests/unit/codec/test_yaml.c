#include "base/alloc.h"

#include "codec/yaml.h"
#include "support/test.h"

static struct yml loaded;
static struct yml_fault fault;

static int teardown(void **state)
{
    (void)state;
    yml_release(&loaded);
    return 0;
}

static const struct yml_node *load(const char *text)
{
    cc_err err = yml_load(span_str(text), &yml_limits_default, &loaded, &fault);
    if (err.code)
        print_error("%u:%u %s\n", fault.line, fault.column, fault.text);
    assert_int_equal(err.code, 0);
    return loaded.first;
}

static void refused(struct span text, const struct yml_limits *limits, const char *why)
{
    struct yml yml;
    cc_err err = yml_load(text, limits, &yml, &fault);
    assert_int_equal(err.code, ERROR_YAML_SYNTAX);
    assert_null(yml.first);
    assert_string_equal(fault.text, why);
}

static void test_tree_with_places(void **state)
{
    (void)state;
    const struct yml_node *root = load("# head\n"
                                       "server:\n"
                                       "  port: 9000\n"
                                       "  hosts: [a, \"b\", '']\n"
                                       "empty:\n"
                                       "text: |\n"
                                       "  two\n"
                                       "  lines\n");
    assert_int_equal(root->kind, YML_MAPPING);
    assert_int_equal(root->count, 3);
    assert_int_equal(root->line, 2);
    const struct yml_node *server = yml_get(root, "server");
    assert_non_null(server);
    const struct yml_node *port = yml_get(server, "port");
    assert_int_equal(port->line, 3);
    assert_int_equal(port->column, 9);
    assert_int_equal(port->key->column, 3);
    assert_false(port->quoted);
    assert_true(yml_is(port, "9000"));
    const struct yml_node *hosts = yml_get(server, "hosts");
    assert_int_equal(hosts->kind, YML_SEQUENCE);
    assert_int_equal(hosts->count, 3);
    assert_false(hosts->first->quoted);
    assert_true(hosts->first->next->quoted);
    assert_true(hosts->first->next->next->quoted);
    assert_false(yml_is_null(hosts->first->next->next));
    assert_true(yml_is_null(yml_get(root, "empty")));
    assert_true(yml_is(yml_get(root, "text"), "two\nlines\n"));
    assert_null(yml_get(root, "serve"));
    assert_null(yml_get(port, "x"));
}

static void test_documents(void **state)
{
    (void)state;
    const struct yml_limits limits = {1000, 4, 100, 3};
    assert_int_equal(yml_load(span_str("a: 1\n---\nb: 2\n---\n"), &limits, &loaded, &fault).code,
                     0);
    assert_int_equal(loaded.documents, 3);
    assert_non_null(yml_get(loaded.first, "a"));
    assert_non_null(yml_get(loaded.first->next, "b"));
    assert_true(yml_is_null(loaded.first->next->next));
    assert_null(loaded.first->next->next->next);
    refused(span_str("a\n---\nb\n---\nc\n---\nd"), &limits, "too many documents");
    assert_int_equal(fault.line, 6);
}

static void test_no_document(void **state)
{
    (void)state;
    const char *const texts[] = {"", "# only a comment\n", "\xef\xbb\xbf"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_null(load(texts[i]));
        assert_int_equal(loaded.documents, 0);
    }
    assert_int_equal(yml_load((struct span){0}, &yml_limits_default, &loaded, &fault).code, 0);
}

static void test_refusals_name_the_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t line;
        const char *why;
    } rows[] = {
        {"a: &x 1\n", 1, "anchors are not supported"},
        {"a: 1\nb: *x\n", 2, "aliases are not supported"},
        {"a: !!str 1\n", 1, "tags are not supported"},
        {"a: !local {}\n", 1, "tags are not supported"},
        {"a: ! 1\n", 1, "tags are not supported"},
        {"%TAG ! tag:x,2000:\n---\na: 1\n", 1, "tags are not supported"},
        {"a: 1\nb: 2\na: 3\n", 3, "the same key twice"},
        {"a: 1\n\"a\": 3\n", 2, "the same key twice"},
        {"{a: {b: 1, b: 2}}", 1, "the same key twice"},
        {"? [a]\n: 1\n", 1, "a key must be a scalar"},
        {"? {a: 1}\n: 1\n", 1, "a key must be a scalar"},
        {"a: 1\n b: 2\n", 2, "mapping values are not allowed in this context"},
        {"a: [1, 2\n", 2, "did not find expected ',' or ']'"},
        {"a: \"x\n", 2, "found unexpected end of stream"},
        {"a:\n\t- b\n", 2, "found character that cannot start any token"},
        {"a: 1\n---\n---\n", 2, "too many documents"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        refused(span_str(rows[i].text), &yml_limits_default, rows[i].why);
        assert_int_equal(fault.line, rows[i].line);
        assert_string_equal(error_detail(), rows[i].why);
    }
}

static void test_not_utf8(void **state)
{
    (void)state;
    const char utf16[] = "\xff\xfe"
                         "a\0:\0 \0"
                         "1\0";
    refused(span_of(utf16, sizeof utf16 - 1), &yml_limits_default, "invalid leading UTF-8 octet");
    refused(span_str("a: \xc3("), &yml_limits_default, "invalid trailing UTF-8 octet");
    refused(span_str("a: \xed\xa0\x80"), &yml_limits_default, "invalid Unicode character");
    refused(span_of("a: \0b", 5), &yml_limits_default, "control characters are not allowed");
}

static void test_limits(void **state)
{
    (void)state;
    const struct yml_limits limits = {
        .max_bytes = 40, .max_depth = 3, .max_nodes = 5, .max_documents = 1};
    assert_int_equal(yml_load(span_str("[[[a]]]"), &limits, &loaded, &fault).code, 0);
    yml_release(&loaded);
    refused(span_str("[[[[a]]]]"), &limits, "nested too deeply");
    assert_int_equal(yml_load(span_str("[a,b,c,d]"), &limits, &loaded, &fault).code, 0);
    refused(span_str("[a,b,c,d,e]"), &limits, "too many values");
    refused(span_str("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), &limits, "larger than allowed");
    assert_int_equal(fault.line, 0);
}

static void test_depth_64_and_65(void **state)
{
    (void)state;
    char text[2 * 65 + 1];
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    text[130] = 0;
    refused(span_str(text), &yml_limits_default, "nested too deeply");
    assert_non_null(load((memmove(text, text + 1, 129), text[128] = 0, text)));
}

static void test_entries_of_a_mapping(void **state)
{
    (void)state;
    struct buf text = buf_init(1 << 20);
    for (int i = 0; i < YML_ENTRIES_MAX; i++)
        assert_int_equal(buf_printf(&text, "k%d: 1\n", i).code, 0);
    assert_int_equal(yml_load(buf_span(&text), &yml_limits_default, &loaded, &fault).code, 0);
    assert_int_equal(loaded.first->count, YML_ENTRIES_MAX);
    assert_int_equal(buf_append_str(&text, "more: 1\n").code, 0);
    refused(buf_span(&text), &yml_limits_default, "too many keys in one mapping");
    buf_release(&text);
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct yml yml;
        (void)alloc_fail_nth(nth);
        cc_err err = yml_load(span_str("a: [1, {b: c}]\n"), &yml_limits_default, &yml, &fault);
        (void)alloc_fail_nth(0);
        if (!err.code) {
            assert_int_equal(nth, 9); /* the loader and seven nodes */
            yml_release(&yml);
            return;
        }
        assert_int_equal(err.code, ERROR_NO_MEMORY);
        assert_null(yml.first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_tree_with_places, teardown),
        cmocka_unit_test_teardown(test_documents, teardown),
        cmocka_unit_test_teardown(test_no_document, teardown),
        cmocka_unit_test(test_refusals_name_the_line),
        cmocka_unit_test(test_not_utf8),
        cmocka_unit_test_teardown(test_limits, teardown),
        cmocka_unit_test_teardown(test_depth_64_and_65, teardown),
        cmocka_unit_test_teardown(test_entries_of_a_mapping, teardown),
        cmocka_unit_test(test_each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
