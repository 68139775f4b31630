/* core/vault_client.h - the core's end of door B while it serves.
 *
 * WHAT      A sender that turns what waits into messages (core/vault_window.h: how large, how many), and a receiver
 *           that finds the request of each answer. Once a second, if anything was signed, it asks for the vault's counts.
 * PROMISE   Nothing is released whose root is not the one computed here. The vault gone: every request that is with it,
 *           and each later one, is answered DOOR_CLOSED. Each row is answered exactly once. Others than blocks wait
 *           here until a thread of the vault is free for them; a block goes at once, in a message of its own.
 * THREADS   Own sender and receiver; sign() and remove() from any.
 * OWNERSHIP Borrows descriptor, table and link; owns the rows given to it until they are answered.
 * ERRORS    DOOR_CLOSED.
 * SECRETS   None.
 */
#ifndef CORE_VAULT_CLIENT_H
#define CORE_VAULT_CLIENT_H

#include "core/front_link.h"
#include "core/registry.h"

struct vault_client;

CC_ERR vault_client_start(int fd,
                          uint32_t life,
                          uint32_t vault_threads,
                          struct pending_table *table,
                          struct front_link *link,
                          struct vault_client **ret_client);
/* Shuts the door, answers what is left, joins; takes NULL. */
void vault_client_stop(struct vault_client *client);

/* Queues rows whose outcome.message is set. */
void vault_client_sign(struct vault_client *client, struct pending_list *list);
/* Asks the vault to forget keys; its answers are logged where they are errors. */
CC_ERR
vault_client_remove(struct vault_client *client, const struct registry_key *keys, size_t count);
bool vault_client_is_up(const struct vault_client *client);
/* The vault said SEALED to the last request. */
bool vault_client_is_sealed(const struct vault_client *client);

#endif
