"""An import that brings slashing-protection data, while the master key changes between its steps."""
import sqlite3
import threading
from contextlib import closing

import interop
import pytest
from daemon import wait_for
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import call, chamber_list, delete_keys, import_body, import_keys, sign
from seal_client import owner_approves, state, status
from test_ceremony import local_first, rotate
from test_slashing_cli import interchange, validator

pytestmark = pytest.mark.points
MERGED_MS = 6000  # that the history takes over what came along, when the keystore is open and held, and not yet stored


def begin(make_daemon, *keys):
    """Of mode local, where the owner rotates alone; the next step of an import waits."""
    daemon = local_first(make_daemon, *keys)
    assert daemon.stop() == 0
    daemon.environment["CC_TEST_SLOW"] = f"IMPORT_MERGED:{MERGED_MS}"
    return daemon


def start(daemon):
    daemon.start(ready=False)
    wait_for("the status", lambda: state(daemon) == "not_configured")


def spoil_a_row(daemon):
    """It can't be sealed under another master key, so a rotation does not end. The number of its key."""
    with closing(sqlite3.connect(daemon.data_dir / "keys.sqlite")) as rows, rows:
        (bad,) = rows.execute("SELECT hex(min(pubkey)) FROM keys").fetchone()
        rows.execute("UPDATE keys SET ciphertext = zeroblob(length(ciphertext)) WHERE hex(pubkey) = ?", (bad,))
    (number,) = (n for n in (1, 2) if interop.PUBKEYS[n].lower().endswith(bad.lower()))
    return number


class Import(threading.Thread):
    """Of one key with its history, which goes to epoch 20."""

    def __init__(self, daemon, number):
        super().__init__(daemon=True)
        self.daemon_, self.number, self.said = daemon, number, None
        self.history = interchange(validator(interop.PUBKEYS[number], [], [(19, 20)]))
        self.start()

    def run(self):
        self.said = call(self.daemon_, "POST", KEYS_ROUTE, import_body(self.number, history=self.history))

    def end(self):
        self.join(120)
        assert not self.is_alive()
        code, answer = self.said
        assert code == 200, answer
        return answer["data"][0]


def wait_for_merge(daemon):
    """The keystore has been opened, sealed under the present master key, and held; its history is merged."""
    wait_for("the merge", lambda: "held up by a test" in daemon.log_text())


def test_T02_what_was_sealed_before_a_rotation_is_not_stored_in_it(make_daemon):
    daemon = begin(make_daemon, 1, 2)
    bad = spoil_a_row(daemon)
    start(daemon)
    coming = Import(daemon, 3)
    wait_for_merge(daemon)
    assert owner_approves(daemon, rotate(daemon, "master"))[0] == 200
    wait_for("the other row", lambda: 'sealed under the next master key","rows":1,"generation":2' in daemon.log_text())
    assert coming.is_alive(), "the rotation took longer than the test point"
    said = coming.end()
    assert said["status"] == "error" and "another change was faster" in said["message"]
    assert interop.PUBKEYS[3] not in chamber_list(daemon)[0]
    assert state(daemon) == "awaiting_rotation"
    assert delete_keys(daemon, bad, path=KEYS_ROUTE)[0] == ["deleted"]
    wait_for("the end", lambda: status(daemon)["seal"]["generation"] == 2 and state(daemon) == "not_configured", 60)
    comes_again(daemon)


def test_T02_what_was_sealed_before_a_rotation_is_not_stored_after_it(make_daemon):
    daemon = begin(make_daemon, 1)
    start(daemon)
    coming = Import(daemon, 3)
    wait_for_merge(daemon)
    assert owner_approves(daemon, rotate(daemon, "master"))[0] == 200
    wait_for("the end", lambda: status(daemon)["seal"]["generation"] == 2 and state(daemon) == "not_configured")
    assert coming.is_alive(), "the rotation took longer than the test point"
    assert coming.end()["status"] == "error"
    assert interop.PUBKEYS[3] not in chamber_list(daemon)[0]
    comes_again(daemon)


def comes_again(daemon):
    """With the history that was merged the first time."""
    assert import_keys(daemon, 3, path=KEYS_ROUTE) == ["imported"]
    wait_for("a signature", lambda: sign(daemon, 3, 20, 21) == 200)
    assert sign(daemon, 3, 18, 20) == 412
    with closing(sqlite3.connect(f"file:{daemon.data_dir}/keys.sqlite?mode=ro", uri=True)) as rows:
        assert {g for (g,) in rows.execute("SELECT generation FROM keys WHERE status != 3")} == {2}
