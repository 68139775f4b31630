"""Every vector of the generated matrix through the real program: signature equal; without the client's root; and with
one byte of it changed, refused."""
import copy
import json

import pytest

import parallel

NETWORKS = ["mainnet", "sepolia", "minimal"]
NOOP = {
    "anti_slashing": {"backend": "noop", "i_accept_slashing_risk": True},
    "auth": {"open_operations": ["all"]},
}


def load(vectors, network):
    """The matrix of one network."""
    return json.loads((vectors / f"web3signer-api/generated-matrix/{network}.json").read_text())


def changed(root):
    """`root` with its last byte changed."""
    return root[:-2] + f"{int(root[-2:], 16) ^ 1:02x}"


@pytest.mark.parametrize("network", NETWORKS)
def test_matrix_signs_equal_and_refuses_another_root(network, vectors, make_daemon):
    matrix = load(vectors, network)
    daemon = make_daemon(network=network, keys=[matrix["secretKey"]], config=NOOP)
    daemon.init()
    daemon.start()
    path = f"/api/v1/eth2/sign/{matrix['publicKey']}"

    def check(connection, vector):
        faults = []
        without = copy.deepcopy(vector["request"])
        without.pop("signingRoot")
        wrong = {**vector["request"], "signingRoot": changed(vector["expected"]["signingRoot"])}
        for what, request in (("as it is", vector["request"]), ("without root", without)):
            status, _, body = connection.request("POST", path, request, {"Accept": "application/json"})
            if status != 200 or json.loads(body)["signature"] != vector["expected"]["signature"]:
                faults.append(f"{vector['name']}, {what}: {status} {body[:300]!r}")
        status, _, body = connection.request("POST", path, wrong, {"Accept": "application/json"})
        if status != 400 or vector["expected"]["signature"].encode() in body:
            faults.append(f"{vector['name']}, another root: {status} {body[:300]!r}")
        return faults

    faults = [fault for found in parallel.each(daemon, matrix["vectors"], check) for fault in found]
    assert not faults, f"{len(faults)} of {3 * len(matrix['vectors'])}:\n" + "\n".join(faults[:20])
    assert len(matrix["vectors"]) > 300
    assert daemon.stop() == 0
