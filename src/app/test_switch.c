#include "app/test_switch.h"

#ifdef CC_TESTING

#    include <stdio.h>
#    include <stdlib.h>
#    include <string.h>

static char text[128];
static int point_was_given;

char *test_switch_for(enum room room)
{
    const char *point = getenv("CC_TEST_POINT");
    const char *slow = getenv("CC_TEST_SLOW");
    const char *inject = getenv("CC_TEST_INJECT");
    size_t len = strlen(room_name(room));
    if (point && room == ROOM_CORE && !point_was_given) {
        point_was_given = 1;
        (void)snprintf(text, sizeof text, "point=%s", point);
        return text;
    }
    if (slow && room == ROOM_CORE) {
        (void)snprintf(text, sizeof text, "slow=%s", slow);
        return text;
    }
    if (inject && strncmp(inject, room_name(room), len) == 0 && inject[len] == ':') {
        (void)snprintf(text, sizeof text, "inject=%s", inject + len + 1);
        return text;
    }
    return NULL;
}

#endif
