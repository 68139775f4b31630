"""An enclave's database: its password comes from KMS, to the measured image alone, and what its parent could read or be is refused."""
import base64
import json
import pathlib
import sys

import pytest

import interop
import messages
from attested import Attested
from daemon import wait_for
from key_routes import call as ask
from test_ceremony_kms import Mock
from test_postgres import SECRET, with_tls

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import kms as kms_module  # noqa: E402  pylint: disable=wrong-import-position
import postgres  # noqa: E402  pylint: disable=wrong-import-position

pytestmark = pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")

IMAGE, OTHER = bytes([0x1A]) * 48, bytes([0x2B]) * 48
CONTEXT = {"app": "containment-chamber", "purpose": "database-password"}


@pytest.fixture(name="server", scope="module")
def the_server():
    """A cluster that is reached by TLS and a password; `authority` and `url` are what a configuration has."""
    server = postgres.Postgres()
    try:
        server.port = with_tls(server)
        server.start()
        folder = pathlib.Path(server.socket) / "public"  # where the core's user can read it
        folder.mkdir(mode=0o755)
        authority = folder / "ca.crt"
        authority.write_bytes((server.data / "server.crt").read_bytes())
        server.verified = (f"postgresql://{postgres.NAME}@localhost:{server.port}/postgres?sslmode=verify-full"
                           f"&sslrootcert={authority}")
        server.sql(f"ALTER ROLE {postgres.NAME} PASSWORD '{SECRET}'")
        yield server
    finally:
        server.close()


@pytest.fixture(name="kms")
def the_kms():
    with kms_module.Kms() as server:
        yield server


class Case:
    """An enclave with its history in the database, and a KMS key that opens the password for IMAGE alone."""

    def __init__(self, make_daemon, server, kms, tmp_path):
        mock = Mock(kms)
        self.kms, self.arn = kms, mock.create(1)[0]
        self.enclave = Attested(make_daemon, environment=mock.environment(),
                                config={"anti_slashing": {"backend": "postgres", "url": server.verified, "new_key_policy": "allow"}})
        self.daemon = self.enclave.daemon
        self.daemon.unix = f"{self.enclave.folder.name}/signer"
        self.daemon.config["server"]["unix_socket"] = self.daemon.unix
        self.enclave.device.pcrs[0] = IMAGE
        self.use(SECRET)
        policy = tmp_path / "policy.json"
        policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": kms_module.ROLE}, "Action": "kms:Decrypt", "Resource": "*",
            "Condition": {"StringEquals": {f"kms:EncryptionContext:{k}": v for k, v in CONTEXT.items()},
                          "StringEqualsIgnoreCase": {"kms:RecipientAttestation:ImageSha384": IMAGE.hex()}}}]}))
        kms.tell(f"resource {self.arn} {policy}")

    def __enter__(self):
        self.enclave.__enter__()
        self.kms.tell(f"principal {kms_module.KEY_ID} {kms_module.ROLE}")
        self.kms.tell(f"root {self.enclave.device.root_path}")
        return self

    def __exit__(self, *arguments):
        self.enclave.__exit__(*arguments)

    def use(self, password, **context):
        """The configuration has this one from now on."""
        words = " ".join(f"{k}={v}" for k, v in {**CONTEXT, **context}.items())
        sealed = self.kms.tell(f"seal {self.arn} {base64.b64encode(password.encode()).decode()} {words}")
        self.daemon.config["anti_slashing"]["url_password_kms"] = f"{self.arn} {sealed}"
        self.daemon.write_config()

    def decrypts(self):
        return int(self.kms.tell(f"count Decrypt {self.arn}"))

    def sign(self, *epochs):
        return ask(self.daemon, "POST", f"/api/v1/eth2/sign/{interop.PUBKEYS[0]}", messages.attestation(*epochs),
                   headers={"Accept": "application/json"})[0]

    def has_no_database(self):
        """A start waits for it, and answers 503."""
        self.daemon.start(ready=False)
        wait_for("KMS has refused", lambda: "does not give a secret of the configuration" in self.daemon.log_text())
        assert self.daemon.status_of("/upcheck") == 200 and self.sign(1, 2) == 503
        assert self.daemon.stop() == 0


def hang_up(server):
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'containment-chamber'")


def test_T11_a_databases_password_is_the_images_alone(make_daemon, server, kms, tmp_path):
    with Case(make_daemon, server, kms, tmp_path) as case:
        daemon, device = case.daemon, case.enclave.device
        daemon.init()
        daemon.start()
        assert case.sign(1, 2) == 200
        asked = [d for d in device.documents if d["public_key"] and d["user_data"].startswith(b"containment-chamber/kms/v1\0")]
        assert len({d["public_key"] for d in asked}) == 2  # of init, and of the server
        before = case.decrypts()
        hang_up(server)
        wait_for("a new connection", lambda: case.sign(1, 2) == 200)
        assert case.decrypts() == before  # it is kept
        # One that the server refuses is asked for anew.
        server.sql(f"ALTER ROLE {postgres.NAME} PASSWORD 'another'")
        hang_up(server)
        wait_for("KMS is asked again", lambda: case.sign(2, 3) == 503 and case.decrypts() > before)
        server.sql(f"ALTER ROLE {postgres.NAME} PASSWORD '{SECRET}'")
        wait_for("the password is right again", lambda: case.sign(2, 3) == 200)
        assert SECRET not in daemon.log_text()
        assert daemon.stop() == 0
        device.pcrs[0] = OTHER
        case.has_no_database()
        device.pcrs[0] = IMAGE
        kms.tell("fault in-clear * -1")
        case.has_no_database()
        kms.tell("clear")
        case.use(SECRET, purpose="seal-share")  # a ciphertext for something else
        case.has_no_database()


def test_T11_what_a_parent_could_read_or_be_is_refused(make_daemon, server, kms, tmp_path):
    """On a network with real money; `config check` and a start say the same."""
    with Case(make_daemon, server, kms, tmp_path) as case:
        daemon = case.daemon
        daemon.config.update({"network": "mainnet"})
        daemon.config["tee"] |= {"aws_account": "111122223333", "root": {"kms_key_arns": [case.arn]}}
        daemon.config["auth"] = {"mode": "enforce", "owner_keys": ["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"]}
        daemon.config["signer_state"] = {"backend": "postgres", "url": server.verified}
        daemon.config.pop("genesis_validators_root", None)

        def refuses(*wanted):
            daemon.write_config()
            for words in (("config", "check"), ("init",)):
                done = daemon.command(*words, "-c", daemon.config_path, check=False)
                output = done.stdout + done.stderr
                assert done.returncode != 0 and all(word in output for word in wanted), output

        history = daemon.config["anti_slashing"]
        for url, word in ((server.verified.replace("verify-full", "require"), "sslmode=verify-full"),
                          (server.verified.partition("&sslrootcert")[0], "sslrootcert"),
                          (server.verified + f"&password={SECRET}", "no secret"),
                          (server.verified + "&passfile=/etc/pgpass", "no secret"),
                          (server.url(), "sslmode=verify-full")):
            history["url"] = url
            refuses("anti_slashing.url", word)
        history["url"] = server.verified
        daemon.config["aws"] = {"kms_endpoint_url": "http://kms.eu-central-1.amazonaws.com"}
        refuses("aws.kms_endpoint_url", "is not https://")
        daemon.config["aws"] = {}
        del daemon.config["tee"]["aws_account"]
        refuses("tee.aws_account", "names the account")
        daemon.config["tee"]["aws_account"] = "111122223333"
        daemon.write_config()
        done = daemon.command("config", "check", "-c", daemon.config_path, check=False)
        assert done.returncode == 0, done.stderr
