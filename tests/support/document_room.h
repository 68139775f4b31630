/* support/document_room.h - the vault's end of the door of documents, in a thread, with a security module of support/nsm_kit.h.
 *
 * WHAT      What a core in an enclave asks (core/documents.h), answered by the real code over a vault that has no chamber.
 */
#ifndef SUPPORT_DOCUMENT_ROOM_H
#define SUPPORT_DOCUMENT_ROOM_H

#include <pthread.h>

#include "core/documents.h"
#include "vault/inside.h"

struct document_room {
    struct vault vault;
    int door; /* the vault's end */
    pthread_t thread;
    struct documents *documents;
};

void document_room_start(struct document_room *room, const char *nsm_path);
void document_room_stop(struct document_room *room);

#endif
