"""Signing goes on during each kind of rotation: no request is refused for it, in no phase."""
import http.client
import itertools
import json
import threading

import interop
import messages
import pytest
from daemon import wait_for
from forms import some
from rotations import KINDS, Rotation, ROWS
from test_ceremony_kms import _kms  # noqa: F401  pylint: disable=unused-import

FILE = 0  # of the interop keys; the others are rows
PAUSE = 0.01  # between a client's rounds: the machine has other tests to run


class Client:
    """Signs without a pause: votes, blocks and reveals of keys of both kinds, on connections that stay."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.refused = []
        self.signed = [0, 0, 0]  # by thread
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(n, key)) for n, key in enumerate((FILE, *ROWS))]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def _run(self, number, key):
        connection = self.daemon.connect(timeout=10)
        for n in itertools.count(100):
            if self.ending.wait(PAUSE):
                break
            for body in (messages.attestation(n - 1, n), messages.block(n), messages.randao(n)):
                try:
                    code, _, answer = connection.request("POST", f"/api/v1/eth2/sign/{interop.PUBKEYS[key]}", body)
                except (OSError, http.client.HTTPException) as fault:
                    code, answer = None, repr(fault)
                if code == 200 and json.loads(answer)["signature"]:
                    self.signed[number] += 1
                else:
                    self.refused.append((key, body["type"], n, code, answer))
        connection.close()

    def goes_on(self, what, number=9):
        """Waits for so many more signatures of each key."""
        targets = [n + number for n in self.signed]
        wait_for(f"signatures while {what}", lambda: self.refused or all(n >= t for n, t in zip(self.signed, targets)), 60)
        assert not self.refused, (what, self.refused[:3])


def phase(rotation):
    return rotation.status().get("rotation", {}).get("phase")


@pytest.mark.points
@pytest.mark.parametrize("kind", some(KINDS, 2))
def test_signing_goes_on_during_a_rotation(make_daemon, kms, tmp_path, kind):
    rotation = Rotation(make_daemon, kms, tmp_path, kind)
    rotation.daemon.add_raw_key(interop.SECRETS[FILE], "file")
    rotation.begin()
    rotation.daemon.environment["CC_TEST_SLOW"] = "SEAL_ROWS:1000"  # rows are sealed anew in an instant else
    rotation.restart()
    rotation.signs()
    rotation.daemon.wait_ready()
    with Client(rotation.daemon) as client:
        client.goes_on("nothing happens")
        digest = rotation.propose()
        client.goes_on("a set is proposed")
        if "kms" in rotation.kind.new:
            kms.server.tell("fault delay * -1 500")  # KMS takes its time
        rotation.approve(digest)
        kms.server.tell("clear")
        client.goes_on("it is staged")
        if rotation.kind.registers:
            assert phase(rotation) == "staged"
            for operator in rotation.new:
                rotation.register_one(operator)
                client.goes_on("operators register")
        wait_for("the rows' turn", lambda: phase(rotation) in ("rewriting", None))
        client.goes_on("rows are sealed anew")
        wait_for("the end", rotation.is_over)
        client.goes_on("the new set is in force")
        rotation.daemon.wait_ready()
    assert not client.refused, client.refused[:3]
    rotation.epoch = 1000000  # beyond what the client has signed
    rotation.check_end()
