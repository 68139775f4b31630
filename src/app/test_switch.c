#include "app/test_switch.h"

#ifdef CC_TESTING

#    include <stdio.h>
#    include <stdlib.h>
#    include <string.h>

static char text[128];
static size_t points_given;

/* The nth of a list with commas between its items; what is empty, or behind the end, has length 0. */
static const char *item_of(const char *list, size_t n, size_t *ret_len)
{
    for (; *list && n; list++)
        n -= *list == ',';
    *ret_len = strcspn(list, ",");
    return list;
}

/* NULL: this core has none. */
static char *next_point(const char *list)
{
    size_t len = 0;
    const char *point = item_of(list, points_given++, &len);
    if (!len)
        return NULL;
    (void)snprintf(text, sizeof text, "point=%.*s", (int)len, point);
    return text;
}

char *test_switch_for(enum room room)
{
    const char *points = getenv("CC_TEST_POINT");
    const char *slow = getenv("CC_TEST_SLOW");
    const char *inject = getenv("CC_TEST_INJECT");
    size_t len = strlen(room_name(room));
    char *point = points && room == ROOM_CORE ? next_point(points) : NULL;
    if (point)
        return point;
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
