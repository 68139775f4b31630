#include "slash/postgres_history.h"

static const struct postgres_query queries[] = {
#define P(name, sql) {#name, sql},
#include "slash/postgres_statement.def"
#undef P
};

const struct postgres_schema postgres_history_schema = {
    .queries = queries, .count = ARRAY_LEN(queries), .missing = ERROR_HISTORY_MISSING};
