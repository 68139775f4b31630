"""The modes kms and quorum inside an enclave: KMS gives shares to an attested image alone, and only its vault can open them. The security module
is software with an authority of its own; KMS is a mock that checks documents with code of its own and holds to its keys' policies."""
import pathlib
import sys
import time

import pytest
import interop
import messages
from daemon import binary_with_switches, wait_for
from forms import FULL
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import import_keys
from key_routes import call as ask
from seal_client import Operator, call, init, state, CHAMBER
from test_ceremony import NAMES, make_daemon_of, unseal
from test_ceremony_kms import Mock, kms_states, make_quorum, restart

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import kms as kms_module  # noqa: E402  pylint: disable=wrong-import-position
import nsm_device  # noqa: E402  pylint: disable=wrong-import-position

IMAGE, OTHER = bytes([0x1A]) * 48, bytes([0x2B]) * 48
PURPOSE = b"containment-chamber/kms/v1\0"


class Enclave:
    """A security module, a KMS, and keys that only the image with PCR0 = IMAGE may decrypt with."""

    def __init__(self, folder, server, device):
        self.folder, self.server, self.device = folder, server, device
        self.mock = Mock(server)
        self.arns = self.mock.create()
        device.pcrs[0] = IMAGE
        server.tell(f"everything {kms_module.ROLE}")
        server.tell(f"root {device.root_path}")

    def create(self):
        return self.allow(IMAGE)

    def allow(self, *images, chamber=None):
        """These decrypt, by their PCR0, and no other image does: by the policy that is delivered, of the first start or of a chamber."""
        path = self.folder / "policy.json"
        path.write_text(kms_module.enclave_policy(*(image.hex() for image in images), chamber=chamber))
        for arn in self.arns:
            self.server.tell(f"resource {arn} {path}")
        return self.arns

    def begin(self, make_daemon):
        def with_environment(**options):
            return make_daemon(environment=self.mock.environment(), binary=binary_with_switches(),  # a release takes no socket for a device
                               **{k: v for k, v in options.items() if k != "environment"})

        daemon = make_daemon_of(with_environment, {"signer_state": {"seal": "ceremony", "kms": True, "allowed_kms_key_arns": self.arns},
                                                   "tls": {"mode": "atls", "listen_port": 0},
                                                   "tee": {"platform": "nitro", "device": self.device.path}})
        daemon.start(ready=False)
        wait_for("the status", lambda: state(daemon))
        return daemon


def signs(daemon, key, *epochs):
    """Over the Unix socket: the plain port has probes alone beside attested TLS."""
    path, body = f"/api/v1/eth2/sign/{interop.PUBKEYS[key]}", messages.attestation(*epochs)
    wait_for("a signature", lambda: ask(daemon, "POST", path, body, headers={"Accept": "application/json"})[0] == 200)


@pytest.fixture(name="enclave")
def _enclave(tmp_path):
    with kms_module.Kms() as server, nsm_device.NsmDevice(str(tmp_path / "nsm")) as device:
        yield Enclave(tmp_path, server, device)


@pytest.mark.parametrize("form", ["A", "B"])
def test_T04_kms_mode_from_nothing_to_signatures(make_daemon, enclave, form):
    enclave.server.tell(f"form {form}")
    daemon = enclave.begin(make_daemon)
    code, made = init(daemon, mode="kms", kms_key_arns=enclave.create(), kms_threshold=2)
    assert code == 200 and made["state"] == "unsealed", made
    assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]
    restart(daemon, "unsealed")  # by itself
    signs(daemon, 1, 1, 2)
    asked = [d for d in enclave.device.documents if d["public_key"]]
    assert len(asked) >= 6 and len({d["public_key"] for d in asked}) == 2  # a document for each call, a key for each life of the vault
    for one in asked:
        assert one["user_data"].startswith(PURPOSE) and len(one["user_data"]) == len(PURPOSE) + 64 and one["nonce"] is None


def test_T04_quorum_mode_needs_image_and_operators(make_daemon, enclave, tmp_path):
    operators = [Operator(tmp_path, name) for name in NAMES]
    daemon = enclave.begin(make_daemon)
    make_quorum(daemon, enclave.create(), operators)
    unseal(daemon, *operators[:2])
    assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]
    restart(daemon, "kms_unsealed")
    unseal(daemon, *operators[1:])
    signs(daemon, 1, 1, 2)
    assert [one.rehearse(daemon)[1].get("done") for one in operators[:2]] == [None, True]
    assert kms_states(daemon).count("failed") == 0


def closed(daemon, enclave):
    """A start finds no share; nothing is lost by it."""
    assert daemon.stop() == 0
    daemon.start(ready=False)
    wait_for("every key has refused", lambda: kms_states(daemon) == ["failed"] * 3)
    assert state(daemon) == "sealed"
    assert daemon.stop() == 0
    enclave.server.tell("clear")


def test_T04_whatever_is_not_the_image_gets_nothing(make_daemon, enclave):
    device = enclave.device
    daemon = enclave.begin(make_daemon)
    assert init(daemon, mode="kms", kms_key_arns=enclave.create(), kms_threshold=2)[0] == 200
    device.pcrs[0] = OTHER
    closed(daemon, enclave)
    device.pcrs[0] = bytes(48)  # in debug mode
    closed(daemon, enclave)
    device.pcrs[0] = IMAGE
    device.timestamp_ms = int(time.time() * 1000) - 600_000  # an old document
    closed(daemon, enclave)
    device.timestamp_ms = None
    own, device.authority = device.authority, nsm_device.Authority()  # somebody else's module
    leaf, device.leaf = device.leaf, device.authority.leaf()
    closed(daemon, enclave)
    device.authority, device.leaf = own, leaf
    device.signs_with = nsm_device.Authority().leaf().key  # a genuine certificate, another key
    closed(daemon, enclave)
    device.signs_with = None
    daemon.start(ready=False)
    wait_for("the image as it was", lambda: state(daemon) == "unsealed")


@pytest.mark.long_form
def test_T18_what_a_lying_kms_answers_opens_nothing(make_daemon, enclave):
    daemon = enclave.begin(make_daemon)
    assert init(daemon, mode="kms", kms_key_arns=enclave.create(), kms_threshold=2)[0] == 200
    for fault in ("to-nobody", "in-clear") + (("other-algorithm", "half") if FULL else ()):
        enclave.server.tell(f"fault {fault} * -1")
        closed(daemon, enclave)
    enclave.server.tell("clear")
    daemon.start(ready=False)
    wait_for("an honest one", lambda: state(daemon) == "unsealed")


def test_T11_kms_keys_of_the_parents_make_no_set(make_daemon, enclave):
    """KMS encrypts for every image: the measured configuration says which keys."""
    daemon = enclave.begin(make_daemon)
    arns = enclave.create()
    for theirs in enclave.mock.create(), arns[:2] + enclave.mock.create(1):
        code, answer = init(daemon, mode="kms", kms_key_arns=theirs, kms_threshold=2)
        assert code == 403, answer
        assert state(daemon) == "uninitialized"
    assert init(daemon, mode="kms", kms_key_arns=arns, kms_threshold=2)[0] == 200


@pytest.mark.long_form
def test_T04_keys_that_decrypt_for_nobody_make_no_set(make_daemon, enclave):
    """Encrypt is let through for every image: that the shares come back is seen before the set is stored."""
    daemon = enclave.begin(make_daemon)
    arns = enclave.create()
    enclave.device.pcrs[0] = OTHER
    code, answer = init(daemon, mode="kms", kms_key_arns=arns, kms_threshold=2)
    assert code >= 400, answer
    assert state(daemon) == "uninitialized"
    enclave.device.pcrs[0] = IMAGE
    enclave.server.tell("fault to-nobody * -1")
    code, answer = init(daemon, mode="kms", kms_key_arns=arns, kms_threshold=2)
    assert code >= 400, answer
    assert state(daemon) == "uninitialized"
    enclave.server.tell("clear")
    assert init(daemon, mode="kms", kms_key_arns=arns, kms_threshold=2)[0] == 200
    assert call(daemon, "GET", f"{CHAMBER}/status")[1]["state"] == "unsealed"
