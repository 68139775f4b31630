"""What open mode signs only by name: deposits (of real test networks, made by another signer) and exits."""
import json

import interop
import messages


def test_deposits_sign_equal_when_named(vectors, make_daemon):
    deposits = json.loads((vectors / "web3signer-api/web3signer-deposit/deposits.json").read_text())
    keys = sorted({d["secretKey"] for d in deposits})
    daemon = make_daemon(keys=keys, config={"auth": {"open_operations": ["DEPOSIT"]}})
    daemon.init()
    daemon.start()
    for deposit in deposits:
        status, _, body = daemon.sign(deposit["request"]["deposit"]["pubkey"], deposit["request"])
        assert (status, json.loads(body).get("signature")) == (200, deposit["expected"]["signature"]), body


def test_T20_deposits_are_denied_by_default(vectors, make_daemon):
    deposits = json.loads((vectors / "web3signer-api/web3signer-deposit/deposits.json").read_text())
    daemon = make_daemon(keys=[d["secretKey"] for d in deposits[:1]])
    daemon.init()
    daemon.start()
    status, _, body = daemon.sign(deposits[0]["request"]["deposit"]["pubkey"], deposits[0]["request"])
    assert status == 403, body
    assert b"signature\":" not in body


def test_T20_exits_are_denied_until_they_are_named(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1])
    daemon.init()
    for operations, expected in (("*", 403), ("*,DEPOSIT", 403), ("*,VOLUNTARY_EXIT", 200), ("all", 200)):
        daemon.start("--auth-open-operations", operations)
        status, _, body = daemon.sign(interop.PUBKEYS[0], messages.voluntary_exit(1))
        assert status == expected and (b"signature\":" in body) == (expected == 200), (operations, status, body)
        assert daemon.sign(interop.PUBKEYS[0], messages.randao(1))[0] == 200
        assert daemon.post("/reload", b"")[0] == 401  # what changes the signer is in no operation
        assert daemon.stop() == 0
