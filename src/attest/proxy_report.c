/* What the proxy has counted. */
#include <inttypes.h>
#include <string.h>

#include "attest/proxy_inside.h"

static cc_err
append(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
    return buf_printf(out,
                      "# HELP containment_attest_proxy_%s %s\n# TYPE containment_attest_proxy_%s "
                      "%s\ncontainment_attest_proxy_%s %" PRIu64 "\n",
                      name, help, name, type, name, value);
}

static cc_err append_refusals(const struct counters *counters, struct buf *out)
{
    CC_TRY(buf_append_str(
        out,
        "# HELP containment_attest_proxy_refused_total Connections to the signer that were not "
        "opened because its enclave is not the one that is wanted\n"
        "# TYPE containment_attest_proxy_refused_total counter\n"));
    for (int code = 1; code < ERROR_CODE_END; code++) {
        const char *name = error_name((cc_err){code});
        if (counters->refused[code] || strncmp(name, "ATTEST_", 7) == 0)
            CC_TRY(buf_printf(out,
                              "containment_attest_proxy_refused_total{reason=\"%s\"} %" PRIu64 "\n",
                              name, counters->refused[code]));
    }
    return CC_OK;
}

static cc_err append_bytes(const struct counters *counters, struct buf *out)
{
    return buf_printf(
        out,
        "# HELP containment_attest_proxy_bytes_total Bytes carried to the signer "
        "(up) and from it (down)\n# TYPE containment_attest_proxy_bytes_total counter\n"
        "containment_attest_proxy_bytes_total{way=\"up\"} %" PRIu64 "\n"
        "containment_attest_proxy_bytes_total{way=\"down\"} %" PRIu64 "\n",
        counters->bytes_up, counters->bytes_down);
}

/* The enclave that was verified last. */
static cc_err append_peer(const struct atls_peer *peer, struct buf *out)
{
    if (!peer->timestamp_ms)
        return CC_OK;
    CC_TRY(append(out, "document_timestamp_seconds", "gauge",
                  "When the attestation document that was verified last was made",
                  peer->timestamp_ms / 1000));
    CC_TRY(buf_append_str(out,
                          "# HELP containment_attest_proxy_pcr_info Registers of the enclave that "
                          "was verified last\n# TYPE containment_attest_proxy_pcr_info gauge\n"));
    for (uint32_t i = 0; i < ATTEST_PCR_COUNT; i++) {
        if (!attest_pcr_set(&peer->pcrs, i))
            continue;
        CC_TRY(buf_printf(out, "containment_attest_proxy_pcr_info{pcr=\"%u\",value=\"", i));
        for (size_t k = 0; k < ATTEST_PCR_SIZE; k++)
            CC_TRY(buf_printf(out, "%02x", peer->pcrs.value[i][k]));
        CC_TRY(buf_append_str(out, "\"} 1\n"));
    }
    return CC_OK;
}

CC_ERR attest_proxy_report(const struct attest_proxy *proxy, struct buf *out)
{
    const struct counters *counters = &proxy->counters;
    CC_TRY(append(out, "connections", "gauge", "Connections of clients that are open",
                  proxy->pair_count));
    CC_TRY(append(out, "connections_max", "gauge", "Connections that may be open at one time",
                  proxy->connections_max));
    CC_TRY(append(out, "accepted_total", "counter", "Connections of clients", counters->accepted));
    CC_TRY(append(out, "verified_total", "counter",
                  "Connections to the signer whose enclave was verified", counters->verified));
    CC_TRY(append_refusals(counters, out));
    CC_TRY(append(out, "unreachable_total", "counter",
                  "Connections to the signer that could not be made, or whose handshake failed",
                  counters->unreachable));
    CC_TRY(append(out, "aged_total", "counter",
                  "Connections that were ended because their attestation document grew too old",
                  counters->aged));
    CC_TRY(append_bytes(counters, out));
    return append_peer(&proxy->last, out);
}
