#include "secret/wipe.h"

#include <string.h>

void wipe(void *p, size_t len)
{
    explicit_bzero(p, len);
}

CC_SENSITIVE void wipe_stack(void)
{
    uint8_t below[WIPE_STACK_SIZE];
    explicit_bzero(below, sizeof below);
}
