"""A real server whose history is in AWS: where its credentials come from while it runs, and what of them stays outside."""
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

import interop
import messages
from daemon import children_of, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import aws as aws_module  # noqa: E402  pylint: disable=wrong-import-position

KEY = interop.PUBKEYS[0]

pytestmark = pytest.mark.skipif(bool(aws_module.missing()), reason="left out: " + aws_module.missing())


@pytest.fixture(name="aws", scope="module")
def the_aws():
    with aws_module.Aws() as aws:
        yield aws


def made(make_daemon, request, environment, **aws_options):
    """A signer with a table of its own; the chamber is made."""
    table = "".join(c if c.isalnum() else "-" for c in request.node.name)[:60]
    daemon = make_daemon(keys=interop.SECRETS[:2], environment=environment,
                         config={"anti_slashing": {"backend": "dynamodb", "table": table}, "aws": aws_options})
    daemon.init()
    return daemon


def status(daemon, epoch):
    return daemon.sign(KEY, messages.attestation(epoch, epoch + 1))[0]


def goes_on(daemon, epoch, seconds=15.0):
    wait_for("a signature", lambda: status(daemon, epoch) == 200, seconds)


def readers_of(daemon):
    """Pids of the supervisor's children that are no rooms: they have no `room NAME` in their command line."""
    return [pid for pid, command in children_of(daemon.process.pid) if "room" not in command]


def write_private(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_process_gives_credentials_and_gives_others_later(make_daemon, request, workdir, aws):
    output = workdir / "credentials.json"

    def give(key):
        secret, token = "secret-of-" + key, "token/of+" + key
        aws.tell(f"allow {key} {secret} {token}")
        write_private(workdir / "new.json", json.dumps(
            {"Version": 1, "AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": token,
             "Expiration": "2999-01-01T00:00:00Z"})).rename(output)

    # Closed to the core, when it is a user of its own: what it needs of these comes from the reader.
    config = write_private(workdir / "aws-config",
                           f"[profile signer]\nregion = {aws_module.REGION}\ncredential_process = /bin/cat \"{output}\"\n")
    give("ASIAFIRST")
    environment = {"AWS_CONFIG_FILE": str(config), "AWS_ENDPOINT_URL": aws.endpoint,
                   "AWS_EC2_METADATA_DISABLED": "true", "AWS_ACCESS_KEY_ID": "AKIANOTUSED", "AWS_SECRET_ACCESS_KEY": "x"}
    daemon = made(make_daemon, request, environment, profile="signer")
    daemon.start()
    assert status(daemon, 1) == 200
    give("ASIASECOND")
    aws.tell("forget ASIAFIRST")
    goes_on(daemon, 2)
    assert daemon.stop() == 0
    log = daemon.log_text()
    for secret in ("secret-of-", "token/of+"):
        assert secret not in log


def test_the_rooms_have_no_aws_environment(make_daemon, request, aws):
    daemon = made(make_daemon, request, aws.environment())
    daemon.start()
    assert status(daemon, 1) == 200
    for name in ("front", "core", "vault"):
        assert pathlib.Path(f"/proc/{daemon.room(name)}/environ").read_bytes() == b""


def test_a_reader_that_ends_is_replaced_with_its_core(make_daemon, request, aws):
    daemon = made(make_daemon, request, aws.environment())
    daemon.start()
    assert status(daemon, 1) == 200
    core = daemon.room("core")
    readers = readers_of(daemon)
    assert len(readers) == 1
    os.kill(readers[0], signal.SIGKILL)
    wait_for("a new core", lambda: daemon.room("core") not in (None, core))
    daemon.wait_ready()
    goes_on(daemon, 2)
    # The core's end is the reader's too: one reader, for the core that lives.
    daemon.kill_room("core")
    daemon.wait_ready()
    goes_on(daemon, 3)
    wait_for("one reader", lambda: len(readers_of(daemon)) == 1)


def test_tls_with_authorities_of_the_operators_own(make_daemon, request, workdir, aws):
    pem, authority = workdir / "server.pem", workdir / "authority.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    pem, "-out", authority, "-days", "2", "-subj", "/CN=test", "-addext",
                    "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    pem.write_text(pem.read_text() + authority.read_text())
    authority.chmod(0o600)
    port = aws.tell(f"tls {pem}")
    environment = {**aws.environment(), "AWS_ENDPOINT_URL": f"https://localhost:{port}"}
    daemon = made(make_daemon, request, environment, ca_bundle=str(authority))
    daemon.start()
    assert status(daemon, 1) == 200
    assert daemon.stop() == 0
    # Without the bundle the certificate is nobody's.
    del daemon.config["aws"]["ca_bundle"]
    daemon.write_config()
    daemon.spawn()
    assert daemon.process.wait(60) != 0
    assert "certificate" in daemon.log_text()
