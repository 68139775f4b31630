#include "base/alloc.h"

#include "cli/cli.h"

int main(int argc, char **argv, char **environment)
{
    alloc_give_back();
    return cli_main(argc, argv, environment);
}
