/* support/front_case.h - for cmocka: one front with a core that says yes, and a request that is signed there.
 *
 * The names are short since they stand in nearly every line of such a test.
 */
#ifndef SUPPORT_FRONT_CASE_H
#define SUPPORT_FRONT_CASE_H

#include "support/front_rig.h"

extern struct rig rig;
extern char sign_target[200];
extern char body[2048]; /* for sign_target: an attestation at slot 5 */

/* Defaults alone: the test changes them and opens the rig. */
int front_begin(void **state);
int front_setup(void **state);
/* The front must have ended well. */
int front_teardown(void **state);

#endif
