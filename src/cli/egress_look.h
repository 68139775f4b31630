/* cli/egress_look.h - `config check` of the way out.
 *
 * WHAT      Finds services and databases of a configuration that egress.routes has no row for.
 * PROMISE   What it names would not be reached; in an enclave that shows only once it runs. It can't know what AWS's own variables
 *           and profiles add, nor the services of credentials.
 * THREADS   Main only.   OWNERSHIP Borrows.   ERRORS None: faults.   SECRETS No text of a database's URL.
 */
#ifndef CLI_EGRESS_LOOK_H
#define CLI_EGRESS_LOOK_H

#include "config/config.h"

/* Installs the rows in this process (config/egress.h). */
void egress_look(const struct config *config, struct config_faults *faults);

#endif
