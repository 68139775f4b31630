/* Which image the security module says that this enclave runs. */
#include <string.h>

#include "core/own_image.h"
#include "support/document_room.h"
#include "support/nsm_kit.h"
#include "support/test.h"

static int ask(struct nsm_kit *kit, struct own_image *ret_image)
{
    struct document_room room;
    document_room_start(&room, kit->path);
    const int code = own_image_read(room.documents, ret_image).code;
    document_room_stop(&room);
    return code;
}

static void test_T04_an_image_is_what_the_module_says(void **state)
{
    struct nsm_kit kit;
    struct own_image image;
    (void)state;
    nsm_kit_start(&kit, false);
    const struct kit_claims claims = kit_claims(&kit.authority);
    assert_int_equal(ask(&kit, &image), 0);
    assert_memory_equal(image.pcr0, claims.pcrs.value[0], ATTEST_PCR_SIZE);
    assert_true(own_image_is_measured(&image));
    assert_false(image.has_pcr8);
    nsm_kit_stop(&kit);
}

static void test_T04_the_signer_of_an_image_is_register_8(void **state)
{
    struct nsm_kit kit;
    struct own_image image;
    (void)state;
    nsm_kit_start(&kit, false);
    kit.pcr8[0] = 0x88;
    assert_int_equal(ask(&kit, &image), 0);
    assert_true(image.has_pcr8);
    assert_memory_equal(image.pcr8, kit.pcr8, ATTEST_PCR_SIZE);
    nsm_kit_stop(&kit);
}

static void test_T04_an_image_in_debug_mode_is_not_measured(void **state)
{
    struct nsm_kit kit;
    struct own_image image;
    (void)state;
    nsm_kit_start(&kit, true);
    assert_int_equal(ask(&kit, &image), 0);
    assert_false(own_image_is_measured(&image));
    assert_false(image.has_pcr8);
    nsm_kit_stop(&kit);
}

static void test_T04_a_module_that_refuses_names_no_image(void **state)
{
    struct nsm_kit kit;
    struct own_image image;
    (void)state;
    nsm_kit_start(&kit, false);
    *kit.mood = NSM_KIT_REFUSES;
    assert_int_equal(ask(&kit, &image), ERROR_NSM_REFUSED);
    nsm_kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T04_an_image_is_what_the_module_says),
        cmocka_unit_test(test_T04_the_signer_of_an_image_is_register_8),
        cmocka_unit_test(test_T04_an_image_in_debug_mode_is_not_measured),
        cmocka_unit_test(test_T04_a_module_that_refuses_names_no_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
