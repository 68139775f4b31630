"""Whose credentials an enclave works with: its parent hands them out, and the measured configuration says which account they are of."""
import base64
import pathlib
import re
import sys

import pytest

import interop
import messages
from attested import Attested
from daemon import wait_for
from key_routes import call as ask
from test_ceremony_kms import Mock

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import aws as aws_module  # noqa: E402  pylint: disable=wrong-import-position
import kms as kms_module  # noqa: E402  pylint: disable=wrong-import-position

pytestmark = pytest.mark.skipif(bool(aws_module.missing()), reason="left out: " + aws_module.missing())

OURS, THEIRS = "123456789012", "999999999999"  # the first: moto's own


@pytest.fixture(name="aws", scope="module")
def the_aws():
    with aws_module.Aws() as aws:
        yield aws


def enclave_of(make_daemon, aws, name, account=OURS):
    """All stores in one table; credentials from the metadata service, as an enclave has them."""
    table = f"account-{name}"
    environment = {k: v for k, v in aws.environment().items()
                   if k not in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_EC2_METADATA_DISABLED")}
    environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = aws.endpoint
    enclave = Attested(make_daemon, environment=environment, config={
        "tee": {"aws_account": account},
        "signer_state": {"backend": "dynamodb", "table": table},
        "anti_slashing": {"backend": "dynamodb", "table": table, "new_key_policy": "allow"},
        "key_sources": {"dynamodb": {"table": table}}})
    enclave.daemon.config["tee"] = {"platform": "nitro", "device": enclave.device.path, "aws_account": account}
    enclave.daemon.unix = f"{enclave.folder.name}/signer"
    enclave.daemon.config["server"]["unix_socket"] = enclave.daemon.unix
    enclave.daemon.write_config()
    return enclave


def sign(enclave, *epochs):
    return ask(enclave.daemon, "POST", f"/api/v1/eth2/sign/{interop.PUBKEYS[0]}", messages.attestation(*epochs),
               headers={"Accept": "application/json"})[0]


def alarm(daemon):
    return re.search(r"(?m)^containment_aws_account_wrong (\d)$", daemon.metrics()).group(1)


def given_by(aws, key, account):
    """What the metadata service hands out from now on."""
    aws.tell(f"give {key} secret token 3600")
    aws.tell(f"account {key} {account}")


def test_T11_credentials_of_another_account_start_nothing(make_daemon, aws):
    given_by(aws, "ASIAOURS", OURS)
    with enclave_of(make_daemon, aws, "start") as enclave:
        daemon = enclave.daemon
        given_by(aws, "ASIATHEIRS", THEIRS)
        refused = daemon.command("init", "-c", daemon.config_path, check=False)
        assert refused.returncode != 0 and "ANOTHER ACCOUNT" in refused.stdout + refused.stderr
        assert not [t for _, t, _ in aws.touched() if t and t.startswith("account-start")]  # nobody was asked with them
        given_by(aws, "ASIAOURS", OURS)
        daemon.init()
        given_by(aws, "ASIATHEIRS", THEIRS)
        before = len(aws.touched())
        daemon.start(ready=False)
        wait_for("the alarm", lambda: alarm(daemon) == "1")
        assert daemon.status_of("/upcheck") == 200 and daemon.status_of("/readyz") == 503 and sign(enclave, 1, 2) == 503
        assert len(aws.touched()) == before
        assert THEIRS in daemon.log_text()
        given_by(aws, "ASIAOURS", OURS)
        daemon.wait_ready()
        assert sign(enclave, 1, 2) == 200 and alarm(daemon) == "0"
        assert daemon.stop() == 0


def test_T11_a_table_of_another_account_is_not_the_history(make_daemon, aws):
    """STS says that it is the account of the configuration; the table's own ARN doesn't."""
    given_by(aws, "ASIAOURS", OURS)
    with enclave_of(make_daemon, aws, "table") as enclave:
        enclave.daemon.init()
        enclave.daemon.config["tee"]["aws_account"] = THEIRS
        enclave.daemon.write_config()
        given_by(aws, "ASIAOURS", THEIRS)
        refused = enclave.daemon.command("server", "-c", enclave.daemon.config_path, check=False)
        output = refused.stdout + refused.stderr
        assert refused.returncode != 0 and "IDENTITY" in output and "the account of tee.aws_account" in output


# --- credentials for the tables by attestation -----------------------------------------------------------------------------------

IMAGE, OTHER = bytes([0x1A]) * 48, bytes([0x2B]) * 48
POLICIES = [f"deploy/iam/{store}-{when}.json" for store in ("state", "history", "keys") for when in ("run", "init")]
NOT_GIVEN = "does not give a secret of the configuration"


class Released:
    """The tables are a user's, whose key KMS gives to IMAGE alone; the role, which the parent has as well, may use KMS."""

    def __init__(self, make_daemon, aws, kms):
        self.aws, self.kms, self.arn = aws, kms, Mock(kms).create(1)[0]
        role = aws.user("role")
        tables = aws.user("tables", *POLICIES)
        self.key, self.secret = tables["AWS_ACCESS_KEY_ID"], tables["AWS_SECRET_ACCESS_KEY"]
        kms.tell(f"principal {role['AWS_ACCESS_KEY_ID']} {kms_module.ROLE} {role['AWS_SECRET_ACCESS_KEY']}")
        kms.tell(f"resource {self.arn} deploy/enclave/kms-password-policy.json ADMIN_ARN=arn:aws:iam::111122223333:user/admin "
                 f"SIGNER_ARN={kms_module.ROLE} PCR0={IMAGE.hex()}")
        self.enclave = enclave_of(make_daemon, aws, "released")
        self.daemon = self.enclave.daemon
        self.daemon.environment |= role | {"AWS_ENDPOINT_URL_KMS": kms.endpoint}
        text = base64.b64encode(f"{self.key} {self.secret}".encode()).decode()
        sealed = kms.tell(f"seal {self.arn} {text} app=containment-chamber purpose=dynamodb-credentials")
        self.use({"dynamodb_credentials_kms": f"{self.arn} {sealed}"})

    def __enter__(self):
        self.enclave.__enter__()
        self.kms.tell(f"root {self.enclave.device.root_path}")
        self.aws.tell("iam on")
        return self

    def __exit__(self, *arguments):
        self.aws.tell("iam off")
        self.enclave.__exit__(*arguments)

    def use(self, section):
        """The configuration's `aws` from now on."""
        self.daemon.config["aws"] = section
        self.daemon.write_config()

    def decrypts(self):
        return int(self.kms.tell(f"count Decrypt {self.arn}"))

    def refuses_init(self, *words):
        done = self.daemon.command("init", "-c", self.daemon.config_path, check=False)
        output = done.stdout + done.stderr
        assert done.returncode != 0 and all(word in output for word in words), output
        assert self.secret not in output


def test_T11_the_tables_are_the_images_alone(make_daemon, aws):
    with kms_module.Kms() as kms, Released(make_daemon, aws, kms) as case:
        daemon, device = case.daemon, case.enclave.device
        # Another image; a user of another account; the role alone.
        device.pcrs[0] = OTHER
        case.refuses_init(NOT_GIVEN, "aws.dynamodb_credentials_kms", case.arn, "AccessDeniedException")
        device.pcrs[0] = IMAGE
        aws.tell(f"account {case.key} {THEIRS}")
        case.refuses_init("ANOTHER ACCOUNT")
        aws.tell(f"account {case.key} {OURS}")
        assert not [t for _, t, _ in aws.touched() if t == "account-released"]
        released = daemon.config["aws"]
        case.use({})
        case.refuses_init("AWS does not let these credentials do that")

        case.use(released)
        daemon.init()
        daemon.start()
        assert sign(case.enclave, 1, 2) == 200
        # A key that AWS no longer knows is asked for anew.
        before = case.decrypts()
        aws.tell(f"forget {case.key}")
        wait_for("KMS is asked again", lambda: sign(case.enclave, 2, 3) == 503 and case.decrypts() > before)
        aws.tell(f"allow {case.key} {case.secret}")
        wait_for("the key is right again", lambda: sign(case.enclave, 2, 3) == 200)
        assert case.secret not in daemon.log_text()
        assert daemon.stop() == 0
