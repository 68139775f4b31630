/* support/fault_vfs.h - a disk that fails, forgets, or ends the process, under SQLite.
 *
 * WHAT      A SQLite VFS over the real one. It counts operations and does what a plan says at the nth. For a power
 *           cut it knows of every file what has been synced, and puts back a possible state of the disk: all that
 *           was synced, and of the rest nothing, everything, or torn pieces.
 * THREADS   One.
 *
 * After a sync that failed, what it should have made durable is never made so by a later sync, unless it is
 * written again: as Linux does it.
 */
#ifndef SUPPORT_FAULT_VFS_H
#define SUPPORT_FAULT_VFS_H

#include <stdbool.h>
#include <stdint.h>

enum fault_kind {
    FAULT_NONE,
    FAULT_ONCE,      /* the nth operation fails */
    FAULT_FROM,      /* the nth and all that follow fail */
    FAULT_KILL,      /* the process ends before the nth operation; the operating system lives on */
    FAULT_POWER_CUT, /* the same, and what wasn't synced may be lost */
};

enum fault_survivors {
    SURVIVE_NOTHING,
    SURVIVE_ALL,
    SURVIVE_TORN
};

struct fault_plan {
    enum fault_kind kind;
    uint64_t
        at; /* from 1; counts only writes, truncations, syncs, deletions for KILL and POWER_CUT */
    bool disk_full; /* writes fail with SQLITE_FULL, nothing else fails */
    enum fault_survivors survivors;
    uint64_t seed;
};

enum {
    FAULT_EXIT = 77 /* exit status of a process that a plan ended */
};

/* Makes it SQLite's default; call before the first use of a store in the process. Nothing waits for the real
 * disk any more.
 */
void fault_vfs_install(void);
/* Takes what is on the disk now for durable. No store may be open. */
void fault_vfs_trust_disk(void);
void fault_vfs_plan(struct fault_plan plan);
/* Operations counted since the plan was set. */
uint64_t fault_vfs_count(void);
/* Cuts the power now; doesn't return. */
void fault_vfs_cut(void) __attribute__((noreturn));

/* The nth allocation inside SQLite fails, once; 0: none. Needs fault_memory_install() before SQLite starts. */
void fault_memory_install(void);
uint64_t fault_memory_fail_nth(uint64_t nth);

#endif
