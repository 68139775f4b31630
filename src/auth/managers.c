/* The record `auth/managers`: who may manage, and what each has last been seen to ask. */
#include <inttypes.h>
#include <string.h>

#include "auth/manager.h"
#include "codec/hex.h"
#include "codec/json.h"

static cc_err odd(void)
{
    return CC_FAIL(TAMPERED, "the record of the management keys has another format");
}

static cc_err read_one(struct jval value, struct manager *manager)
{
    struct jval key, added, last;
    struct span text;
    if (jval_type(value) != JVAL_OBJECT || jval_count(value) != 3 ||
        !jval_member(value, "public_key", &key) || !jval_member(value, "added", &added) ||
        !jval_member(value, "last", &last))
        return odd();
    if (jval_text(key, &text).code || text.len != sizeof manager->public_key * 2 ||
        hex_decode(text, manager->public_key, sizeof manager->public_key).code ||
        jval_u64(added, &manager->added).code || jval_u64(last, &manager->last).code)
        return odd();
    manager_keyid(manager->public_key, manager->keyid);
    return CC_OK;
}

static cc_err read_all(struct jval root, struct managers *managers)
{
    struct jval list, value;
    if (jval_type(root) != JVAL_OBJECT || jval_count(root) != 1 ||
        !jval_member(root, "managers", &list) || jval_type(list) != JVAL_ARRAY ||
        jval_count(list) > MANAGERS_MAX)
        return odd();
    struct jval_iter iter = jval_iterate(list);
    while (jval_next(&iter, &value)) {
        struct manager manager = {0};
        CC_TRY(read_one(value, &manager));
        if (managers_find(managers, manager.keyid))
            return odd();
        managers->list[managers->count++] = manager;
    }
    return CC_OK;
}

CC_ERR managers_parse(uint8_t *text, size_t len, struct managers *ret_managers)
{
    struct jdoc doc = jdoc_init(16 + 8 * MANAGERS_MAX);
    struct managers managers = {0};
    cc_err err = jdoc_parse(&doc, text, len);
    if (err.code && !error_is(err, ERROR_NO_MEMORY))
        err = odd();
    if (!err.code)
        err = read_all(jdoc_root(&doc), &managers);
    jdoc_release(&doc);
    if (!err.code)
        *ret_managers = managers;
    return err;
}

CC_ERR managers_write(const struct managers *managers, struct buf *out)
{
    CC_TRY(buf_append_str(out, "{\"managers\":["));
    for (uint32_t i = 0; i < managers->count; i++) {
        const struct manager *m = &managers->list[i];
        char key[2 * ED25519_PUBLIC_SIZE];
        hex_encode(m->public_key, sizeof m->public_key, key);
        CC_TRY(buf_printf(out,
                          "%s{\"public_key\":\"%.*s\",\"added\":%" PRIu64 ",\"last\":%" PRIu64 "}",
                          i ? "," : "", (int)sizeof key, key, m->added, m->last));
    }
    return buf_append_str(out, "]}");
}

struct manager *managers_find(struct managers *managers, const char *keyid)
{
    for (uint32_t i = 0; i < managers->count; i++)
        if (strcmp(managers->list[i].keyid, keyid) == 0)
            return &managers->list[i];
    return NULL;
}

CC_ERR manager_check_time(const struct manager *manager, uint64_t created, uint64_t now)
{
    const uint64_t apart = created > now ? created - now : now - created;
    if (apart > MANAGER_WINDOW_S)
        return CC_FAIL(UNAUTHENTICATED, "created is more than 60 s away from the signer's clock");
    if (created <= manager->last)
        return CC_FAIL(REPLAYED, NULL);
    return CC_OK;
}
