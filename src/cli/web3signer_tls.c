#include <stdio.h>
#include <string.h>

#include "cli/web3signer.h"

enum {
    REFERENCE_MAX = 4096 + 8
};

/* Web3Signer asks each client for a certificate, unless any may come. */
static cc_err plan_clients(struct web3signer *w)
{
    const char *known = web3signer_value(w, "tls-known-clients-file");
    bool any = web3signer_is_true(w, "tls-allow-any-client");
    bool ca = web3signer_is_true(w, "tls-allow-ca-clients");
    if (any && (known || ca))
        return web3signer_fault(
            w, "tls-allow-any-client",
            "and --tls-known-clients-file or --tls-allow-ca-clients exclude each other");
    if (!any && !known && !ca)
        return web3signer_fault(w, "tls-keystore-file",
                                "needs --tls-allow-any-client, --tls-known-clients-file or "
                                "--tls-allow-ca-clients: who may connect?");
    if (ca && !web3signer_has_own(w, "tls.file.client_ca_path"))
        return web3signer_fault(
            w, "tls-allow-ca-clients",
            "means Java's trust store: name the authorities instead, as PEM, in "
            "CONTAINMENT_TLS__FILE__CLIENT_CA_PATH");
    if (known)
        CC_TRY(web3signer_set(w, "tls-known-clients-file", "tls.file.known_clients_path", known));
    return any ? CC_OK
               : web3signer_set(w, known ? "tls-known-clients-file" : "tls-allow-ca-clients",
                                "tls.file.client_auth", "required");
}

static cc_err plan_files(struct web3signer *w, const char *keystore)
{
    const char *password = web3signer_value(w, "tls-keystore-password-file");
    char reference[REFERENCE_MAX];
    CC_TRY(web3signer_set(w, "tls-keystore-file", "tls.mode", "file"));
    CC_TRY(web3signer_set(w, "tls-keystore-file", "tls.file.pkcs12_path", keystore));
    if (!password)
        return web3signer_fault(w, "tls-keystore-file", "needs --tls-keystore-password-file");
    int n = snprintf(reference, sizeof reference, "file:%s", password);
    if (n < 0 || (size_t)n >= sizeof reference)
        return web3signer_fault(w, "tls-keystore-password-file", "is too long");
    return web3signer_set(w, "tls-keystore-password-file", "tls.file.password", reference);
}

/* With TLS this signer has two ports: that of the API, and one for health probes in clear. */
static cc_err plan_ports(struct web3signer *w, bool tls)
{
    const char *host = web3signer_value(w, "http-listen-host");
    const char *port = web3signer_value(w, "http-listen-port");
    if (host)
        CC_TRY(web3signer_set(w, "http-listen-host", "server.listen_address",
                              strcmp(host, "localhost") == 0 ? "127.0.0.1" : host));
    if (!tls)
        return port ? web3signer_set(w, "http-listen-port", "server.listen_port", port) : CC_OK;
    CC_TRY(web3signer_set(w, "http-listen-port", "tls.listen_port", port ? port : "9000"));
    return web3signer_default(w, "http-listen-port", "server.listen_port", "0");
}

CC_ERR web3signer_plan_tls(struct web3signer *w)
{
    static const char *const others[] = {"tls-keystore-password-file", "tls-known-clients-file"};
    const char *keystore = web3signer_value(w, "tls-keystore-file");
    CC_TRY(plan_ports(w, keystore != NULL));
    if (keystore) {
        CC_TRY(plan_files(w, keystore));
        return plan_clients(w);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (web3signer_value(w, others[i]))
            CC_TRY(web3signer_fault(w, others[i], "needs --tls-keystore-file"));
    return CC_OK;
}
