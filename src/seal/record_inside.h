/* seal/record_inside.h - what reading and writing of the records share.
 *
 * WHAT      The checks of a record as a whole.
 * PROMISE   What reading accepts and writing takes is the same.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS TAMPERED.   SECRETS None.
 */
#ifndef SEAL_RECORD_INSIDE_H
#define SEAL_RECORD_INSIDE_H

#include "seal/record.h"

CC_ERR seal_current_check(const struct seal_current *record);
CC_ERR seal_next_check(const struct seal_next *record);
CC_ERR seal_replica_check(const struct seal_replica *record);

#endif
