"""What each mode of access control lets pass over HTTP, that report counts what enforce refuses, and that what was closed stays closed."""
import json
import os
import secrets

import interop
import messages

KEYS = "/api/v1/eth2/publicKeys"
RULES = ["signs", "lists", "denied"]


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def configured(make_daemon, mode):
    """A signer with a token for each of RULES: one that signs, one that lists keys, one whose policy denies what it allows."""
    tokens = {name: "test-" + secrets.token_hex(20) for name in RULES}
    daemon = make_daemon(
        keys=interop.SECRETS[:2],
        environment={f"TOKEN_{name}": text for name, text in tokens.items()},
        config={
            "auth": {"mode": mode},
            "auth_policies": {
                "signs": {"token": "env:TOKEN_signs", "allowed_scopes": ["sign"]},
                "lists": {"token": "env:TOKEN_lists", "allowed_scopes": ["public_keys"]},
                "denied": {"token": "env:TOKEN_denied", "denied_scopes": ["public_keys"]},
            },
        },
    )
    daemon.init()
    daemon.tokens = tokens
    return daemon


def counted(daemon, name):
    """The sum of a metric's series, and each of them by its reason."""
    by_reason = {
        series.split('reason="')[1].split('"')[0]: int(float(value))
        for series, value in (line.rsplit(" ", 1) for line in daemon.metrics().splitlines() if line.startswith(name + "{"))
    }
    return sum(by_reason.values()), by_reason


def play(daemon):
    """The same requests whatever the mode; their answers as (code, rule)."""
    answers = []
    callers = [{}, bearer("test-" + "0" * 40)] + [bearer(daemon.tokens[name]) for name in RULES]
    for number, headers in enumerate(callers):
        epoch = 10 + 3 * number
        for code, _, body in (
            daemon.get(KEYS, headers),
            daemon.sign(interop.PUBKEYS[0], messages.attestation(epoch, epoch + 1), headers),
            daemon.sign(interop.PUBKEYS[1], messages.randao(epoch), headers),
            daemon.sign(interop.PUBKEYS[0], messages.voluntary_exit(3), headers),
        ):
            answers.append((code, json.loads(body)["rule"] if code >= 400 else ""))
    return answers


def test_P27_report_counts_what_enforce_refuses(make_daemon):
    """Every request of a client, in both modes: refused there is counted or refused here."""
    answers, denied, rejected = {}, {}, {}
    for mode in ("report", "enforce"):
        daemon = configured(make_daemon, mode)
        daemon.start()
        answers[mode] = play(daemon)
        denied[mode], _ = counted(daemon, "containment_auth_would_deny_total")
        rejected[mode], _ = counted(daemon, "containment_auth_rejections_total")
        daemon.stop()
    refused = {mode: sum(code >= 400 for code, _ in found) for mode, found in answers.items()}
    assert rejected == refused
    assert denied["enforce"] == 0 and denied["report"] > 0
    assert refused["report"] + denied["report"] == refused["enforce"]
    # What is refused in report is refused in enforce too.
    assert all(strict >= 400 for (lenient, _), (strict, _) in zip(answers["report"], answers["enforce"]) if lenient >= 400)


def test_P27_a_refusal_names_policy_and_rule(make_daemon):
    daemon = configured(make_daemon, "enforce")
    daemon.start()
    code, _, body = daemon.get(KEYS, bearer(daemon.tokens["denied"]))
    assert (code, json.loads(body)["rule"]) == (403, "denied/2")
    code, _, body = daemon.sign(interop.PUBKEYS[0], messages.voluntary_exit(3), bearer(daemon.tokens["signs"]))
    assert (code, json.loads(body)["rule"]) == (403, "DEFAULT")
    # Whether there is such a key is said only to who may use it.
    unknown = "0x" + "8a" * 48
    for headers, expected in (({}, 401), (bearer(daemon.tokens["lists"]), 403), (bearer(daemon.tokens["signs"]), 404)):
        for key in (unknown, interop.PUBKEYS[0]) if expected != 404 else (unknown,):
            assert daemon.sign(key, messages.attestation(5, 6), headers)[0] == expected
    daemon.stop()
    assert "policy=denied" in daemon.log_text() or '"policy":"denied"' in daemon.log_text()


def test_T20_what_was_closed_stays_closed(make_daemon):
    """Neither another configuration, nor the loss of the file alone, opens it again."""
    daemon = configured(make_daemon, "enforce")
    daemon.start()
    assert daemon.get(KEYS)[0] == 401
    daemon.stop()
    latch = os.path.join(daemon.data_dir, "auth.enforced")
    assert os.stat(latch).st_mode & 0o777 == 0o600
    del daemon.config["auth_policies"]
    daemon.config["auth"]["mode"] = "open"
    daemon.write_config()
    for lose in (False, True):
        if lose:
            os.unlink(latch)
        daemon.start()
        assert daemon.get(KEYS)[0] == 401
        assert daemon.sign(interop.PUBKEYS[0], messages.attestation(5, 6))[0] == 401
        assert daemon.get(KEYS, bearer(daemon.tokens["lists"]))[0] == 401  # missing data means closed
        chamber = next(check for check in json.loads(daemon.get("/healthcheck")[2])["checks"] if check["id"] == "chamber")
        assert (chamber["data"]["auth-open"], chamber["data"]["auth-mode"], chamber["data"]["auth-latched"]) == (False, "enforce", True)
        assert daemon.get("/upcheck")[0] == 200
        daemon.stop()
    assert os.path.exists(latch)
