"""C3: passwords and keystores' secrets that came by the key routes, searched for in all rooms and in all that was written."""
import http.client
import json
import os
import secrets
import socket

import interop
import keystores
import memory
import pytest
from daemon import children_of, wait_for
from key_routes import CHAMBER, MANAGER, call, delete_keys, sign, start
from test_slashing_cli import interchange, validator
from test_slashing_live import UnixConnection

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="left out: reading another process needs root")
KEYS = interop.PUBKEYS
SECRETS = [bytes.fromhex(secret[2:]) for secret in interop.SECRETS[:8]]


def canary():
    """32 characters that are nowhere else."""
    return "canary" + secrets.token_hex(13)


def text_of(number, password):
    return json.dumps(keystores.make(SECRETS[number], KEYS[number], password, kdf="scrypt", cost=1024))


def use_everything(daemon):
    """Imports good and bad, deletes, refusals, by both APIs, on connections that end and on one that stays; every password."""
    passwords = [canary() for _ in range(8)]
    history = json.dumps(interchange(validator(KEYS[1], [5], [(1, 2)])))
    good = {"keystores": [text_of(n, passwords[n]) for n in (1, 2)], "passwords": [passwords[1], passwords[2]], "slashing_protection": history}
    code, answer = call(daemon, "POST", MANAGER, good)
    assert (code, [item["status"] for item in answer["data"]]) == (200, ["imported"] * 2), answer
    wrong = {"keystores": [text_of(3, "another"), "{}"], "passwords": [passwords[3], passwords[4]]}
    code, answer = call(daemon, "POST", CHAMBER, wrong)
    assert (code, [item["status"] for item in answer["data"]]) == (200, ["error"] * 2), answer
    for body in (
        json.dumps({"keystores": [text_of(5, passwords[5])], "passwords": [passwords[5]], "slashing_protection": "{"}),
        json.dumps({"keystores": [], "passwords": [passwords[5]]}),
        '{"passwords":["' + passwords[5] + '"],',
    ):
        assert call(daemon, "POST", MANAGER, body)[0] == 400
    kept = UnixConnection(daemon.unix)
    body = json.dumps({"keystores": [text_of(6, passwords[6])], "passwords": [passwords[6]]})
    kept.request("POST", MANAGER, body, {"Content-Type": "application/json"})
    assert json.loads(kept.getresponse().read())["data"][0]["status"] == "imported"
    abandon(daemon, text_of(7, passwords[7]), passwords[7])
    assert delete_keys(daemon, 2)[0] == ["deleted"]
    assert sign(daemon, 1, 2, 3) == 200
    return passwords, kept


def abandon(daemon, text, password):
    """A client that goes away in the middle of its body."""
    body = json.dumps({"passwords": [password], "keystores": [text]}).encode()
    s = socket.socket(socket.AF_UNIX)
    s.connect(daemon.unix)
    s.sendall(f"POST {MANAGER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body) + 5}\r\n\r\n".encode() + body)
    wait_for("the body to arrive", lambda: found_in(daemon.room("front"), [password.encode()]))
    s.close()
    wait_for("the body to go", lambda: not found_in(daemon.room("front"), [password.encode()]), 40)


def found_in(pid, needles):
    return memory.search_memory(pid, needles)


def test_C03_no_password_and_no_secret_stays_in_any_room(make_daemon):
    daemon = start(make_daemon)
    passwords, kept = use_everything(daemon)
    needles = [password.encode() for password in passwords]
    for room, pid in daemon.rooms().items():
        assert found_in(pid, needles) == [], room
        assert memory.search_text(memory.arguments_and_environment(pid), needles + SECRETS) == [], room
        if room != "vault":
            assert found_in(pid, SECRETS) == [], room
    assert found_in(daemon.process.pid, needles + SECRETS) == [], "supervisor"
    assert found_in(daemon.room("vault"), [SECRETS[2]]) == [], "a key that was deleted"
    kept.close()


def test_C03_no_password_and_no_secret_in_what_is_written_or_answered(make_daemon):
    daemon = start(make_daemon)
    passwords, kept = use_everything(daemon)
    kept.close()
    needles = [password.encode() for password in passwords] + SECRETS
    shown = daemon.metrics().encode()
    for path in (MANAGER, CHAMBER):
        shown += json.dumps(call(daemon, "GET", path)[1]).encode()
    pids = [daemon.process.pid, *(pid for pid, _ in children_of(daemon.process.pid))]
    shown += b"".join(memory.arguments_and_environment(pid) for pid in pids)
    assert daemon.stop() == 0
    shown += daemon.log_path.read_bytes()
    assert memory.search_text(shown, needles) == []
    for path in daemon.data_dir.rglob("*"):
        if path.is_file():
            assert memory.search_text(path.read_bytes(), needles) == [], path


def test_C03_the_search_finds_what_is_there(make_daemon):
    """The control: a password that is on its way lies in the front, and what was planted here is found in every form."""
    daemon = start(make_daemon)
    password = canary()
    body = json.dumps({"passwords": [password]})[:-1]
    half = http.client.HTTPConnection("localhost")
    half.sock = socket.socket(socket.AF_UNIX)
    half.sock.connect(daemon.unix)
    half.putrequest("POST", MANAGER)
    half.putheader("Content-Length", str(len(body) + 1))
    half.endheaders(body.encode())
    wait_for("the password in the front", lambda: found_in(daemon.room("front"), [password.encode()]))
    half.close()
    planted = {form: bytearray(text) for form, text in memory.forms_of(password.encode()).items()}
    hits = " ".join(found_in(os.getpid(), [password.encode()]))
    assert all(form in hits for form in planted), hits
