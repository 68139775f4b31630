"""Deposits of real test networks, made by another signer: signature equal, and never without being asked for by name."""
import json


def test_deposits_sign_equal_when_named(vectors, make_daemon):
    deposits = json.loads((vectors / "web3signer-api/web3signer-deposit/deposits.json").read_text())
    keys = sorted({d["secretKey"] for d in deposits})
    daemon = make_daemon(keys=keys, config={"auth": {"open_operations": ["DEPOSIT"]}})
    daemon.init()
    daemon.start()
    for deposit in deposits:
        status, _, body = daemon.sign(deposit["request"]["deposit"]["pubkey"], deposit["request"])
        assert (status, json.loads(body).get("signature")) == (200, deposit["expected"]["signature"]), body


def test_T20_deposits_and_exits_are_denied_by_default(vectors, make_daemon):
    deposits = json.loads((vectors / "web3signer-api/web3signer-deposit/deposits.json").read_text())
    daemon = make_daemon(keys=[d["secretKey"] for d in deposits[:1]])
    daemon.init()
    daemon.start()
    status, _, body = daemon.sign(deposits[0]["request"]["deposit"]["pubkey"], deposits[0]["request"])
    assert status == 403, body
    assert b"signature\":" not in body
