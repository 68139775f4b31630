/* aws/endpoint.h - where AWS's services are.
 *
 * WHAT      The endpoint of a service in a region of any partition, as AWS's own rules have it, with FIPS and dual stack.
 * PROMISE   A region is letters, digits and hyphens: it can't change the host that is named.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS CONFIG.   SECRETS None.
 */
#ifndef AWS_ENDPOINT_H
#define AWS_ENDPOINT_H

#include "base/span.h"

enum {
    AWS_ENDPOINT_MAX = 320
};

struct aws_endpoint {
    const char *service;
    const char *region;
    bool fips;
    bool dual_stack;
};

CC_ERR aws_region_check(struct span region);
/* https://dynamodb.eu-central-1.amazonaws.com */
CC_ERR aws_endpoint_make(const struct aws_endpoint *endpoint,
                         char ret_url[static AWS_ENDPOINT_MAX]);

#endif
