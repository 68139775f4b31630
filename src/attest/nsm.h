/* attest/nsm.h - the Nitro Secure Module, as an enclave sees it.
 *
 * WHAT      Requests to /dev/nsm: documents, registers, random bytes. By one ioctl; in a build with test switches the
 *           path of a Unix socket is a device too (attest/nsm_socket.h).
 * PROMISE   Inputs are held to the module's limits before it is asked, since not every module does. An answer that is no
 *           strict CBOR, of another kind than asked for, or as long as the buffer, is an error. What the module says is
 *           not checked beyond that: a document's worth is for who verifies it.
 * THREADS   Any: requests of one struct nsm queue behind its lock. A request may take as long as the module does.
 * OWNERSHIP nsm_close(); inputs are borrowed for the call.
 * ERRORS    NSM (no module, no answer, or an answer that can't be), NSM_REFUSED (the module says no; the detail says
 *           which no), LIMIT (an input is longer than the module takes), SYSTEM, NO_MEMORY.
 * SECRETS   nsm_random()'s bytes, for the caller to keep or wipe.
 */
#ifndef ATTEST_NSM_H
#define ATTEST_NSM_H

#include "attest/document.h"

enum {
    NSM_RANDOM_SIZE = 256
};

struct nsm;

struct nsm_description {
    uint32_t version_major;
    uint32_t version_minor;
    uint32_t version_patch;
    uint32_t max_pcrs;
    uint32_t locked_pcrs; /* a bit for each */
    char module_id[ATTEST_MODULE_ID_MAX + 1];
};

CC_ERR nsm_open(const char *path, struct nsm **ret_nsm);
/* Takes over a descriptor of nsm_descriptor_open(). */
CC_ERR nsm_adopt(int fd, struct nsm **ret_nsm);
/* The descriptor alone, close-on-exec: for who hands it to another process. */
CC_ERR nsm_descriptor_open(const char *path, int *ret_fd);
void nsm_close(struct nsm *nsm); /* takes NULL */
void nsm_closep(struct nsm **nsm);

/* Appends a document. A span with data NULL is left out; an empty nonce or user data with data is put in as such. */
CC_ERR nsm_attest(struct nsm *nsm,
                  struct span user_data,
                  struct span nonce,
                  struct span public_key,
                  struct buf *ret_document);
CC_ERR nsm_describe(struct nsm *nsm, struct nsm_description *ret_description);
CC_ERR nsm_pcr(struct nsm *nsm,
               uint32_t index,
               bool *ret_locked,
               uint8_t ret_value[static ATTEST_PCR_SIZE]);
/* SHA-384 of the old value and the data is the new one. */
CC_ERR nsm_extend(struct nsm *nsm,
                  uint32_t index,
                  struct span data,
                  uint8_t ret_value[static ATTEST_PCR_SIZE]);
CC_ERR nsm_lock(struct nsm *nsm, uint32_t index);
CC_ERR nsm_random(struct nsm *nsm, uint8_t ret_bytes[static NSM_RANDOM_SIZE]);

#endif
