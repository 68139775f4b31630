/* support/vault_group.h - for cmocka: the chamber of a group of tests, and each test's own vault in it.
 *
 * The names are short since they stand in nearly every line of such a test.
 */
#ifndef SUPPORT_VAULT_GROUP_H
#define SUPPORT_VAULT_GROUP_H

#include "support/vault_room.h"

extern struct test_chamber chamber;
extern struct vault_room room;
extern struct door_message *answer; /* room for one */

int vault_group_setup(void **state);
int vault_group_teardown(void **state);
/* A vault of the group's chamber that was not shown its history yet. */
int vault_setup(void **state);
/* The same, and it signs. */
int vault_setup_greeted(void **state);
int vault_teardown(void **state);

#endif
