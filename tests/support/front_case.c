#include "support/front_case.h"

#include <stdio.h>

#include "support/test.h"

struct rig rig;
char sign_target[200];
char body[2048];

int front_begin(void **state)
{
    (void)state;
    rig_defaults(&rig);
    (void)snprintf(sign_target, sizeof sign_target, "/api/v1/eth2/sign/%s", rig_key);
    rig_attestation(body, sizeof body, 5);
    return 0;
}

int front_setup(void **state)
{
    (void)front_begin(state);
    rig_open(&rig);
    return 0;
}

int front_teardown(void **state)
{
    (void)state;
    assert_int_equal(rig_close(&rig).code, 0);
    return 0;
}
