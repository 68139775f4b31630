/* support/nsm_kit.h - a security module for tests in C, in a process of its own.
 *
 * WHAT      Answers DescribeNSM, DescribePCR and Attestation over a Unix socket (attest/nsm_socket.h), with documents of an
 *           authority of AWS's shape (support/attest_kit.h), whose certificates begin an hour ago.
 */
#ifndef SUPPORT_NSM_KIT_H
#define SUPPORT_NSM_KIT_H

#include <sys/types.h>

#include "support/attest_kit.h"

enum nsm_kit_mood {
    NSM_KIT_RIGHT,
    NSM_KIT_REFUSES, /* InternalError */
    NSM_KIT_WAITS    /* with its answer, until its mood is another one */
};

struct nsm_kit {
    struct attest_kit authority;
    char directory[64];
    char path[96]; /* of its socket */
    pid_t pid;
    void *shared;            /* what follows */
    _Atomic int *mood;       /* shared with the process */
    _Atomic unsigned *asked; /* documents asked for */
    _Atomic int *shift_ms;   /* of the time that it says */
    uint8_t *pcr8;           /* shared too: zeros, of an image that nobody has signed */
    bool debug;              /* all registers are zero */
};

/* Forks: before there are threads. */
void nsm_kit_start(struct nsm_kit *kit, bool debug);
void nsm_kit_stop(struct nsm_kit *kit);

#endif
