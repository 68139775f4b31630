/* The core between a real vault and a front that the test plays. */
#include <stdlib.h>
#include <string.h>

#include "crypto/bls.h"
#include "support/core_room.h"
#include "support/test.h"

static void test_signs_an_attestation(void **state)
{
    struct core_room room;
    (void)state;
    core_room_up(&room, 1);
    const struct a_sign request = test_attestation(1, 100, 101, 1);
    const struct a_signed answer = core_room_sign(&room, &request);
    assert_int_equal(answer.error, 0);
    assert_int_equal(core_room_stop_core(&room), 0);
    core_room_remove(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signs_an_attestation),
    };
    core_room_reserve_metrics();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
