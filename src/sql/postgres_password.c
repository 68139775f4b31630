#include "sql/postgres_password.h"

#include <string.h>

static struct {
    struct postgres_password items[POSTGRES_PASSWORDS_MAX];
    size_t count;
} installed;

void postgres_passwords_install(const struct postgres_password *passwords, size_t count)
{
    cc_assert(count <= POSTGRES_PASSWORDS_MAX);
    if (count)
        memcpy(installed.items, passwords, count * sizeof *passwords);
    installed.count = count;
}

static const struct postgres_password *find(const char *url)
{
    for (size_t i = 0; i < installed.count; i++)
        if (strcmp(installed.items[i].url, url) == 0)
            return &installed.items[i];
    return NULL;
}

bool postgres_password_exists(const char *url)
{
    return find(url) != NULL;
}

CC_ERR postgres_password_get(const char *url, struct buf *ret_password)
{
    const struct postgres_password *source = find(url);
    if (!source)
        return CC_FAIL(STORE, "nobody knows the database's password");
    cc_err err = source->get(source->context, ret_password);
    const char *why = error_detail();
    if (!err.code || error_is(err, ERROR_NO_MEMORY))
        return err;
    return error_make(ERROR_STORE, why[0] ? why : error_text(err), __FILE__, __LINE__);
}

void postgres_password_refused(const char *url)
{
    const struct postgres_password *source = find(url);
    if (source)
        source->refuse(source->context);
}
