/* A document about the key of the connection that asks, with its nonce: so the client sees that the enclave is there now. */
#include <string.h>

#include "codec/hex.h"
#include "front/http_inside.h"

enum {
    NONCE_MIN = 16
};

/* ?nonce=HEX, and nothing beside it. */
static cc_err take_nonce(const struct request *r, struct a_attest *ask)
{
    static const char expected[] = "it takes ?nonce= with 16 to 32 bytes in hex, and nothing else";
    const char *text = MHD_lookup_connection_value(r->mhd, MHD_GET_ARGUMENT_KIND, "nonce");
    const size_t len = text ? strnlen(text, 2 * A_ATTEST_NONCE_MAX + 1) : 0;
    if (len % 2 || len < (size_t)2 * NONCE_MIN || len > (size_t)2 * A_ATTEST_NONCE_MAX ||
        MHD_get_connection_values_n(r->mhd, MHD_GET_ARGUMENT_KIND, NULL, NULL) != 1)
        return CC_FAIL(MALFORMED, expected);
    if (hex_decode(span_of(text, len), ask->nonce, len / 2).code)
        return CC_FAIL(MALFORMED, expected);
    ask->nonce_len = (uint32_t)(len / 2);
    return CC_OK;
}

/* A client; or a connection, where one number stands for all who come that way: by a proxy or an enclave's parent that names nobody. */
static uint64_t who_waits(const struct request *r)
{
    const struct connection *c = r->connection;
    return c->nameless ? UINT64_MAX - (uint64_t)(c - r->http->connections)
                       : (uint64_t)r->client + 1;
}

/* One for each, and never all for those without a name, so that who floods this leaves places to others. */
static bool admit(struct request *r)
{
    struct http *h = r->http;
    const uint64_t mine = who_waits(r);
    for (uint32_t i = 0; i < HTTP_ATTESTATIONS_MAX; i++)
        if (atomic_load(&h->attesting[i]) == mine)
            return false;
    const uint32_t places = HTTP_ATTESTATIONS_MAX - (r->connection->nameless ? 1 : 0);
    for (uint32_t i = 0; i < places && !r->attests; i++) {
        uint64_t nobody = 0;
        if (atomic_compare_exchange_strong(&h->attesting[i], &nobody, mine))
            r->attests = i + 1;
    }
    return r->attests != 0;
}

void attestation_end(struct request *r)
{
    if (r->attests)
        atomic_store(&r->http->attesting[r->attests - 1], 0);
    r->attests = 0;
}

static cc_err fill(const struct request *r, struct a_attest *ask)
{
    const uint8_t *digest = tls_peer_digest(&r->connection->tls);
    *ask = (struct a_attest){0};
    if (!digest)
        return CC_FAIL(NOT_ENABLED, "this is no connection of attested TLS");
    memcpy(ask->spki_digest, digest, sizeof ask->spki_digest);
    return take_nonce(r, ask);
}

enum MHD_Result attestation_begin(struct request *r)
{
    struct ticket *t = r->ticket;
    cc_err err = fill(r, &t->question.attest);
    if (err.code)
        return request_send_error(r, err);
    if (!admit(r))
        return request_send_error(r, CC_FAIL(BUSY, "too many ask for a document"));
    r->phase = PHASE_ASKED;
    t->ask = TICKET_ATTEST;
    t->urgent = false;
    MHD_suspend_connection(r->mhd);
    ticket_submit(r->http->exchange, t);
    return MHD_YES;
}
