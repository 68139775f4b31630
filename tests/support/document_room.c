#include "support/document_room.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/document_kit.h"
#include "support/test.h"

static void *serve(void *argument)
{
    struct document_room *room = argument;
    struct door_message *question = calloc(1, sizeof *question);
    struct door_message *answer = calloc(1, sizeof *answer);
    if (!question || !answer)
        abort();
    while (!door_receive(room->door, 1, door_documents_to_vault, question).code) {
        document_door_answer(&room->vault, question, answer);
        if (door_send(room->door, 1, answer->head.type, answer->items, answer->head.item_size, 1)
                .code)
            break;
    }
    free(question);
    free(answer);
    return NULL;
}

void document_room_start(struct document_room *room, const char *nsm_path)
{
    static const struct tee_root_config no_keys;
    int door[2];
    struct nsm *nsm = NULL;
    *room = (struct document_room){.door = -1};
    assert_int_equal(nsm_open(nsm_path, &nsm).code, 0);
    document_vault_make(&room->vault, ROOM_MODE_SERVE, &no_keys, nsm);
    assert_int_equal(door_pair(door).code, 0);
    room->door = door[0];
    assert_int_equal(documents_new(door[1], 1, &room->documents).code, 0);
    assert_int_equal(pthread_create(&room->thread, NULL, serve, room), 0);
}

void document_room_stop(struct document_room *room)
{
    documents_free(room->documents);
    assert_int_equal(pthread_join(room->thread, NULL), 0);
    (void)close(room->door);
    nsm_close(room->vault.nsm);
    document_vault_end(&room->vault);
}
