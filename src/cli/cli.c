#include "cli/cli.h"

#include <stdio.h>

int cli_main(int argc, char **argv)
{
    (void)argv;
    (void)fprintf(stderr, "usage: containment-chamber COMMAND\n");
    return argc > 1 ? 2 : 0;
}
