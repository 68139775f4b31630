/* base/machine.h - how much of the machine this process may use.
 *
 * WHAT      Processors, and memory: what the machine has, or less where a control group (a container, a unit with
 *           MemoryMax=) or an affinity mask says so.
 * PROMISE   Never zero; what can't be read limits nothing.
 * THREADS   Any: no state.   OWNERSHIP None.   ERRORS None.   SECRETS None.
 */
#ifndef BASE_MACHINE_H
#define BASE_MACHINE_H

#include "base/span.h"

uint64_t machine_processors(void);
uint64_t machine_memory(void); /* bytes */

/* The tightest memory limit of the control groups that `groups` names (the text of /proc/self/cgroup) and of those above
 * them, below `mount`; UINT64_MAX for none.
 */
uint64_t machine_group_memory(struct span groups, const char *mount);

#endif
