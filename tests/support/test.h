/* support/test.h - cmocka, with the headers that it wants before it. Every C test includes this one. */
#ifndef SUPPORT_TEST_H
#define SUPPORT_TEST_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#endif
