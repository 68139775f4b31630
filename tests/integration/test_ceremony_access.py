"""Who comes to a ceremony, and by what right: `operator unseal` at several real replicas, and a signer under the policies of deploy/iam alone."""
import pathlib
import subprocess
import sys

import pytest
from daemon import binary_with_switches, wait_for
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import import_keys, sign
from seal_client import CHAMBER, at_admin_socket, call, status
from shared_chamber import INTERVAL, NAMES, Database, Mock, begin, both_through, init_body, make_pair, people, sees
from test_ceremony import approve, make_daemon_of, rotate, signs, unseal
from test_ceremony_kms import Moto
from test_key_stores import Table, make

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import aws as aws_module  # noqa: E402  pylint: disable=wrong-import-position
import kms as kms_module  # noqa: E402  pylint: disable=wrong-import-position
import postgres  # noqa: E402  pylint: disable=wrong-import-position

DONE, FAILED, REFUSED = 0, 1, 3
PASSPHRASES = {"alice": "hawk velvet monsoon brittle cactus jumble orchid parade", "bob": "tundra pickle lantern mosaic drizzle walnut hermit saddle"}
RUN = [f"deploy/iam/{name}-run.json" for name in ("state", "history", "keys")]
INIT = [f"deploy/iam/{name}-init.json" for name in ("state", "history", "keys")]
OPEN, CEREMONY = "deploy/iam/kms-open.json", "deploy/iam/kms-ceremony.json"


# --- several replicas, one command ----------------------------------------------------------------------------------------------


class Desk:
    """Two operators at their own machines."""

    def __init__(self, folder, identity):
        self.folder, self.identity = folder, identity

    def secret(self, name, text):
        path = self.folder / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return f"file:{path}"

    def run(self, verb, name, urls, *more):
        signers = [word for url in urls for word in ("--signer-url", url)]
        words = [str(binary_with_switches()), "operator", verb, "--name", name, "--chamber-identity", self.identity, *signers, "--passphrase",
                 self.secret(f"{name}.passphrase", PASSPHRASES[name]), *more]  # fmt: skip
        return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL)

    def register(self, person, urls, made):
        token = self.secret(f"{person.name}.token", person.token_of(made["registration_tokens"]).hex())
        done = self.run("register", person.name, urls, "--registration-token", token, "--fingerprint", made["set_fingerprint"])
        assert done.returncode == DONE, done.stderr


@pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")
def test_T26_one_command_unseals_the_replicas_that_there_are(make_daemon, tmp_path):
    with postgres.Postgres() as server, kms_module.Kms() as kms:
        pair = one, two = make_pair(make_daemon, Database(server), Mock(kms))
        alice, bob = people(tmp_path, "alice", "bob")
        desk = Desk(tmp_path, one.data_dir / "identity.pub")
        urls = [f"unix:{each.unix}" for each in pair]
        code, made = call(one, "POST", f"{CHAMBER}/init", init_body(one, "operators", [alice, bob]))
        assert code == 200, made
        desk.register(alice, urls[:1], made)
        sees(two, "awaiting_registration")
        wait_for("her registration", lambda: status(two)["rotation"]["pending"] == ["bob"], INTERVAL)
        desk.register(bob, urls[1:], made)
        for each in pair:
            sees(each, "sealed")
        done = desk.run("unseal", "alice", urls)
        assert done.returncode == DONE and done.stdout.count("sealed, 1 of 2") == 2, done.stderr
        assert two.stop() == 0
        done = desk.run("unseal", "bob", [urls[1], urls[0]])  # the first of them does not answer
        assert done.returncode == FAILED and urls[1] in done.stderr and f"{urls[0]}: unsealed, 2 of 2" in done.stdout, done.stderr + done.stdout
        begin(two, "sealed")  # what alice had given it is gone
        done = desk.run("unseal", "alice", urls)
        assert done.returncode == DONE and f"{urls[0]}: unsealed already" in done.stdout and f"{urls[1]}: sealed, 1 of 2" in done.stdout, done.stderr
        done = desk.run("unseal", "bob", urls)
        assert done.returncode == DONE, done.stderr
        sees(two, "unsealed")
        assert import_keys(one, 1, path=KEYS_ROUTE) == ["imported"]
        signs(two, 1)
        assert one.stop() == 0 and two.stop() == 0


# --- policies ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(name="operators")
def the_operators(tmp_path):
    return people(tmp_path, *NAMES)


def make_unsealed(daemon, operators, arns):
    code, made = call(daemon, "POST", f"{CHAMBER}/init", init_body(daemon, "quorum", operators, arns))
    assert code == 200, made
    for operator in operators:
        assert operator.register(daemon, operator.token_of(made["registration_tokens"]), made["set_fingerprint"])[0] == 200
    sees(daemon, "kms_unsealed")
    unseal(daemon, *operators[:2])
    assert import_keys(daemon, 1, path=KEYS_ROUTE) == ["imported"]
    signs(daemon, 1)


def rotates_in_vain(daemon, operators, arns):
    """Approved, and KMS does not let the signer encrypt: the quorum takes it back, and all is as before."""
    digest = rotate(daemon, "kms", kms_key_arns=arns, kms_threshold=2)
    approve(daemon, digest, *operators[1:])
    wait_for("the try", lambda: "could not be made: trying again" in daemon.log_text())
    assert "AccessDenied" in daemon.log_text() and status(daemon)["rotation"]["phase"] == "proposed"
    approve(daemon, status(daemon)["rotation"]["cancel_digest"], *operators[1:])
    assert "rotation" not in status(daemon) and sign(daemon, 1, 10, 11) == 200


@pytest.mark.skipif(bool(aws_module.missing()), reason="left out: " + aws_module.missing())
def test_ceremonies_under_the_actions_of_the_policies(make_daemon, operators):
    """The emulator checks each signature, and asks its IAM whether this user may do this."""
    with aws_module.Aws() as aws:
        arns = Moto(aws).create()
        maker, ceremony, runner = aws.user("maker", *RUN, *INIT), aws.user("ceremony", *RUN, OPEN, CEREMONY), aws.user("runner", *RUN, OPEN)
        aws.tell("iam on")
        place = Table(aws)
        place.environment = maker
        daemon = make(make_daemon, place, config={"signer_state": {"seal": "ceremony", "kms": True}})
        daemon.init()
        daemon.environment = {**daemon.environment, **ceremony}
        begin(daemon, "uninitialized")
        make_unsealed(daemon, operators, arns)
        approve(daemon, rotate(daemon, "master"), *operators[1:])
        both_through([daemon], 2)
        # From now on it may open shares, and make none.
        assert daemon.stop() == 0
        daemon.environment = {**daemon.environment, **runner}
        begin(daemon, "kms_unsealed")
        unseal(daemon, *operators[1:])
        signs(daemon, 1, 3, 4)
        rotates_in_vain(daemon, operators, arns)
        assert daemon.stop() == 0 and aws.refused() == 0
        # Without the right to open them it waits, and names each key.
        daemon.environment = {**daemon.environment, **aws.user("blind", *RUN)}
        begin(daemon, "sealed")
        wait_for("the reason", lambda: {k.get("error") for k in status(daemon)["seal"]["kms"]["keys"]} == {"AWS_DENIED"})
        assert daemon.stop() == 0


def allow(kms, daemon, arns, *files, chamber=None):
    """These policies and no others, for the keys and the chamber that they name."""
    chamber = chamber or status(daemon)["chamber_id"]
    kms.tell(f"forget {kms_module.ROLE}")
    for file in files:
        for arn in arns:
            kms.tell(f"identity {kms_module.ROLE} {file} KEY_ARN={arn} CHAMBER_ID={chamber}")


def test_ceremonies_under_the_resources_and_conditions_of_the_policies(make_daemon, operators):
    """The mock puts policies of role and keys together as IAM does: which key, and whose encryption context."""
    with kms_module.Kms() as kms:
        mock = Mock(kms)
        arns, others = mock.create(), mock.create()

        def with_environment(**options):
            return make_daemon(environment=mock.environment(), **{k: v for k, v in options.items() if k != "environment"})

        daemon = make_daemon_of(with_environment, {"signer_state": {"seal": "ceremony", "kms": True}})
        begin(daemon, "uninitialized")
        for files, chamber in (((OPEN,), None), ((CEREMONY,), None), ((OPEN, CEREMONY), "00" * 32)):
            allow(kms, daemon, arns, *files, chamber=chamber)
            code, answer = call(daemon, "POST", f"{CHAMBER}/init", init_body(daemon, "quorum", operators, arns))
            assert code >= 400 and status(daemon)["state"] == "uninitialized", answer
        allow(kms, daemon, arns, OPEN, CEREMONY)
        code, answer = call(daemon, "POST", f"{CHAMBER}/init", init_body(daemon, "quorum", operators, others))
        assert code >= 400, answer  # keys that no policy names
        for arn in arns:
            chamber = status(daemon)["chamber_id"]
            kms.tell(f"resource {arn} deploy/iam/kms-key-policy.json CHAMBER_ID={chamber} SIGNER_ARN={kms_module.ROLE} ADMIN_ARN=arn:aws:iam::111122223333:role/admin")
        make_unsealed(daemon, operators, arns)
        assert daemon.stop() == 0
        kms.tell(f"forget {kms_module.ROLE}")
        for arn in arns:  # the role's policies alone decide again
            kms.tell(f"forget {arn}")
        begin(daemon, "sealed")
        wait_for("the reason", lambda: {k.get("error") for k in status(daemon)["seal"]["kms"]["keys"]} == {"AWS_DENIED"})
        allow(kms, daemon, arns, OPEN)
        sees(daemon, "kms_unsealed", 30)
        unseal(daemon, *operators[:2])
        rotates_in_vain(daemon, operators, arns)
        allow(kms, daemon, [*arns, *others], OPEN, CEREMONY)
        approve(daemon, rotate(daemon, "kms", kms_key_arns=others, kms_threshold=2), *operators[:2])
        both_through([daemon], 2)
        code, answer = at_admin_socket(daemon, "DELETE", f"{CHAMBER}/rotate", proof="cancel")
        assert code == 409, answer
        assert daemon.stop() == 0
