"""docs/runbook-ceremony.md: the commands that are marked runnable run as written, at a terminal, against real signers."""
import itertools
import json
import os
import re
import shutil
import subprocess
import time

import interop
import messages
import pytest
from daemon import SOURCE_DIR, binary_with_switches, merge, wait_for
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import import_keys, sign
from terminal import at_terminal
from test_ceremony_kms import _kms  # noqa: F401  pylint: disable=unused-import

PAGE = (SOURCE_DIR / "docs/runbook-ceremony.md").read_text()
BLOCKS = dict(re.findall(r"<!-- runnable: (\w+) -->\n *```sh\n(.*?)```", PAGE, flags=re.S))
MADE = r"\n    ((?:[a-hjkmnp-z1-9]{4}-){4}[a-hjkmnp-z1-9]{4})\r?\n"
MINIMAL_EPOCH_SECONDS = 8 * 6
RUN = set()
_numbers = itertools.count()


class Scene:
    """Machines that share one directory: the signer's and the operators'. What operators remember, they remember here."""

    def __init__(self, workdir, make_daemon, environment=None, **config):
        self.workdir, self.passphrases = workdir, {}
        self.daemon = make_daemon(environment=environment, config=merge({"key_sources": {"sqlite": {"enabled": True}},
                                                "anti_slashing": {"new_key_policy": {"quarantine_epochs": 0}}}, config))  # fmt: skip
        self.daemon.unix = f"/tmp/cc-ceremony-{os.getpid()}-{next(_numbers)}.sock"
        self.daemon.config["server"]["unix_socket"] = self.daemon.unix
        self.daemon.write_config()
        self.daemon.init()
        (workdir / "bin").mkdir()
        (workdir / "bin/containment-chamber").symlink_to(binary_with_switches())
        (workdir / "config.yaml").symlink_to(self.daemon.config_path)
        (workdir / "identity.pub").symlink_to(self.daemon.data_dir / "identity.pub")

    def start(self):
        self.daemon.start(ready=False)
        wait_for("the status", self.state)

    def run(self, block, **environment):
        """The block as it stands, by bash at a terminal. NAME's questions are answered with what NAME knows."""
        RUN.add(block)
        name = environment.get("NAME", "")

        def remember(match, shown):
            self.passphrases[name] = re.findall(MADE, shown)[-1]
            return self.passphrases[name]

        answers = [(r"see the same one \(yes\)\? ", "yes"), (r"Approve this \(yes\)\? ", "yes"), (r"Type it: ", remember),
                   (r"Passphrase of \w+: ", lambda match, shown: self.passphrases[name])]  # fmt: skip
        env = {"PATH": f"{self.workdir}/bin:{os.environ['PATH']}", "SIGNER_URL": f"http://127.0.0.1:{getattr(self.daemon, 'http_port', 0)}",
               "TERM": "dumb", **environment}  # fmt: skip
        shown, code = at_terminal(["/bin/bash", "-euc", BLOCKS[block]], answers, cwd=self.workdir, environment=env)
        assert code == 0, f"{block}: {code}\n{shown}"
        return shown

    def command(self, *arguments):
        result = subprocess.run([str(binary_with_switches()), "operator", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def status(self):
        return json.loads(self.command("status", "-c", self.daemon.config_path))

    def state(self):
        return self.status()["state"]

    def operators(self, *names):
        for name in names:
            self.run("operator_key", NAME=name)

    def register(self, *names):
        fingerprints = set()
        for name in names:
            self.sent(f"{name}.registration.age")
            fingerprints.add(re.search(r"fingerprint of the set is ([0-9a-f]{64})", self.run("register", NAME=name)).group(1))
            assert not (self.workdir / f"{name}.token").exists()
            (self.workdir / f"{name}.registration.age").unlink()
        assert len(fingerprints) == 1

    def sent(self, name):
        """What --out wrote, on the machine of who it is for."""
        [found] = self.workdir.glob(f"*/{name}")
        found.rename(self.workdir / name)

    def unseal(self, *names):
        for name in names:
            self.run("unseal", NAME=name)
        assert self.state() == "unsealed"

    def signs(self, key, *epochs):
        wait_for("a signature", lambda: sign(self.daemon, key, *epochs) == 200)

    def restart(self):
        assert self.daemon.stop() == 0
        self.start()
        wait_for("sealed", lambda: self.state() == "sealed")


@pytest.fixture
def scene(workdir, make_daemon):
    return lambda **config: Scene(workdir, make_daemon, **config)


def first_ceremony(scene):
    one = scene(signer_state={"seal": "ceremony"})
    one.start()
    assert one.state() == "uninitialized"
    one.operators("alice", "bob", "carol")
    shown = one.run("first")
    assert "awaiting_registration" in shown and (one.workdir / "first/bob.registration.age").exists()
    one.register("alice", "bob", "carol")
    assert one.state() == "sealed"
    one.unseal("alice", "carol")
    assert import_keys(one.daemon, 1, path=KEYS_ROUTE) == ["imported"]
    one.signs(1, 1, 2)
    return one


def test_a_first_ceremony_a_restart_and_a_rehearsal(scene):
    one = first_ceremony(scene)
    one.restart()
    assert sign(one.daemon, 1, 2, 3) == 503
    assert "1 of 2" in one.run("unseal", NAME="bob")
    one.unseal("alice")
    one.signs(1, 2, 3)
    for name in ("alice", "bob"):
        one.run("rehearse", NAME=name)
    assert one.status()["seal"]["operators"]["rehearsed"] is True


@pytest.mark.long_form
def test_a_lost_operator(scene):
    one = first_ceremony(scene)
    old = dict(one.passphrases)
    one.operators("dave")
    assert "dave" in one.run("propose_quorum")
    for name in ("alice", "bob"):
        assert "dave" in one.run("approve", NAME=name)
    wait_for("tokens", lambda: one.status()["rotation"]["phase"] != "proposed")
    one.run("tokens")
    one.register("alice", "bob", "dave")
    wait_for("the new set", lambda: one.state() == "unsealed" and one.status()["seal"]["generation"] == 2)
    one.signs(1, 2, 3)
    one.restart()
    one.passphrases, new = old, one.passphrases
    result = subprocess.run([str(binary_with_switches()), "operator", "unseal", "--name", "carol", "--chamber-identity", one.workdir / "identity.pub",
                             "--signer-url", f"http://127.0.0.1:{one.daemon.http_port}", "--passphrase", "env:OLD"],
                            env={"OLD": old["carol"]}, capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    assert result.returncode == 3, result.stdout + result.stderr  # who has left opens nothing
    one.passphrases = new
    one.unseal("dave", "alice")
    one.signs(1, 3, 4)


@pytest.mark.long_form
def test_a_stale_proposal(scene):
    """The file of one that was cancelled, while another one is pending."""
    one = first_ceremony(scene)
    config = one.daemon.config_path
    one.run("propose_master")
    refused = subprocess.run([str(binary_with_switches()), "operator", "approve", "-c", config, "--proposal", one.workdir / "proposal.json", "--digest",
                              one.status()["rotation"]["digest"]], capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    assert refused.returncode == 3 and "operators approve this, each with --name" in refused.stderr, refused.stderr
    one.command("cancel", "-c", config)
    one.command("rotate", "master", "-c", config, "--out", one.workdir / "second.json")
    stale = json.loads((one.workdir / "proposal.json").read_text())["digest"]
    approve = [str(binary_with_switches()), "operator", "approve", "--name", "alice", "--chamber-identity", one.workdir / "identity.pub", "--signer-url",
               f"http://127.0.0.1:{one.daemon.http_port}", "--passphrase", "env:PASSPHRASE"]  # fmt: skip
    result = subprocess.run([*approve, "--proposal", one.workdir / "proposal.json", "--digest", stale], env={"PASSPHRASE": one.passphrases["alice"]},
                            capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    assert result.returncode == 3 and "not what is proposed now" in result.stderr and " of 2" not in result.stdout, result.stdout + result.stderr
    assert one.status()["rotation"]["approvals"] == {"have": 0, "needed": 2}
    result = subprocess.run(approve, env={"PASSPHRASE": one.passphrases["alice"]}, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 3 and "give --proposal FILE" in result.stderr, result.stderr


@pytest.mark.long_form
def test_a_suspected_leak(scene):
    one = first_ceremony(scene)
    one.run("propose_master")
    for name in ("bob", "carol"):
        one.run("approve", NAME=name)
    wait_for("the new master key", lambda: one.state() == "unsealed" and one.status()["seal"]["generation"] == 2)
    one.signs(1, 2, 3)
    one.restart()
    one.unseal("alice", "bob")  # with the passphrases that they have
    one.signs(1, 3, 4)


@pytest.mark.long_form
def test_a_clean_machine(scene, make_daemon):
    """A chamber that operators open: its backup is made while it signs, and opened by the same ones, with the key that they pin."""
    one = first_ceremony(scene)
    kept = {"BACKUP": str(one.workdir / "chamber.backup"), "CHAMBER_KEY": str(one.workdir / "kept.key")}
    shutil.copy(one.daemon.data_dir / "chamber.key", kept["CHAMBER_KEY"])
    shutil.copy(one.daemon.data_dir / "identity.pub", one.workdir / "pinned.pub")
    digest = re.search(r"^digest (0x[0-9a-f]{64})\r?$", one.run("backup", **kept), flags=re.M)[1]
    one.signs(1, 2, 3)  # the backup doesn't know it
    assert one.daemon.stop() == 0
    shutil.rmtree(one.daemon.data_dir)
    new = make_daemon(config=one.daemon.config)
    new.unix = one.daemon.unix
    new.put_data_in(new.data_dir)
    present = {"genesis_time": int(time.time()) - 397 * MINIMAL_EPOCH_SECONDS}  # until it is restored: then any epoch may be asked for
    new.config_path.write_text(json.dumps({**new.config, **present}))
    (one.workdir / "new.yaml").symlink_to(new.config_path)
    assert "sign no block up to" in one.run("restore", DIGEST=digest, **kept)
    (one.workdir / "config.yaml").unlink()
    (one.workdir / "identity.pub").unlink()
    (one.workdir / "pinned.pub").rename(one.workdir / "identity.pub")
    one.daemon = new
    new.write_config()
    one.start()
    wait_for("sealed", lambda: one.state() == "sealed")
    assert sign(new, 1, 410, 411) == 503
    one.unseal("bob", "carol")
    status, _, why = new.sign(interop.PUBKEYS[1], messages.attestation(410, 411))
    assert status == 503 and b"PAUSED" in why
    one.run("resume", ADMIN_SOCKET=str(new.admin_path))
    assert sign(new, 1, 2, 3) == sign(new, 1, 399, 400) == 412  # up to the epoch that was raised to
    one.signs(1, 410, 411)


@pytest.mark.long_form
def test_another_mode(scene):
    one = scene()
    one.start()
    assert one.state() == "not_configured"
    assert import_keys(one.daemon, 1, path=KEYS_ROUTE) == ["imported"]
    one.signs(1, 1, 2)
    one.operators("alice", "bob", "carol")
    assert one.daemon.stop() == 0
    one.daemon.config["signer_state"] = {"seal": "ceremony"}
    one.daemon.write_config()
    one.start()
    one.run("mode")
    one.register("alice", "bob", "carol")
    wait_for("the new mode", lambda: one.state() == "unsealed" and one.status()["seal"]["mode"] == "operators")
    one.signs(1, 2, 3)
    one.restart()
    assert sign(one.daemon, 1, 3, 4) == 503
    one.unseal("carol", "alice")
    one.signs(1, 3, 4)


@pytest.mark.long_form
def test_a_management_key_by_the_quorum(scene):
    one = first_ceremony(scene)
    one.run("root_make")
    for name in ("alice", "bob"):
        one.run("root_approve", NAME=name)
    assert "in place" in one.run("root_use")
    result = subprocess.run([str(binary_with_switches()), "auth", "policy", "list", "--signer-url", f"http://127.0.0.1:{one.daemon.http_port}",
                             "--auth-token", f"file:{one.workdir}/management.key"], capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    assert result.returncode == 0, result.stderr


@pytest.mark.long_form
def test_kms_keys_are_lost(scene, kms):
    """One of three, which is replaced; then two of three, when break-glass shares open the layer."""
    keys = {f"KEY_{n + 1}": arn for n, arn in enumerate(kms.create(4))}
    one = scene(environment=kms.environment(), signer_state={"seal": "ceremony", "kms": True})
    one.start()
    one.operators("alice", "bob", "carol", "safe-1", "safe-2")
    one.run("first_kms", **keys)
    one.register("alice", "bob", "carol")
    wait_for("the KMS layer", lambda: one.state() == "kms_unsealed")
    one.unseal("alice", "bob")
    assert import_keys(one.daemon, 1, path=KEYS_ROUTE) == ["imported"]
    one.signs(1, 1, 2)
    kms.disable(keys["KEY_3"])
    assert "2 of 3, new" in one.run("propose_kms", **keys)
    for name in ("bob", "carol"):
        one.run("approve", NAME=name)
    wait_for("the new set", lambda: one.state() == "unsealed" and one.status()["seal"]["generation"] == 2)
    assert one.daemon.stop() == 0  # the shares were in the answer of `tokens` alone
    one.start()
    wait_for("the KMS layer", lambda: one.state() == "kms_unsealed")
    one.unseal("alice", "carol")
    one.signs(1, 2, 3)


@pytest.mark.long_form
def test_break_glass(scene, kms):
    keys = {f"KEY_{n + 1}": arn for n, arn in enumerate(kms.create())}
    one = scene(environment=kms.environment(), signer_state={"seal": "ceremony", "kms": True})
    one.start()
    one.operators("alice", "bob", "carol", "safe-1", "safe-2")
    one.run("first_kms", **keys)
    one.register("alice", "bob", "carol")
    wait_for("the KMS layer", lambda: one.state() == "kms_unsealed")
    one.unseal("alice", "bob")
    assert import_keys(one.daemon, 1, path=KEYS_ROUTE) == ["imported"]
    kms.disable(keys["KEY_1"], keys["KEY_2"])
    one.restart()
    failed = [key["state"] for key in one.status()["seal"]["kms"]["keys"]]
    assert failed.count("failed") == 2 or wait_for("what failed", lambda: [k["state"] for k in one.status()["seal"]["kms"]["keys"]].count("failed") == 2)
    for number in ("1", "2"):
        one.sent(f"break-glass-{number}.age")
        one.run("break_glass", N=number)
    assert one.state() == "kms_unsealed"
    one.unseal("bob", "carol")
    one.signs(1, 1, 2)


def test_a_first_ceremony_with_kms_alone_and_the_owner_approves(scene, kms):
    arns = kms.create(4)
    keys = {f"KEY_{n + 1}": arn for n, arn in enumerate(arns)}
    one = scene(environment=kms.environment(), signer_state={"seal": "ceremony", "kms": True, "allowed_kms_key_arns": arns})
    one.start()
    one.operators("safe-1", "safe-2")
    assert "state: unsealed" in one.run("first_kms_only", **keys)
    assert len(list(one.workdir.glob("first/break-glass-*.age"))) == 2
    assert one.state() == "unsealed"
    assert import_keys(one.daemon, 1, path=KEYS_ROUTE) == ["imported"]
    one.signs(1, 1, 2)
    one.run("propose_kms", **keys)
    assert keys["KEY_4"] in one.run("approve_owner")
    wait_for("the new set", lambda: one.state() == "unsealed" and one.status()["seal"]["generation"] == 2)
    kms.disable(keys["KEY_3"], keys["KEY_1"], keys["KEY_1"])
    kms.enable(keys["KEY_1"])
    assert one.daemon.stop() == 0
    one.start()
    wait_for("the chamber", lambda: one.state() == "unsealed")
    one.signs(1, 2, 3)


@pytest.mark.long_form
def test_every_runnable_block_was_run(request):
    """Last of this file: only where all of it ran."""
    if len([item for item in request.session.items if item.fspath == request.node.fspath]) < 10:
        pytest.skip("left out: not all tests of this file run")
    assert RUN == set(BLOCKS)
