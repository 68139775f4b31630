#include "aws/endpoint.h"

#include <stdio.h>

#include "base/alloc.h"

/* By the region's beginning; the last row is all the rest. */
static const struct partition {
    const char *prefix;
    const char *suffix;
    const char *dual_suffix; /* NULL: has no dual stack */
} partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
    {"us-gov-", "amazonaws.com", "api.aws"},
    {"us-isob-", "sc2s.sgov.gov", NULL},
    {"us-isof-", "csp.hci.ic.gov", NULL},
    {"us-iso-", "c2s.ic.gov", NULL},
    {"eu-isoe-", "cloud.adc-e.uk", NULL},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
    {"", "amazonaws.com", "api.aws"},
};

CC_ERR aws_region_check(struct span region)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    if (region.len == 0 || region.len >= 48)
        return CC_FAIL(CONFIG, "no AWS region: set aws.region, AWS_REGION, or the profile's");
    for (size_t i = 0; i < region.len; i++)
        if (!region.data[i] || !strchr(allowed, region.data[i]))
            return CC_FAIL(CONFIG, "an AWS region has small letters, digits and hyphens");
    return CC_OK;
}

CC_ERR aws_endpoint_make(const struct aws_endpoint *endpoint, char ret_url[static AWS_ENDPOINT_MAX])
{
    CC_TRY(aws_region_check(span_str(endpoint->region)));
    const struct partition *partition = partitions;
    while (strncmp(endpoint->region, partition->prefix, strlen(partition->prefix)) != 0)
        partition++;
    const char *suffix = endpoint->dual_stack ? partition->dual_suffix : partition->suffix;
    if (!suffix)
        return CC_FAIL(CONFIG, "this AWS partition has no dual-stack endpoints");
    (void)snprintf(ret_url, AWS_ENDPOINT_MAX, "https://%s%s.%s.%s", endpoint->service,
                   endpoint->fips ? "-fips" : "", endpoint->region, suffix);
    return CC_OK;
}
