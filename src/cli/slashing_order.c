#include "cli/slashing_order.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

#include "cli/order_send.h"
#include "codec/hex.h"
#include "core/handover.h"
#include "core/order.h"
#include "state/pin.h"

static int say(const char *what, cc_err err)
{
    (void)fprintf(stderr, "containment-chamber slashing: %s: %s%s%s\n", what, error_text(err),
                  error_detail()[0] ? ": " : "", error_detail());
    return supervisor_exit_code(err) == EXIT_CODE_FAILED && error_class(err) == CLASS_INPUT
               ? EXIT_CODE_REFUSED
               : supervisor_exit_code(err);
}

/* --- hand-over ----------------------------------------------------------------------------------------------------- */

int slashing_order_hand_over(const struct supervisor_source *source,
                             struct config *config,
                             uint64_t epoch,
                             bool force,
                             const char *to)
{
    char order[64];
    CC_CLEANUP(buf_release) struct buf token = buf_init(ORDER_TEXT_MAX);
    int n = snprintf(order, sizeof order, "hand-over %s%" PRIu64, force ? "--force " : "", epoch);
    if (strcmp(to, "-") != 0 && access(to, F_OK) == 0) {
        (void)fprintf(stderr,
                      "containment-chamber slashing: %s is there already: --to with a new name\n",
                      to);
        return EXIT_CODE_REFUSED;
    }
    int code = order_send(source, config, span_of(order, (size_t)n), NULL, &token);
    if (code != EXIT_CODE_DONE)
        return code;
    cc_err err = strcmp(to, "-") == 0 ? fd_write_all(STDOUT_FILENO, token.data, token.len)
                                      : file_write_durable(to, buf_span(&token), true);
    if (err.code)
        return say(to, err);
    (void)fprintf(stderr,
                  "This history signs nothing from epoch %" PRIu64 " on. The other begins with:\n"
                  "containment-chamber slashing repair-watermark --token FILE --identity "
                  "IDENTITY.PUB -c FILE\n",
                  epoch);
    return EXIT_CODE_DONE;
}

/* --- take over ------------------------------------------------------------------------------------------------------ */

static cc_err
read_identity(const char *identity, struct state_pin *ret_pin, bool *ret_names_chamber)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(4096);
    *ret_names_chamber = false;
    if (strncmp(identity, "0x", 2) == 0)
        return hex_decode(span_str(identity + 2), ret_pin->identity_public,
                          sizeof ret_pin->identity_public);
    CC_TRY(file_read(identity, &text));
    *ret_names_chamber = true;
    return pin_parse(buf_span(&text), ret_pin);
}

/* What can be said without the vault is said before rooms are started. */
static cc_err check_token(struct span text, const struct state_pin *pin, bool names_chamber)
{
    struct handover handover;
    CC_TRY(handover_parse(text, &handover));
    CC_TRY(handover_verify(&handover, pin->identity_public));
    return !names_chamber ||
                   span_equal(span_of(handover.chamber_id, 32), span_of(pin->chamber_id, 32))
               ? CC_OK
               : CC_FAIL(IDENTITY, "the token is another chamber's");
}

static cc_err put_order(const struct state_pin *pin, struct span token, struct buf *order)
{
    char digits[2 * ED25519_PUBLIC_SIZE + 1] = {0};
    hex_encode(pin->identity_public, sizeof pin->identity_public, digits);
    CC_TRY(buf_printf(order, "take-over 0x%s\n", digits));
    return buf_append(order, token.data, token.len);
}

int slashing_order_take_over(const struct supervisor_source *source,
                             struct config *config,
                             const char *token,
                             const char *identity,
                             bool json)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(HANDOVER_TEXT_MAX);
    CC_CLEANUP(buf_release) struct buf order = buf_init(ORDER_TEXT_MAX);
    CC_CLEANUP(buf_release) struct buf answer = buf_init(ORDER_TEXT_MAX);
    struct state_pin pin = {0};
    bool names_chamber = false;
    cc_err err = read_identity(identity, &pin, &names_chamber);
    if (err.code)
        return say(identity, err);
    err = file_read(token, &text);
    if (!err.code)
        err = check_token(buf_span(&text), &pin, names_chamber);
    if (!err.code)
        err = put_order(&pin, buf_span(&text), &order);
    if (err.code)
        return say(token, err);
    int code = order_send(source, config, buf_span(&order), NULL, &answer);
    return code == EXIT_CODE_DONE ? order_print("slashing", &answer, json) : code;
}
