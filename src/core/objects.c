#include "core/objects.h"

#include <pthread.h>

#include "base/alloc.h"

struct objects {
    struct backlog *backlog;
    struct vault_client *vault;
    struct front_link *link;
    pthread_t thread;
};

static void *objects_thread(void *argument)
{
    struct objects *objects = argument;
    struct pending_list list;
    struct pending_list late;
    while (backlog_take(objects->backlog, BACKLOG_OBJECTS, 0, &list, &late)) {
        front_link_shed(objects->link, &late);
        backlog_passed(objects->backlog, BACKLOG_OBJECTS, &list, 0);
        vault_client_sign(objects->vault, &list);
    }
    return NULL;
}

CC_ERR objects_start(struct backlog *backlog,
                     struct vault_client *vault,
                     struct front_link *link,
                     struct objects **ret_objects)
{
    struct objects *objects = cc_alloc(sizeof *objects);
    if (!objects)
        return CC_FAIL(NO_MEMORY, NULL);
    *objects = (struct objects){.backlog = backlog, .vault = vault, .link = link};
    if (pthread_create(&objects->thread, NULL, objects_thread, objects) != 0) {
        cc_free(objects);
        return CC_FAIL(SYSTEM, "thread");
    }
    *ret_objects = objects;
    return CC_OK;
}

void objects_stop(struct objects *objects)
{
    if (!objects)
        return;
    backlog_stop(objects->backlog);
    (void)pthread_join(objects->thread, NULL);
    cc_free(objects);
}
