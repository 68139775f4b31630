/* core/vault_client.h - the core's end of door B while it serves.
 *
 * WHAT      A sender that turns what waits into messages (core/vault_window.h: how large, how many), and a receiver
 *           that finds the request of each answer. Once a second, if anything was signed, it asks for the vault's counts.
 * PROMISE   Nothing is released whose root is not the one computed here. The vault gone: every request that is with it,
 *           and each later one, is answered DOOR_CLOSED. Each row is answered exactly once. Others than blocks wait
 *           here until a thread of the vault is free for them; a block goes at once, in a message of its own.
 * THREADS   Own sender and receiver; sign(), remove(), ask(), ask_many(), take_out(), sign_head() and subkey() from
 *           any.
 * OWNERSHIP Borrows descriptor, table and link; owns the rows given to it until they are answered.
 * ERRORS    DOOR_CLOSED; ask(), sign_head(), subkey(): those of core/vault_question.h.
 * SECRETS   A subkey goes to who asked for it, and is wiped from the message.
 */
#ifndef CORE_VAULT_CLIENT_H
#define CORE_VAULT_CLIENT_H

#include "core/front_link.h"
#include "core/registry.h"
#include "core/vault_batch.h"
#include "core/vault_question.h"
#include "state/store.h"

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
/* Any question that has one answer; waits for it. */
CC_ERR vault_client_ask(struct vault_client *client, const struct vault_asking *asking);
/* Many questions of one kind; waits for all answers. */
CC_ERR vault_client_ask_many(struct vault_client *client, const struct vault_questions *questions);
/* Takes one key out of the vault, and waits until nobody signs with it any more. KEY_UNKNOWN: it is out already. */
CC_ERR vault_client_take_out(struct vault_client *client, struct key_handle key);
/* The caller wipes it. */
CC_ERR vault_client_subkey(struct vault_client *client,
                           enum b_subkey_purpose purpose,
                           uint8_t ret_key[static 32]);
CC_ERR vault_client_audit_key(struct vault_client *client,
                              const uint8_t replica[static B_CONTEXT_SIZE],
                              uint64_t segment,
                              uint8_t ret_key[static 32]);
/* The vault wipes all that it holds, for this life. */
CC_ERR vault_client_seal(struct vault_client *client);
/* The vault's signature under a state head: the shape of struct state_signer, `context` being the client. Waits for the
 * answer.
 */
cc_err vault_client_sign_head(void *context,
                              const uint8_t digest[static SHA256_SIZE],
                              uint8_t ret_signature[static ED25519_SIGNATURE_SIZE]);
bool vault_client_is_up(const struct vault_client *client);
/* The vault said SEALED to the last request. */
bool vault_client_is_sealed(const struct vault_client *client);

#endif
