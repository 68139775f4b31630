/* core/order.h - one piece of work for a core that serves nobody.
 *
 * WHAT      A command that needs the vault while no signer runs: the supervisor starts vault and core, and hands over a descriptor
 *           with the order as text; the core opens its stores as for serving, does it, and leaves the answer in its place.
 *             hand-over [--force ]EPOCH  sets the high watermark; the answer is the token (core/handover.h)
 *             take-over 0xIDENTITY\n...  the token follows; raises every low watermark to it; the answer is a sentence for people
 *             restore EPOCH              raises every low watermark, those of keys that come later too: nothing up to EPOCH is signed; and pauses all keys
 *             audit-verify FIRST         verifies the audit log from segment FIRST on; the answer is what was found (core/audit_order.h)
 *             key-stores                 lists the records of key stores (core/key_order.h); a line each
 *             forget-store [--force] NAME removes the record of one that is gone
 *             move-keys FROM TO          moves all keys from one kind of key store to another (core/key_move.h)
 *             move-keys --cancel FROM    undoes one that has not come to its end
 *             unseal                     takes the latches of an emergency seal away (core/seal_latch.h); the answer is a sentence for people
 * PROMISE   As stores_open() and handover.h. An order that fails leaves no answer, and may be given again.
 * THREADS   The control thread; there are no others.
 * OWNERSHIP Borrows.
 * ERRORS    MALFORMED, TAMPERED, IDENTITY (a token of this history itself), WRONG_NETWORK, HANDED_OVER, IO, and those of history, state and vault.
 * SECRETS   None.
 */
#ifndef CORE_ORDER_H
#define CORE_ORDER_H

#include "core/stores.h"

enum {
    ORDER_TEXT_MAX = 2048
};

enum order_verb {
    ORDER_HAND_OVER,
    ORDER_TAKE_OVER,
    ORDER_RESTORE,
    ORDER_AUDIT_VERIFY,
    ORDER_UNSEAL,
    ORDER_KEY_STORES,
    ORDER_FORGET_STORE,
    ORDER_MOVE_KEYS,
    ORDER_MOVE_CANCEL
};

struct order {
    enum order_verb verb;
    uint64_t epoch;                        /* hand-over, restore */
    uint64_t segment;                      /* audit-verify: the first one */
    bool force;                            /* hand-over: raises one that stands */
    uint8_t identity[ED25519_PUBLIC_SIZE]; /* take-over: who must have signed */
    struct span token;                     /* take-over: in the order's own bytes */
    char name[STATE_NAME_SIZE];            /* forget-store */
    enum key_book_kind from, to;           /* move-keys */
};

CC_ERR order_parse(struct span text, struct order *ret_order);
/* Reads the order from `fd`, carries it out, and writes the answer over it; until then core/order_progress.h says there how far it is. */
CC_ERR order_carry_out(int fd,
                       const struct config *config,
                       struct vault_call *vault,
                       struct stores *stores);

#endif
