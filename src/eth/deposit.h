/* eth/deposit.h - what makes a validator: DepositMessage and DepositData (consensus-specs phase0, "Deposits").
 *
 * WHAT      Withdrawal credentials of an address, and the roots that a deposit's signature and the deposit contract are about.
 * PROMISE   The signing root is of DOMAIN_DEPOSIT under the genesis fork version, and of nothing else: no other message has it.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS NUMBER_RANGE, MALFORMED; NO_MEMORY, LIMIT.   SECRETS None.
 */
#ifndef ETH_DEPOSIT_H
#define ETH_DEPOSIT_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

#include "eth/types.h"

#define DEPOSIT_GWEI_MIN     UINT64_C(1000000000)
#define DEPOSIT_GWEI_DEFAULT UINT64_C(32000000000)
#define DEPOSIT_GWEI_MAX                                                                           \
    UINT64_C(2048000000000) /* of compounding validators; else DEPOSIT_GWEI_DEFAULT */

enum deposit_withdrawal {
    DEPOSIT_TO_ADDRESS = 1, /* 0x01 */
    DEPOSIT_COMPOUNDING = 2 /* 0x02, EIP-7251 */
};

struct deposit {
    struct eth_pubkey pubkey;
    struct eth_root withdrawal_credentials;
    uint64_t amount; /* gwei */
};

/* The kind's byte, eleven zeros, the address. */
struct eth_root deposit_credentials(enum deposit_withdrawal kind,
                                    const struct eth_address *address);
/* MALFORMED: credentials of neither kind, or of address zero. NUMBER_RANGE: an amount that a deposit of that kind can't have. */
CC_ERR deposit_check(const struct eth_root *withdrawal_credentials, uint64_t amount);

struct eth_root deposit_message_root(const struct deposit *deposit);
struct eth_root deposit_data_root(const struct deposit *deposit,
                                  const struct eth_signature *signature);
/* Appends one entry of a deposit_data file, as staking-deposit-cli 2.7 writes it and the launchpad takes it. `network` is a name that
 * needs no escaping.
 */
CC_ERR deposit_append_json(const struct deposit *deposit,
                           const struct eth_signature *signature,
                           const struct eth_version *genesis_fork_version,
                           const char *network,
                           struct buf *out);
struct signing_root deposit_signing_root(const struct deposit *deposit,
                                         const struct eth_version *genesis_fork_version);

#endif
