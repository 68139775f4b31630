/* One suite over every backend of the history, compared with the in-memory oracle verdict by verdict. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/slash_kit.h"
#include "support/test.h"

/* Runs `body` on a fresh store of each backend. */
static void on_each_backend(void (*body)(struct slash_fixture *f))
{
    for (size_t i = 0; i < slash_backend_count; i++) {
        struct slash_fixture f;
        slash_fixture_setup(&f, &slash_backends[i]);
        print_message("  %s\n", slash_backends[i].name);
        body(&f);
        slash_fixture_teardown(&f);
    }
}

/* --- the rules, through a store ----------------------------------------------------------------- */

static void rules_body(struct slash_fixture *f)
{
    struct slash_store *s = f->store;
    assert_int_equal(kit_sign(s, kit_block(1, 5, 1)), SLASH_UNREGISTERED);
    kit_register(s, 1, 2);
    assert_int_equal(kit_sign(s, kit_block(1, 5, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_block(1, 5, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(s, kit_block(1, 5, 2)), SLASH_DOUBLE_BLOCK);
    assert_int_equal(kit_sign(s, kit_block(1, 4, 1)), SLASH_BLOCK_BELOW);
    assert_int_equal(kit_sign(s, kit_block(1, 9, 3)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_block(1, 7, 4)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_block(1, 5, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(s, kit_block(1, 7, 5)), SLASH_DOUBLE_BLOCK);
    assert_int_equal(kit_sign(s, kit_block(2, 7, 5)), SLASH_SAFE);

    assert_int_equal(kit_sign(s, kit_attestation(1, 10, 11, 1)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_attestation(1, 10, 11, 1)), SLASH_REPEAT);
    assert_int_equal(kit_sign(s, kit_attestation(1, 10, 11, 2)), SLASH_DOUBLE_VOTE);
    assert_int_equal(kit_sign(s, kit_attestation(1, 12, 15, 3)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_attestation(1, 11, 16, 4)), SLASH_SURROUNDING);
    assert_int_equal(kit_sign(s, kit_attestation(1, 13, 14, 5)), SLASH_SURROUNDED);
    assert_int_equal(kit_sign(s, kit_attestation(1, 10, 13, 6)), SLASH_SAFE);
    assert_int_equal(kit_sign(s, kit_attestation(1, 9, 12, 7)), SLASH_SURROUNDING);
    assert_int_equal(kit_sign(s, kit_attestation(1, 10, 10, 7)), SLASH_TARGET_BELOW);
    assert_int_equal(kit_sign(s, kit_attestation(1, 16, 15, 8)), SLASH_SOURCE_AFTER_TARGET);
    assert_int_equal(kit_sign(s, kit_attestation(1, 10, 11, 1)), SLASH_REPEAT);
}

static void test_rules_hold_in_every_store(void **state)
{
    (void)state;
    on_each_backend(rules_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_hold_in_every_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
