"""Auto-unseal: an image of an enclave that the operators have approved opens the chamber at its starts without them, and no other one does. The
security module is software; KMS is a mock that holds to its keys' policies, which name the image.
"""
import base64
import hashlib
import http.client
import json
import shutil
import sqlite3
import time

import pytest
from daemon import binary_with_switches, wait_for
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import import_keys
from seal_client import CHAMBER, Operator, call, init, state, status
from test_ceremony import NAMES, approve, make_daemon_of, make_operators_chamber, rotate, rotated, unseal
from test_ceremony_kms import Mock, make_quorum
from test_enclave_kms import IMAGE, OTHER, kms_module, nsm_device, signs

THIRD = bytes([0x3C]) * 48
FIRST = bytes([0x0F]) * 48  # in the order of the records
IMAGES = (IMAGE, OTHER, THIRD)


def decrypts(server, arn, body):
    """What KMS says to whoever has the role's credentials and asks for this, without an enclave: signed by Signature Version 4."""
    region = arn.split(":")[3]
    text, stamp = json.dumps(body).encode(), time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    scope = f"{stamp[:8]}/{region}/kms/aws4_request"
    host = server.endpoint.split("//")[1]
    listed = f"host:{host}\nx-amz-date:{stamp}\nx-amz-target:TrentService.Decrypt\n"
    names = "host;x-amz-date;x-amz-target"
    canonical = f"POST\n/\n\n{listed}\n{names}\n{hashlib.sha256(text).hexdigest()}"
    key = ("AWS4" + kms_module.SECRET).encode()
    for part in (stamp[:8], region, "kms", "aws4_request"):
        key = kms_module.digest(key, part)
    signature = kms_module.digest(key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}").hex()
    connection = http.client.HTTPConnection(host, timeout=20)
    try:
        connection.request("POST", "/", text, {"X-Amz-Date": stamp, "X-Amz-Target": "TrentService.Decrypt", "Authorization":
                           f"AWS4-HMAC-SHA256 Credential={kms_module.KEY_ID}/{scope}, SignedHeaders={names}, Signature={signature}"})
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


class Enclave:
    """A security module, and a KMS whose keys ask for an image: shares of a set are given to three images, an image's own shares to it alone."""

    def __init__(self, folder, server, device):
        self.folder, self.server, self.device = folder, server, device
        self.mock = Mock(server)
        self.arns, self.root = self.mock.create(), self.mock.create(2)
        device.pcrs[0] = IMAGE
        server.tell(f"everything {kms_module.ROLE}")
        server.tell(f"root {device.root_path}")
        path = folder / "policy.json"
        path.write_text(json.dumps({"Version": "2012-10-17", "Statement": self.statements()}))
        for arn in self.arns + self.root:
            server.tell(f"resource {arn} {path}")

    @staticmethod
    def statements():
        role = {"Effect": "Allow", "Principal": {"AWS": kms_module.ROLE}, "Resource": "*"}
        attested = "kms:RecipientAttestation:ImageSha384"
        yield_for = [{**role, "Action": "kms:Decrypt",
                      "Condition": {"StringEquals": {"kms:EncryptionContext:purpose": "auto-unseal", "kms:EncryptionContext:pcr0": one.hex()},
                                    "StringEqualsIgnoreCase": {attested: one.hex()}}} for one in IMAGES]
        return [{**role, "Action": "kms:Encrypt"},
                {**role, "Action": "kms:Decrypt", "Condition": {"StringEquals": {"kms:EncryptionContext:purpose": ["seal-share", "enclave-root"]},
                                                                "StringEqualsIgnoreCase": {attested: [one.hex() for one in IMAGES]}}},
                {**role, "Effect": "Deny", "Action": "kms:Decrypt", "Condition": {"StringNotEquals": {attested: [one.hex() for one in IMAGES]}}},
                *yield_for]

    def policy(self, *denied):
        """Of the keys of the enclave's root; `denied`: (action, image) of shares that it has from nobody, nor for anybody."""
        path = self.folder / "policy-of-root.json"
        denials = [{"Effect": "Deny", "Principal": {"AWS": kms_module.ROLE}, "Resource": "*", "Action": f"kms:{action}",
                    "Condition": {"StringEquals": {"kms:EncryptionContext:pcr0": image.hex()}}} for action, image in denied]
        path.write_text(json.dumps({"Version": "2012-10-17", "Statement": [*denials, *self.statements()]}))
        for arn in self.root:
            self.server.tell(f"resource {arn} {path}")

    def begin(self, make_daemon, config=None, **more):
        """`more` is of signer_state, `config` of the rest."""
        def with_environment(**options):
            made = make_daemon(environment=self.mock.environment(), binary=binary_with_switches(),
                               **{k: v for k, v in options.items() if k != "environment"})
            made.config["tee"]["root"]["certificate"] = str(made.path / "root.der")
            made.write_config()
            shutil.copyfile(self.device.root_path, made.path / "root.der")  # where the core's user reaches it
            return made

        signer_state = {"seal": "ceremony", "kms": True, "allowed_kms_key_arns": self.arns, "auto_unseal": True, **more}
        daemon = make_daemon_of(with_environment, {
            **(config or {}), "signer_state": signer_state, "tls": {"mode": "atls", "listen_port": 0},
            "tee": {"platform": "nitro", "device": self.device.path, "root": {
                "kms_key_arns": self.root, "threshold": 1, "images": [one.hex() for one in IMAGES]}}})
        daemon.start(ready=False)
        wait_for("the status", lambda: state(daemon))
        return daemon

    def start_as(self, daemon, image, expected):
        self.device.pcrs[0] = image
        daemon.start(ready=False)
        wait_for(expected, lambda: state(daemon) == expected)


@pytest.fixture(name="enclave")
def _enclave(tmp_path):
    with kms_module.Kms() as server, nsm_device.NsmDevice(str(tmp_path / "nsm")) as device:
        yield Enclave(tmp_path, server, device)


@pytest.fixture(name="operators")
def _operators(tmp_path):
    return [Operator(tmp_path, name) for name in NAMES]


def propose(daemon, image, expected=202, **more):
    code, answer = call(daemon, "POST", f"{CHAMBER}/auto-unseal", {"pcr0": image.hex(), **more})
    assert code == expected, answer
    return answer


def approved(daemon):
    return {one["pcr0"]: one["generation"] for one in status(daemon)["auto_unseal"]["approved"]}


def allow(daemon, image, *operators):
    answer = propose(daemon, image)
    approve(daemon, answer["digest"], *operators)
    wait_for("the image's record", lambda: image.hex() in approved(daemon))


def make_chamber(daemon, enclave, operators, mode="quorum"):
    if mode == "quorum":
        make_quorum(daemon, enclave.arns, operators)
    else:
        make_operators_chamber(daemon, operators)
    unseal(daemon, *operators[:2])
    assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]


def test_T25_an_approved_image_opens_the_chamber_and_no_other_does(make_daemon, enclave, operators):
    daemon = enclave.begin(make_daemon)
    make_chamber(daemon, enclave, operators)
    answer = propose(daemon, IMAGE)
    for one in operators[:2]:  # of something else
        assert one.approve(daemon, "ab" * 32)[1]["approves"] == "other"
    assert operators[0].approve(daemon, answer["digest"])[1]["approves"] == "image"
    assert not approved(daemon)  # one is no quorum
    assert daemon.stop() == 0
    enclave.start_as(daemon, IMAGE, "kms_unsealed")
    unseal(daemon, *operators[:2])
    allow(daemon, IMAGE, *operators[:2])
    assert daemon.stop() == 0
    enclave.start_as(daemon, IMAGE, "unsealed")  # nobody there
    signs(daemon, 1, 1, 2)
    daemon.kill_room("vault")
    wait_for("open again", lambda: daemon.alive() and state(daemon) == "unsealed")
    signs(daemon, 1, 2, 3)
    assert daemon.stop() == 0

    # Another image says which one is approved, and waits for people.
    enclave.start_as(daemon, OTHER, "kms_unsealed")
    wait_for("the reason", lambda: "operators must unseal: another image is approved, and not this one" in daemon.log_text())
    assert f'"image":"{OTHER.hex()}","approved":"{IMAGE.hex()}"' in daemon.log_text()
    shown = status(daemon)["auto_unseal"]
    assert shown["image"]["pcr0"] == OTHER.hex() and [one["own"] for one in shown["approved"]] == [False]
    unseal(daemon, *operators[1:])
    signs(daemon, 1, 3, 4)
    allow(daemon, THIRD, *operators[:2])  # the next image, before it runs: it can't be tried here
    assert daemon.stop() == 0
    enclave.start_as(daemon, THIRD, "unsealed")
    signs(daemon, 1, 4, 5)
    done = daemon.command("operator", "propose", "auto-unseal", "-c", daemon.config_path, "--pcr", f"0={THIRD.hex()}", "--remove")
    assert "Take it out of the KMS keys' policies" in done.stdout
    propose(daemon, THIRD, 404, remove=True)
    assert set(approved(daemon)) == {IMAGE.hex()}
    assert daemon.stop() == 0
    enclave.start_as(daemon, THIRD, "kms_unsealed")
    assert daemon.stop() == 0
    enclave.device.pcrs[0] = bytes(48)  # in debug mode: no measurement, no chamber
    done = daemon.command("server", "-c", daemon.config_path, check=False)
    assert done.returncode != 0 and "ENCLAVE_ROOT" in done.stdout + done.stderr


@pytest.mark.long_form
def test_T12_a_rotation_takes_the_approval_along_and_a_seal_takes_it_away(make_daemon, enclave, operators):
    daemon = enclave.begin(make_daemon)
    make_chamber(daemon, enclave, operators, "operators")
    allow(daemon, FIRST, *operators[:2])
    allow(daemon, IMAGE, *operators[:2])
    enclave.policy(("Encrypt", FIRST))
    approve(daemon, rotate(daemon, "master"), *operators[:2])
    rotated(daemon, 2)
    # One that can't be renewed keeps no other one back.
    wait_for("the approval of the next generation", lambda: approved(daemon) == {FIRST.hex(): 1, IMAGE.hex(): 2})
    assert daemon.stop() == 0
    enclave.start_as(daemon, IMAGE, "unsealed")
    signs(daemon, 1, 1, 2)
    propose(daemon, OTHER)
    assert call(daemon, "POST", f"{CHAMBER}/seal")[0] == 200
    wait_for("the latch", lambda: daemon.alive() and status(daemon).get("latched") and "auto_unseal" in status(daemon))
    assert status(daemon)["auto_unseal"]["approved"] == [] and "proposed" not in status(daemon)["auto_unseal"]
    assert daemon.stop() == 0
    enclave.start_as(daemon, IMAGE, "sealed")
    unseal(daemon, *operators[:2])  # takes the latch away
    signs(daemon, 1, 2, 3)
    assert daemon.stop() == 0
    enclave.start_as(daemon, IMAGE, "sealed")  # the approval has not come back with it
    wait_for("the reason", lambda: "operators must unseal: no image is approved" in daemon.log_text())
    assert state(daemon) == "sealed"


def approvals(daemon):
    return status(daemon)["auto_unseal"]["proposed"]["approvals"]["have"]


def restarted(daemon, room):
    daemon.kill_room(room)
    wait_for("open again", lambda: daemon.alive() and state(daemon) == "unsealed" and "auto_unseal" in status(daemon))


@pytest.mark.long_form
def test_T25_what_was_approved_and_not_stored_is_made_again_by_that_vault_alone(make_daemon, enclave, operators):
    def begin(image):
        enclave.policy(("Encrypt", image))
        seen = daemon.log_text().count("could not be made: trying again")
        answer = propose(daemon, image)
        approve(daemon, answer["digest"], *operators[:2])
        wait_for("a first try", lambda: daemon.log_text().count("could not be made: trying again") > seen)
        return answer["digest"]

    daemon = enclave.begin(make_daemon)
    make_chamber(daemon, enclave, operators, "operators")
    begin(IMAGE)
    restarted(daemon, "core")  # the vault has what it has made
    assert (approvals(daemon), approved(daemon)) == (2, {})
    enclave.policy()
    wait_for("the image's record", lambda: approved(daemon) == {IMAGE.hex(): 1})

    digest = begin(OTHER)
    restarted(daemon, "vault")
    enclave.policy()
    assert (approvals(daemon), approved(daemon)) == (0, {IMAGE.hex(): 1})
    approve(daemon, digest, *operators[:2])  # once more
    wait_for("the other image's record", lambda: approved(daemon) == {IMAGE.hex(): 1, OTHER.hex(): 1})

    # A rotation takes approvals along in one life of the vault.
    enclave.policy(("Encrypt", OTHER))
    approve(daemon, rotate(daemon, "master"), *operators[:2])
    rotated(daemon, 2)
    wait_for("its own approval", lambda: approved(daemon) == {IMAGE.hex(): 2, OTHER.hex(): 1})
    restarted(daemon, "vault")
    enclave.policy()
    wait_for("the reason", lambda: "approvals of images are not taken over to this master key here" in daemon.log_text())
    assert approved(daemon) == {IMAGE.hex(): 2, OTHER.hex(): 1}
    approve(daemon, propose(daemon, OTHER)["digest"], *operators[:2])
    wait_for("the other image's record", lambda: approved(daemon) == {IMAGE.hex(): 2, OTHER.hex(): 2})


def stored(daemon):
    with sqlite3.connect(daemon.data_dir / "state.sqlite") as db:
        return db.execute("SELECT name, bytes FROM records WHERE kind = 'auto'").fetchone()


def parse(record):
    """(threshold, [(ARN, ciphertext)]) of a record: docs/formats.md."""
    number = lambda at, size: int.from_bytes(record[at:at + size], "big")  # noqa: E731
    count, at, keys = number(172, 4), 176, []
    for _ in range(count):
        at += 32
        arn = record[at + 2:at + 2 + number(at, 2)]
        at += 2 + len(arn)
        blob = record[at + 2:at + 2 + number(at, 2)]
        at += 2 + len(blob)
        keys.append((arn.decode(), blob))
    assert len(record) == at + 156 + 32
    return number(168, 4), keys


@pytest.mark.long_form
def test_T25_the_record_is_worth_nothing_without_the_measurement(make_daemon, enclave, operators):
    daemon = enclave.begin(make_daemon)
    make_chamber(daemon, enclave, operators)
    chamber = status(daemon)["chamber_id"]
    allow(daemon, IMAGE, *operators[:2])
    assert daemon.stop() == 0
    name, record = stored(daemon)
    assert name == IMAGE.hex()[:48]
    threshold, keys = parse(record)
    assert threshold == 1 and [arn for arn, _ in keys] == enclave.root
    for index, (arn, blob) in enumerate(keys):
        context = {"app": "containment-chamber", "purpose": "auto-unseal", "chamber": chamber, "generation": "1", "index": str(index + 1), "count": "2",
                   "threshold": "1", "pcr0": IMAGE.hex()}
        asked = {"KeyId": arn, "CiphertextBlob": base64.b64encode(blob).decode(), "EncryptionContext": context}
        assert decrypts(enclave.server, arn, asked)["__type"].endswith("AccessDeniedException")  # the role, and all that the record says
        share = enclave.mock.open(arn, blob)
        assert len(share) == 33 and share[32] == index + 1
    assert enclave.server.tell("refused") == "0"  # each signature was right

    enclave.mock.disable(enclave.root[0])  # one of the two is enough
    enclave.start_as(daemon, IMAGE, "unsealed")
    assert daemon.stop() == 0
    enclave.policy(("Decrypt", IMAGE))
    enclave.start_as(daemon, IMAGE, "kms_unsealed")
    wait_for("the reason", lambda: "too few KMS keys have opened this image's shares" in daemon.log_text())
    enclave.policy()
    wait_for("open, as soon as it answers", lambda: state(daemon) == "unsealed")
    assert daemon.stop() == 0

    for changed in (record[:40] + bytes([record[40] ^ 1]) + record[41:], record[:-1]):  # the signed head says that this is not what was written
        with sqlite3.connect(daemon.data_dir / "state.sqlite") as db:
            db.execute("UPDATE records SET bytes = ? WHERE kind = 'auto'", (changed,))
        db.close()
        done = daemon.command("server", "-c", daemon.config_path, check=False)
        assert done.returncode != 0 and "TAMPERED" in done.stdout + done.stderr


def test_T25_where_no_operators_are_there_is_nothing_to_spare(make_daemon, enclave):
    daemon = enclave.begin(make_daemon)
    assert init(daemon, mode="kms", kms_key_arns=enclave.arns, kms_threshold=2)[0] == 200
    assert "opens without people anyway" in json.dumps(propose(daemon, IMAGE, 409))
    propose(daemon, bytes(48), 409)
    for body in ({}, {"pcr0": "ab"}, {"pcr0": IMAGE.hex(), "pcr8": 1}, {"pcr0": IMAGE.hex(), "more": True}, {"pcr0": IMAGE.hex(), "remove": False}):
        code, _ = call(daemon, "POST", f"{CHAMBER}/auto-unseal", body)
        assert code == 400, body
