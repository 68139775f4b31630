/* vault/row_door.h - the vault's side of sealed key rows.
 *
 * WHAT      A keystore becomes a row; a row becomes a key of the table; a row is sealed anew for another status.
 * PROMISE   What B_IMPORT opened is not in the table: nothing signs with it before its row comes back by B_OPEN_ROW. Only an active
 *           row is taken into the table, and only where it was sealed for exactly this public key, status, version and
 *           generation (T3). It is sealed under the generation that is asked for, if that is open; 0 is the present one. A row never goes
 *           back to an earlier generation (T12), nor to one that was not open beside its own. The public key of a row is always the
 *           secret's own (P13).
 * THREADS   Any; an import runs for up to seconds.
 * OWNERSHIP Borrows.
 * ERRORS    SEALED, IDENTITY (no history was proved), TAMPERED, DENIED (not an active row), PROTOCOL (a status or a version that
 *           makes no sense), those of vault/keystore.h and of key_table_add().
 * SECRETS   A secret passes through, on the stack; wiped.
 */
#ifndef VAULT_ROW_DOOR_H
#define VAULT_ROW_DOOR_H

#include "vault/inside.h"

/* Each fills all of the answer but its id. */
void row_door_import(struct vault *vault, const struct b_import *request, struct b_row *ret_answer);
void row_door_open(struct vault *vault,
                   const struct b_open_row *request,
                   struct b_opened *ret_answer);
void row_door_seal(struct vault *vault, const struct b_seal_row *request, struct b_row *ret_answer);

#endif
