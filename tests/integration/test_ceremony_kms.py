"""The modes kms and quorum, against an emulator of AWS: keys in three regions, and what happens without them."""
import base64
import json
import pathlib
import re
import subprocess
import sys
import time
import uuid

import pytest
from daemon import wait_for
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import import_keys, sign
from seal_client import CHAMBER, Operator, at_admin_socket, call, init, owner_approves, register_all, state, status
from test_ceremony import NAMES, approve, make_daemon_of, rotate, rotated, signs, tokens, unseal

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import aws as aws_module  # noqa: E402  pylint: disable=wrong-import-position
import kms as kms_module  # noqa: E402  pylint: disable=wrong-import-position

REGIONS = ("eu-central-1", "us-east-1", "ap-southeast-2")

CLIENT = """
import json, sys
import botocore.session
operation, arguments, regions, endpoint, key_id, secret = json.loads(sys.stdin.read())
answers = []
for region, argument in zip(regions, arguments):
    client = botocore.session.get_session().create_client("kms", region_name=region, endpoint_url=endpoint,
        aws_access_key_id=key_id, aws_secret_access_key=secret)
    answers.append(getattr(client, operation)(**argument))
print(json.dumps(answers, default=str))
"""


class Moto:
    """Keys in the emulator, by AWS's own client."""

    def __init__(self, aws):
        self.aws = aws

    def ask(self, operation, arguments, regions):
        text = json.dumps([operation, arguments, regions, self.aws.endpoint, aws_module.KEY_ID, aws_module.SECRET])
        done = subprocess.run([aws_module.moto_python(), "-c", CLIENT], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def create(self, count=3):
        regions = [REGIONS[n % 3] for n in range(count)]
        return [a["KeyMetadata"]["Arn"] for a in self.ask("create_key", [{}] * count, regions)]

    def environment(self):
        return self.aws.environment()


class Mock:
    """Keys in the project's own mock: they can be lost."""

    def __init__(self, server):
        self.server = server
        self.made = 0

    def create(self, count=3):
        arns = [f"arn:aws:kms:{REGIONS[n % 3]}:111122223333:key/{uuid.uuid4()}" for n in range(count)]
        for arn in arns:
            self.server.tell(f"key {arn}")
        return arns

    def disable(self, *arns):
        for arn in arns:
            self.server.tell(f"destroy {arn}")

    def open(self, arn, ciphertext):
        return base64.b64decode(self.server.tell(f"open {arn} {base64.b64encode(ciphertext).decode()}"))

    def enable(self, *arns):
        for arn in arns:
            self.server.tell(f"restore {arn}")

    def environment(self):
        return {"AWS_ACCESS_KEY_ID": kms_module.KEY_ID, "AWS_SECRET_ACCESS_KEY": kms_module.SECRET, "AWS_REGION": REGIONS[0],
                "AWS_ENDPOINT_URL": self.server.endpoint, "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}


@pytest.fixture(name="kms")
def _kms():
    with kms_module.Kms() as server:
        server.tell(f"everything {kms_module.ROLE}")
        yield Mock(server)


@pytest.fixture(name="operators")
def _operators(tmp_path):
    return [Operator(tmp_path, name) for name in NAMES]


def begin(make_daemon, kms, allowed=(), **config):
    def with_environment(**options):
        return make_daemon(environment=kms.environment(), **{k: v for k, v in options.items() if k != "environment"})

    settings = {"seal": "ceremony", "kms": True, **({"allowed_kms_key_arns": list(allowed)} if allowed else {})}
    daemon = make_daemon_of(with_environment, {"signer_state": settings, **config})
    daemon.start(ready=False)
    wait_for("the status", lambda: state(daemon))
    return daemon


def restart(daemon, expected):
    assert daemon.stop() == 0
    daemon.start(ready=False)
    wait_for(expected, lambda: state(daemon) == expected)


def kms_states(daemon):
    return [key["state"] for key in status(daemon)["seal"]["kms"]["keys"]]


@pytest.mark.skipif(bool(aws_module.missing()), reason="left out: " + aws_module.missing())
def test_kms_against_moto(make_daemon):
    """Keys of three regions, by AWS's own client; each request's signature is checked."""
    with aws_module.Aws() as aws:
        kms = Moto(aws)
        daemon = begin(make_daemon, kms)
        code, made = init(daemon, mode="kms", kms_key_arns=kms.create(), kms_threshold=2)
        assert code == 200 and made["state"] == "unsealed", made
        assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]
        signs(daemon, 1)
        restart(daemon, "unsealed")
        signs(daemon, 1, 2, 3)
        assert aws.refused() == 0


def test_P25_kms_from_nothing_to_signatures_with_lost_keys(make_daemon, kms):
    arns = kms.create()
    daemon = begin(make_daemon, kms)
    code, made = init(daemon, mode="kms", kms_key_arns=arns, kms_threshold=2)
    assert code == 200 and made["state"] == "unsealed" and made["registration_tokens"] == [], made
    assert kms_states(daemon) == ["opened"] * 3  # each was tried, there and back
    assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]
    signs(daemon, 1)
    restart(daemon, "unsealed")  # by itself
    signs(daemon, 1, 2, 3)
    kms.disable(arns[0])
    restart(daemon, "unsealed")
    assert kms_states(daemon) == ["failed", "opened", "opened"]
    signs(daemon, 1, 3, 4)
    kms.disable(arns[2])
    restart(daemon, "sealed")
    assert sign(daemon, 1, 4, 5) != 200
    wait_for("both tried", lambda: kms_states(daemon) == ["failed", "opened", "failed"])
    kms.enable(arns[0])
    wait_for("the next try", lambda: state(daemon) == "unsealed", 30)
    signs(daemon, 1, 4, 5)


def test_T01_kms_keys_are_rotated_by_the_owner_to_allowed_ones(make_daemon, kms):
    arns, more = kms.create(), kms.create(2)
    daemon = begin(make_daemon, kms, allowed=more)
    assert init(daemon, mode="kms", kms_key_arns=arns, kms_threshold=2)[0] == 200
    assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]
    code, answer = call(daemon, "POST", f"{CHAMBER}/rotate/kms", {"kms_key_arns": arns, "kms_threshold": 1})
    assert code == 403, answer  # these are not named in the configuration
    digest = rotate(daemon, "kms", kms_key_arns=more, kms_threshold=1)
    body = {"digest": digest}
    assert call(daemon, "POST", f"{CHAMBER}/rotate/approve", body)[0] == 403  # not at the admin socket
    assert at_admin_socket(daemon, "POST", f"{CHAMBER}/rotate/approve", body, "approve " + "00" * 32)[0] == 403
    assert at_admin_socket(daemon, "POST", f"{CHAMBER}/rotate/approve", body)[0] == 403
    assert owner_approves(daemon, digest)[0] == 200
    rotated(daemon, 2)
    assert kms_states(daemon) == ["opened"] * 2
    assert sign(daemon, 1, 1, 2) == 200
    kms.disable(*arns)  # the old ones are of no use any more
    kms.disable(more[0])
    restart(daemon, "unsealed")
    signs(daemon, 1, 2, 3)


def make_quorum(daemon, arns, operators, **more):
    described = [o.described() for o in operators]
    code, made = init(daemon, mode="quorum", kms_key_arns=arns, kms_threshold=2, operators=described, operator_threshold=2, **more)
    assert code == 200, made
    register_all(daemon, operators, made)
    wait_for("the KMS layer", lambda: state(daemon) == "kms_unsealed")
    return made


def test_quorum_registers_after_a_restart(make_daemon, kms, operators):
    """The vault that made the set is gone, and with it the wrapping key that the operators' shares lie under."""
    arns = kms.create()
    daemon = begin(make_daemon, kms)
    described = [o.described() for o in operators]
    code, made = init(daemon, mode="quorum", kms_key_arns=arns, kms_threshold=2, operators=described, operator_threshold=2)
    assert code == 200 and made["state"] == "awaiting_registration", made
    kms.disable(arns[1])
    restart(daemon, "awaiting_registration")
    wait_for("the staged set's KMS layer", lambda: "operators can register" in daemon.log_text())
    register_all(daemon, operators, tokens(daemon))
    wait_for("the first set", lambda: state(daemon) == "kms_unsealed")
    unseal(daemon, *operators[:2])


def rehearsed(daemon):
    """When the operators last showed that they can unseal."""
    return int(re.search(r"^containment_chamber_rehearsal_seconds (\d+)", daemon.metrics(), re.M)[1])


@pytest.mark.long_form
def test_quorum_and_every_rotation_of_it(make_daemon, kms, operators, tmp_path):
    arns, more = kms.create(), kms.create(2)
    daemon = begin(make_daemon, kms)
    make_quorum(daemon, arns, operators)
    unseal(daemon, *operators[:2])
    assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]
    signs(daemon, 1)
    restart(daemon, "kms_unsealed")
    assert sign(daemon, 1, 2, 3) != 200
    unseal(daemon, *operators[1:])
    signs(daemon, 1, 2, 3)
    wait_for("an unseal that is older than what comes", lambda: 0 < rehearsed(daemon) < int(time.time()))
    unsealed = rehearsed(daemon)
    code, answer = operators[0].rehearse(daemon)
    assert (code, answer["have"]) == (200, 1) and "done" not in answer
    code, answer = operators[2].rehearse(daemon)
    assert (code, answer.get("done")) == (200, True) and state(daemon) == "unsealed"
    wait_for("the rehearsal", lambda: rehearsed(daemon) > unsealed)
    assert abs(rehearsed(daemon) - time.time()) < 60
    kms.disable(arns[1], arns[2])
    assert [one.rehearse(daemon)[1].get("done") for one in operators[:2]] == [None, None]
    assert kms_states(daemon) == ["opened", "failed", "failed"]  # found in time
    kms.enable(arns[1], arns[2])
    # Other KMS keys: operators stay who they are.
    approve(daemon, rotate(daemon, "kms", kms_key_arns=more, kms_threshold=2), *operators[:2])
    rotated(daemon, 2)
    kms.disable(*arns)
    restart(daemon, "kms_unsealed")
    unseal(daemon, *operators[:2])
    # Other operators: KMS keys stay.
    new = [Operator(tmp_path, name) for name in ("dave", "erin")]
    approve(daemon, rotate(daemon, "quorum", operators=[o.described() for o in new], operator_threshold=2), *operators[1:])
    register_all(daemon, new, tokens(daemon))
    rotated(daemon, 3)
    approve(daemon, rotate(daemon, "master"), *new)
    rotated(daemon, 4)
    # Another mode, with the operators that there are.
    approve(daemon, rotate(daemon, "mode", mode="operators"), *new)
    rotated(daemon, 5)
    kms.disable(*more)
    restart(daemon, "sealed")
    unseal(daemon, *new)
    signs(daemon, 1, 3, 4)


def test_P25_break_glass_opens_what_kms_has_lost(make_daemon, kms, operators, tmp_path):
    arns = kms.create()
    keepers = [Operator(tmp_path, name) for name in ("safe-1", "safe-2")]
    daemon = begin(make_daemon, kms)
    made = make_quorum(daemon, arns, operators, break_glass={"threshold": 2, "recipients": [k.public_key for k in keepers]})
    unseal(daemon, *operators[:2])
    assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]
    shares = []
    for keeper, item in zip(keepers, made["break_glass"]):
        assert item["recipient"] == keeper.public_key
        text = keeper.decrypt(item["age"]).strip().split(":")
        assert text[0] == "containment-chamber-break-glass-v1" and text[1] == status(daemon)["chamber_id"]
        shares.append(bytes.fromhex(text[4]))
    kms.disable(*arns)
    restart(daemon, "sealed")
    glass = Operator.__new__(Operator)
    glass.name = "break-glass"
    glass.credential = bytes([shares[0][0] ^ 1]) + shares[0][1:]
    assert glass.give(daemon, "break_glass", "/break-glass")[0] == 403  # T18: a share that was changed
    for n, share in enumerate(shares):
        glass.credential = share
        code, answer = glass.give(daemon, "break_glass", "/break-glass")
        assert (code, answer["have"]) == (200, n + 1), answer
    assert state(daemon) == "kms_unsealed"
    unseal(daemon, *operators[1:])
    signs(daemon, 1)
