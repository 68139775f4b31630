"""A YubiKey as an operator's factor, against a real signer: its challenge rolls, and what was answered once opens nothing again."""
import subprocess

import pytest
from daemon import binary_with_switches
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import import_keys
from test_runbook_ceremony import Scene
from yubikey import YubiKey


def give(scene, verb, *more, name="alice"):
    return subprocess.run([str(binary_with_switches()), "operator", verb, "--name", name, "--chamber-identity", scene.workdir / "identity.pub",
                           "--signer-url", f"http://127.0.0.1:{scene.daemon.http_port}", *map(str, more)],
                          capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL)  # fmt: skip


def begin(workdir, make_daemon):
    """A chamber of one operator, who holds a YubiKey and has registered."""
    one = Scene(workdir, make_daemon, signer_state={"seal": "ceremony"})
    one.start()
    one.operators("alice")
    setup = one.command("setup-token", "-c", one.daemon.config_path).strip()
    one.command("init", "-c", one.daemon.config_path, "--setup-token", f"file:{setup}", "--mode", "operators", "--operator-threshold", "1",
                "--operator", f"alice=file:{workdir}/alice.pub", "--out", workdir)  # fmt: skip
    subprocess.run(["age", "-d", "-i", workdir / "alice.key", "-o", workdir / "token", workdir / "alice.registration.age"], check=True)
    key = YubiKey(workdir / "k.sock")
    challenge = one.status()["rotation"]["digest"]
    result = give(one, "register", "--registration-token", f"file:{workdir}/token", "--factor", "yubikey", "--device", key.path, "--fingerprint", challenge)
    assert result.returncode == 0, result.stderr
    assert one.state() == "sealed"
    return one, key


def test_T15_a_challenge_rolls_at_each_unsealing_and_at_nothing_else(workdir, make_daemon):
    one, key = begin(workdir, make_daemon)
    asked = [key.challenges.pop()]
    for _ in range(3):
        result = give(one, "unseal", "--device", key.path)
        assert result.returncode == 0 and one.state() == "unsealed", result.stderr
        present, following = key.challenges
        assert present == asked[-1] and following not in asked
        asked.append(following)
        key.challenges.clear()
        result = give(one, "rehearse", "--device", key.path)
        assert result.returncode == 0 and key.challenges == [following], result.stderr
        key.challenges.clear()
        one.restart()
    key.close()


def test_another_key_opens_nothing_and_the_right_one_still_does(workdir, make_daemon):
    one, key = begin(workdir, make_daemon)
    stranger = YubiKey(workdir / "s.sock", secret=b"another secret of 20")
    result = give(one, "unseal", "--device", stranger.path)
    assert result.returncode == 3 and one.state() == "sealed", result.stderr
    assert give(one, "unseal", "--device", key.path).returncode == 0
    assert import_keys(one.daemon, 1, path=KEYS_ROUTE) == ["imported"]
    one.signs(1, 1, 2)
    for each in (key, stranger):
        each.close()
