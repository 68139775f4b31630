"""Both captures of a real validator client, replayed in order against the full signer: every status as expected with
slashing protection, every signature equal."""
import gzip
import json

import pytest

import interop

RUNS = ["v1.5.1-npm_minimal_phase0-capella", "v1.22_minimal_deneb-electra"]


@pytest.mark.parametrize("run", RUNS)
def test_capture_replays_in_order(run, vectors, make_daemon):
    folder = vectors / "lodestar-capture" / run
    with gzip.open(folder / "_all.jsonl.gz", "rt") as lines:
        requests = [json.loads(line) for line in lines]
    roots = {json.loads(r["body"])["fork_info"]["genesis_validators_root"] for r in requests if "fork_info" in r["body"]}
    daemon = make_daemon(
        network=folder / "_config.yaml",
        keys=interop.SECRETS[:8],
        config={"genesis_validators_root": roots.pop(), "auth": {"open_operations": ["all"]}},
    )
    assert not roots
    daemon.init()
    daemon.start()
    connection = daemon.connect()
    faults, signatures = [], 0
    for request in requests:
        headers = {"Content-Type": "application/json"}
        status, _, body = connection.request(request["method"], request["url"], request["body"].encode() or None, headers)
        expected = request.get("expectedStatusWithSlashingProtection")
        if expected is None:  # a key list; the stub answered 404 to `//api`, which real clients send and we accept
            if status != 200 or sorted(json.loads(body)) != sorted(interop.PUBKEYS[:8]):
                faults.append(f"{request['n']} {request['url']}: {status} {body[:200]!r}")
            continue
        if status != expected or (expected == 200 and json.loads(body)["signature"] != request["signature"]):
            faults.append(f"{request['n']} {request['body'][:120]}: {status} {body[:200]!r}")
        signatures += status == 200
    assert not faults, f"{len(faults)} of {len(requests)}:\n" + "\n".join(faults[:20])
    assert signatures > 4000
    assert daemon.stop() == 0
