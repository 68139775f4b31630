/* support/snapshot.h - texts that are kept in the tree and compared. */
#ifndef SUPPORT_SNAPSHOT_H
#define SUPPORT_SNAPSHOT_H

#include "base/span.h"

/* Fails the test unless the file `path` (from the top of the tree) is exactly `text`. With CC_UPDATE_SNAPSHOTS set in the
 * environment it writes the file instead, for a person to look at the difference.
 */
void snapshot_check(const char *path, const struct buf *text);

#endif
