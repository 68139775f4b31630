/* A file of known clients: refused with a line that it has, or every client of it is found again. */
#include "front/tls_clients.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tls_known known = {0};
    uint32_t line = 0;
    cc_err err = tls_known_parse(span_of(data, size), &known, &line);
    cc_assert(line <= size + 1 && (!err.code || (line >= 1 && !known.clients)));
    for (uint32_t i = 0; i < known.count; i++) {
        struct tls_certificate certificate = {0};
        memcpy(certificate.fingerprint, known.clients[i].fingerprint, TLS_FINGERPRINT_SIZE);
        memcpy(certificate.name, known.clients[i].name, TLS_NAME_MAX);
        cc_assert(certificate.name[0] && tls_known_has(&known, &certificate));
    }
    tls_known_release(&known);
    return 0;
}
