#include "support/vault_group.h"

#include <stdlib.h>

struct test_chamber chamber;
struct vault_room room;
struct door_message *answer;

int vault_group_setup(void **state)
{
    (void)state;
    answer = calloc(1, sizeof *answer);
    test_chamber_make(&chamber);
    return answer ? 0 : -1;
}

int vault_group_teardown(void **state)
{
    (void)state;
    free(answer);
    test_chamber_remove(&chamber);
    return 0;
}

int vault_setup(void **state)
{
    (void)state;
    vault_room_start(&room, &chamber, ROOM_MODE_SERVE, false);
    return 0;
}

int vault_setup_greeted(void **state)
{
    (void)vault_setup(state);
    vault_room_greet(&room, &chamber);
    return 0;
}

int vault_teardown(void **state)
{
    (void)state;
    return vault_room_stop(&room);
}
