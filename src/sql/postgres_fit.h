/* sql/postgres_fit.h - whether a PostgreSQL server keeps what it says it has committed.
 *
 * WHAT      One query for the prepared statements of a store, and what its answer means.
 * PROMISE   A server whose answer has no fault waits for its disk at each commit, and takes writes. The first column is another
 *           text when timeline, database or one of those settings is another (T6).
 * THREADS   Any.   OWNERSHIP None.   ERRORS None.   SECRETS None.
 */
#ifndef SQL_POSTGRES_FIT_H
#define SQL_POSTGRES_FIT_H

enum {
    POSTGRES_FIT_MAX = 1024 /* of the first column, with its terminator */
};

/* clang-format off */
/* What must not change under a connection, as one text; and why it is not fit to keep anything. */
#define POSTGRES_FIT_SQL                                                                              \
    "SELECT concat_ws(' ', here.cluster, here.timeline,"                                              \
    "  (SELECT oid FROM pg_database WHERE datname = current_database()), current_setting('fsync'),"   \
    "  current_setting('full_page_writes'), current_setting('synchronous_commit'),"                   \
    "  current_setting('synchronous_standby_names')),"                                                \
    " CASE WHEN here.timeline = 'recovery' THEN 'replica'"                                            \
    "  WHEN current_setting('fsync') <> 'on' OR current_setting('full_page_writes') <> 'on' THEN 'disk'" \
    "  WHEN current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN 'commit'"        \
    "  ELSE '' END"                                                                                   \
    " FROM (SELECT system_identifier::text AS cluster, CASE WHEN pg_is_in_recovery() THEN 'recovery'" \
    "  ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END AS timeline"                    \
    "  FROM pg_control_system()) here"
/* clang-format on */

/* The second column in words, for people; NULL: the server is fit. */
const char *postgres_fit_fault(const char *column);

#endif
