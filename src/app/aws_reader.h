/* app/aws_reader.h - who reads AWS credentials' files for the core.
 *
 * WHAT      A process of the supervisor's own kind, made for each life of a core whose stores are in AWS: it has the
 *           environment and the rights that a room has not, and answers a line of questions (aws/inputs_line.h), one by one.
 * PROMISE   It reads and runs only what the environment and the operator's files say; it parses nothing that the network
 *           sends but what credential_process writes, and that only as bytes. It ends with the line, and with the supervisor.
 * THREADS   The supervisor's one thread.
 * OWNERSHIP The core's end of the line is the caller's. Who starts it reaps it.
 * ERRORS    SYSTEM.
 * SECRETS   The inputs pass through it; each is wiped after its answer (docs/secrets.md).
 */
#ifndef APP_AWS_READER_H
#define APP_AWS_READER_H

#include <sys/types.h>

#include "config/config.h"

CC_ERR aws_reader_start(const struct aws_config *config, pid_t *ret_pid, int *ret_line);

#endif
