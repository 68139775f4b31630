#if defined(__x86_64__)
#    define LANE_OPS lane_native
#    include "crypto/lane_vec_ifma.h"
/* The lane type goes first. */
#    include "crypto/lane_code.h"

_Static_assert(sizeof(struct lane_table) <= LANE_TABLE_SIZE, "a table is as large as lane.h says");
_Static_assert(sizeof(struct lane_scratch) <= LANE_SCRATCH_SIZE, "so is a scratch");
#else

#    include "crypto/lane.h"

const struct lane_ops lane_native = {0};
#endif
