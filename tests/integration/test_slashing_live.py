"""Work on the history of a running signer: the routes below /api/v1/chamber/slashing, over the Unix sockets."""
import http.client
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import interop
import messages
import pytest
from daemon import wait_for
from test_slashing_cli import KEY, OTHER, interchange, validator

ROUTE = "/api/v1/chamber/slashing"
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="left out: needs root for another user")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@pytest.fixture(name="live")
def _live(make_daemon):
    """A running signer with a Unix socket, and two keys."""
    made = []

    def make(**options):
        path = f"/tmp/cc-live-{os.getpid()}-{len(made)}.sock"
        options.setdefault("keys", interop.SECRETS[:2])
        daemon = make_daemon(**options)
        daemon.config["server"]["unix_socket"] = path
        daemon.write_config()
        daemon.init()
        daemon.start()
        daemon.unix = path
        made.append(path)
        return daemon

    yield make
    for path in made:
        if os.path.exists(path):
            os.unlink(path)


def ask(daemon, method, path="", body=None):
    """(status, parsed body, raw body)"""
    connection = UnixConnection(daemon.unix)
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    connection.request(method, ROUTE + path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, json.loads(content), content


def status(daemon):
    code, body, _ = ask(daemon, "GET", "/status")
    assert code == 200, body
    return body


def test_what_goes_in_comes_out(live):
    daemon = live()
    assert (status(daemon)["validators"], status(daemon)["backend"]) == (2, "sqlite")
    first = interchange(validator(OTHER, [7, 9], [(1, 2), (2, 3)]), validator(KEY, [5], []))
    code, body, _ = ask(daemon, "POST", "", first)
    assert (code, body) == (200, {"validators": 2, "blocks": 3, "attestations": 2, "known": 0, "contradictory": 0, "notes": []})
    code, body, raw = ask(daemon, "GET")
    assert code == 200 and {v["pubkey"] for v in body["data"]} == {KEY, OTHER, *interop.PUBKEYS[:2]}
    assert [v for v in body["data"] if v["pubkey"] in (KEY, OTHER)] == sorted(first["data"], key=lambda v: v["pubkey"])
    # The same again changes nothing.
    assert ask(daemon, "POST", "", raw)[1]["known"] == 5
    assert ask(daemon, "GET")[2] == raw
    nothing = {"keys": 0, "records": 0, "missing": 0, "changed": 0}
    extents = {"slots": {"oldest": "5", "newest": "9"}, "target_epochs": {"oldest": "2", "newest": "3"}, "newest_source_epoch": "2"}
    assert ask(daemon, "POST", "/verify")[1] == {
        "validators": 4, "blocks": 3, "attestations": 2, "faulty": 0, "mirror": nothing, "faults": [], **extents
    }  # fmt: skip
    # What was imported is refused at once.
    key = interop.PUBKEYS[0]
    assert daemon.sign(key, messages.attestation(3, 4))[0] == 200
    code, body, _ = ask(daemon, "POST", "", interchange(validator(key, [50], [(9, 10)])))
    assert (code, body["attestations"]) == (200, 1)
    assert daemon.sign(key, messages.attestation(8, 10))[0] == 412
    assert daemon.sign(key, messages.attestation(9, 11))[0] == 200
    # Offline sees what was done live, byte for byte.
    live_export = ask(daemon, "GET")[2]
    assert daemon.stop() == 0
    out = daemon.command("slashing", "export", "-c", daemon.config_path, "--to", "-")
    assert out.stdout.encode() == live_export


def test_a_validator_that_contradicts_itself_is_noted(live):
    daemon = live()
    surround = validator(KEY, [3, 3], [(1, 9), (2, 3)])
    surround["signed_blocks"][1]["signing_root"] = "0x" + "11" * 32
    code, body, _ = ask(daemon, "POST", "", interchange(surround))
    assert (code, body["contradictory"]) == (200, 1)
    assert body["notes"] == [{"pubkey": KEY, "slot": "3", "source_epoch": "2", "target_epoch": "9"}]


@pytest.mark.parametrize(
    "body, code, rule, fault",
    [
        ("{", 400, "JSON_SYNTAX", "ends too early"),
        ("[]", 400, "INTERCHANGE", "must be an object"),
        ('{"a":' + "9" * 2000 + "}", 413, "JSON_TOO_LARGE", "a string or number is too long"),
        (json.dumps(interchange(validator(KEY, [1]), version="4")), 400, "INTERCHANGE_VERSION", "must be"),
        (json.dumps(interchange(validator(KEY, [1]), genesis="0x" + "77" * 32)), 403, "WRONG_NETWORK", None),
        (json.dumps(interchange(validator(KEY, [1]), validator("0x12", [2]))), 400, "INTERCHANGE", "data[1].pubkey: has the wrong length"),
        (json.dumps(interchange(validator(KEY, [1], [(1, 1 << 64)]))), 400, "INTERCHANGE", "is 2^64 or more"),
    ],
)
def test_a_faulty_file_is_refused_whole(live, body, code, rule, fault):
    daemon = live()
    got, answer, _ = ask(daemon, "POST", "", body)
    assert (got, answer["rule"], answer["validators"]) == (code, rule, 0)
    assert not fault or any(fault in line for line in answer["faults"]), answer
    assert status(daemon)["blocks"] == 0
    assert daemon.sign(interop.PUBKEYS[0], messages.attestation(1, 2))[0] == 200


def test_prune_hand_over_repair_and_enable(live):
    daemon = live()
    key = interop.PUBKEYS[0]
    votes = [(epoch, epoch + 1) for epoch in range(10)]
    assert ask(daemon, "POST", "", interchange(validator(key, [5, 900], votes)))[0] == 200
    assert ask(daemon, "POST", "/prune", {"keep_epochs": 4})[1] == {"removed": 6, "keep_epochs": "4"}
    assert ask(daemon, "POST", "/prune")[1]["removed"] == 0
    # P07: from the epoch on nothing is signed here, until that is taken back.
    assert ask(daemon, "POST", "/hand-over", {"epoch": "12"})[1] == {"high_watermark": {"slot": "96", "epoch": "12"}}
    assert json.loads(daemon.get("/api/v1/eth2/highWatermark")[2]) == {"epoch": "12", "slot": "96"}
    assert daemon.sign(key, messages.attestation(10, 11))[0] == 200
    assert daemon.sign(key, messages.attestation(11, 12))[0] == 412
    assert ask(daemon, "POST", "/hand-over", {"cancel": True, "force": True})[1] == {"high_watermark": None}
    assert daemon.sign(key, messages.attestation(11, 12))[0] == 200
    assert json.loads(daemon.get("/api/v1/eth2/highWatermark")[2]) == {}
    assert ask(daemon, "POST", "/repair-watermark", {"epoch": 20})[1] == {"validators": 2, "epoch": "20", "slot": "167"}
    assert daemon.sign(key, messages.attestation(19, 21))[0] == 412
    assert daemon.sign(key, messages.attestation(20, 21))[0] == 200
    assert ask(daemon, "POST", "/enable", {"key": key})[1] == {"enabled": True}
    assert ask(daemon, "POST", "/enable", {"key": KEY})[0] == 404
    for path, body in [
        ("/enable", {}), ("/enable", {"key": "0x12"}), ("/hand-over", {}), ("/hand-over", {"epoch": 1, "cancel": True}),
        ("/hand-over", {"epoch": 0}), ("/hand-over", {"force": True}), ("/hand-over", {"epoch": 1, "force": 1}), ("/repair-watermark", {"epoch": "soon"}), ("/prune", {"keep": 1}), ("/prune", [1]),
        ("/verify", "{}{}"),
    ]:  # fmt: skip
        assert ask(daemon, "POST", path, body)[0] == 400, (path, body)


def test_P07_a_hand_over_that_stands_is_not_taken_back_unforced(live):
    """Another signer may have begun at its epoch: both would sign there."""
    daemon = live()
    key = interop.PUBKEYS[0]
    stands = {"slot": "96", "epoch": "12"}
    assert ask(daemon, "POST", "/hand-over", {"epoch": 12})[0] == 200
    for body in ({"cancel": True}, {"epoch": 13}, {"epoch": "30", "force": False}):
        code, answer, _ = ask(daemon, "POST", "/hand-over", body)
        assert (code, answer["high_watermark"]) == (409, stands) and "another signer may have begun" in answer["error"], answer
        assert status(daemon)["high_watermark"] == stands
    for arguments in (["--cancel"], ["--epoch", "13"]):
        result = command(daemon, "hand-over", *arguments)
        assert result.returncode == 1 and "begun at epoch 12" in result.stderr and "--force" in result.stderr, result
    assert daemon.sign(key, messages.attestation(11, 12))[0] == 412
    assert ask(daemon, "POST", "/hand-over", {"epoch": 12})[1] == {"high_watermark": stands}
    assert ask(daemon, "POST", "/hand-over", {"epoch": 11})[1]["high_watermark"]["epoch"] == "11"
    assert command(daemon, "hand-over", "--epoch", "13", "--force").returncode == 0
    assert daemon.sign(key, messages.attestation(11, 12))[0] == 200


# --- who may --------------------------------------------------------------------------------------------------------


def test_T20_over_tcp_there_is_no_way_in_without_a_token(live):
    daemon = live()
    for method, path in [("GET", ""), ("POST", ""), ("GET", "/status"), ("POST", "/verify"), ("POST", "/prune"), ("POST", "/enable"), ("POST", "/hand-over"), ("POST", "/repair-watermark")]:
        code, headers, body = daemon.connect().request(method, ROUTE + path, {} if method == "POST" else None)
        assert (code, headers["www-authenticate"]) == (401, 'Basic realm="containment-chamber", Bearer'), (method, path, body)


@needs_root
def test_T20_another_user_needs_a_token_on_the_socket_too(live):
    daemon = live()
    os.chmod(daemon.unix, 0o666)
    script = f"""
import http.client, socket
c = http.client.HTTPConnection("localhost")
c.sock = socket.socket(socket.AF_UNIX); c.sock.connect({daemon.unix!r})
c.request("GET", {ROUTE + "/status"!r}); a = c.getresponse(); print(a.status, a.read().decode())
"""
    nobody = 65534
    result = subprocess.run(["setpriv", "--reuid", str(nobody), "--regid", str(nobody), "--clear-groups", sys.executable, "-c", script],
                            cwd="/", capture_output=True, text=True, timeout=60, check=True)  # fmt: skip
    assert result.stdout.startswith("401") and "UNAUTHENTICATED" in result.stdout, result.stdout
    assert ask(daemon, "GET", "/status")[0] == 200


# --- while it signs -------------------------------------------------------------------------------------------------


def many(count, votes=3):
    return interchange(*[validator(f"0x{number:096x}", [number], [(e, e + 1) for e in range(votes)]) for number in range(1, count + 1)])


def sign_until(daemon, ended, waits):
    """Signs one attestation after the other, and keeps how long each took."""
    epoch = 100
    while not ended.is_set():
        began = time.monotonic()
        assert daemon.sign(interop.PUBKEYS[0], messages.attestation(epoch, epoch + 1))[0] == 200
        waits.append(time.monotonic() - began)
        epoch += 1


def test_signing_goes_on_during_an_import_and_an_export(live):
    """1,000 validators, and a machine that may be busy: no signature waits longer than a second."""
    daemon = live()
    ended, waits = threading.Event(), []
    signer = threading.Thread(target=sign_until, args=(daemon, ended, waits))
    signer.start()
    try:
        rounds = 0
        while rounds < 3 or len(waits) < 10 and signer.is_alive():
            rounds += 1
            code, body, _ = ask(daemon, "POST", "", many(1000))
            assert (code, body["validators"]) == (200, 1000)
            code, body, _ = ask(daemon, "GET")
            assert (code, len(body["data"])) == (200, 1002)
            assert ask(daemon, "POST", "/verify")[1]["validators"] == 1002
    finally:
        ended.set()
        signer.join(60)
    print(f"{len(waits)} signatures, the slowest after {max(waits) * 1000:.0f} ms")
    assert len(waits) >= 10 and max(waits) < 1.0, (rounds, len(waits), max(waits))


def test_a_client_that_goes_away_or_stands_still_leaves_nothing_behind(live):
    daemon = live()
    body = json.dumps(many(1000)).encode()
    head = b"Host: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert ask(daemon, "POST", "", body)[0] == 200
    before = status(daemon)

    def begin(request, rest=b""):
        s = socket.socket(socket.AF_UNIX)
        s.connect(daemon.unix)
        s.sendall(request + rest)
        return s

    half = begin(b"POST " + ROUTE.encode() + b" HTTP/1.1\r\n" + head, body[: len(body) // 2])
    whole = begin(b"POST " + ROUTE.encode() + b" HTTP/1.1\r\n" + head, body)
    whole.close()  # dies while the core works
    unread = begin(b"GET " + ROUTE.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert unread.recv(100).startswith(b"HTTP/1.1 200")  # and no further
    dying = begin(b"GET " + ROUTE.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert dying.recv(100).startswith(b"HTTP/1.1 200")
    dying.close()
    assert daemon.sign(interop.PUBKEYS[1], messages.attestation(1, 2))[0] == 200
    wait_for("another import", lambda: ask(daemon, "POST", "", many(5))[0] == 200)
    assert len(ask(daemon, "GET")[1]["data"]) == 1002
    half.close()
    unread.close()
    assert status(daemon)["blocks"] == before["blocks"]
    # A new front, in the middle of it all.
    again = begin(b"GET " + ROUTE.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert again.recv(100).startswith(b"HTTP/1.1 200")
    daemon.kill_room("front")
    wait_for("the new front", lambda: os.path.exists(daemon.unix) and daemon.status_of("/upcheck") == 200)
    wait_for("an answer of it", lambda: ask(daemon, "GET", "/status")[0] == 200)
    again.close()
    assert daemon.stop() == 0


def test_a_broken_end_tells_of_an_export_that_failed(live):
    """No export ends as a whole one without being one."""
    daemon = live()
    assert ask(daemon, "POST", "", many(3000))[0] == 200
    s = socket.socket(socket.AF_UNIX)
    s.connect(daemon.unix)
    s.sendall(b"GET " + ROUTE.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert s.recv(100).startswith(b"HTTP/1.1 200")
    daemon.kill_room("core")
    s.settimeout(30)
    text = b""
    try:
        while chunk := s.recv(1 << 16):
            text += chunk
    except ConnectionResetError:
        pass
    assert not text.endswith(b"0\r\n\r\n")
    s.close()


# --- the command ----------------------------------------------------------------------------------------------------


def command(daemon, *arguments, **options):
    return daemon.command("slashing", *arguments, "--signer-url", f"unix:{daemon.unix}", check=False, **options)


def test_the_command_does_on_a_running_signer_what_it_does_on_its_store(live):
    """Every action gives the same output live and offline, and the store is the same afterwards."""
    daemon = live()
    path = daemon.path / "in.json"
    surround = validator(OTHER, [3], [(1, 9), (2, 3)])
    path.write_text(json.dumps(interchange(validator(KEY, [7, 9], [(e, e + 1) for e in range(10)]), surround)))
    actions = [
        ("import", "--from", path), ("status", "--json"), ("status",), ("verify",), ("verify", "--json"), ("prune", "--keep-epochs", "4"),
        ("prune", "--json"), ("hand-over", "--epoch", "500"), ("status",), ("hand-over", "--epoch", "501"), ("hand-over", "--cancel"), ("hand-over", "--cancel", "--force"), ("enable", "--key", KEY),
        ("enable", "--key", "0x12"), ("repair-watermark", "--epoch", "20"),
    ]  # fmt: skip
    seen = [(command(daemon, *action), action) for action in actions]
    assert command(daemon, "export", "--to", daemon.path / "live.json").returncode == 0
    assert daemon.stop() == 0
    other = live()
    assert other.stop() == 0
    for result, action in seen:
        again = other.command("slashing", *action, "-c", other.config_path, check=False)
        assert again.returncode == result.returncode, (action, again.stderr, result.stderr)
        ignore = ("path ", "history id ", "chamber id ", "mirror: ")  # the last is a running signer's alone
        lines = [[line for line in text.splitlines() if not line.startswith(ignore)] for text in (again.stdout, result.stdout)]
        if "--json" in action:
            lines = [{k: v for k, v in json.loads(r.stdout).items() if k not in ("history_id", "chamber_id", "mirror")} for r in (again, result)]
        assert lines[0] == lines[1], action
    assert other.command("slashing", "export", "-c", other.config_path, "--to", "-").stdout == (daemon.path / "live.json").read_text()


def test_a_held_lock_names_the_way_around_it(live):
    daemon = live()
    result = daemon.command("slashing", "status", "-c", daemon.config_path, check=False)
    assert result.returncode == 4 and f"by process {daemon.room('core')}" in result.stderr, result.stderr
    assert f"--signer-url unix:{daemon.unix}" in result.stderr
    for url in (f"unix:{daemon.unix}", f"unix://{daemon.unix}", "http+unix://" + daemon.unix.replace("/", "%2F"), daemon.unix):
        assert daemon.command("slashing", "status", "--signer-url", url).returncode == 0
    assert daemon.command("slashing", "status", "--signer-url", f"unix:{daemon.admin_path}").returncode == 0
    result = daemon.command("slashing", "status", "--signer-url", f"http://127.0.0.1:{daemon.http_port}", check=False)
    assert result.returncode == 3 and "token" in result.stderr
    result = daemon.command("slashing", "status", "--signer-url", "unix:/nowhere.sock", check=False)
    assert result.returncode == 1 and "no signer listens there" in result.stderr
    for wrong in (["hand-over", "--epoch", "9", "--to", "-"], ["repair-watermark", "--token", "t", "--identity", "i"]):
        assert command(daemon, *wrong).returncode == 2
    assert daemon.command("slashing", "migrate", "--signer-url", f"unix:{daemon.unix}", check=False).returncode == 2


def test_refusals_have_their_exit_codes(live):
    daemon = live()
    path = daemon.path / "in.json"
    path.write_text(json.dumps(interchange(validator(KEY, [1]), validator("0x12", [2]))))
    result = command(daemon, "import", "--from", path)
    assert result.returncode == 3 and "data[1].pubkey: has the wrong length" in result.stderr and "Nothing was imported" in result.stderr
    path.write_text(json.dumps(interchange(validator(KEY, [1]), genesis="0x" + "77" * 32)))
    result = command(daemon, "import", "--from", path)
    assert result.returncode == 3 and "403" in result.stderr, result.stderr
    assert command(daemon, "enable", "--key", KEY).returncode == 1
    assert status(daemon)["blocks"] == 0
    target = daemon.path / "nowhere/out.json"
    assert command(daemon, "export", "--to", target).returncode == 1
    # A file that is larger than one request, and one that is larger than a piece.
    path.write_text(json.dumps(many(3000, votes=20)))
    result = command(daemon, "import", "--from", path)
    assert result.returncode == 0 and "3000 validators: 3000 blocks and 60000 attestations added" in result.stdout, result.stderr
    out = daemon.path / "out.json"
    result = command(daemon, "export", "--to", out)
    assert result.returncode == 0 and "3002 validators exported" in result.stderr
    assert len(json.loads(out.read_text())["data"]) == 3002 and out.stat().st_mode & 0o777 == 0o600


def test_records_that_failed_are_named_and_the_exit_code_says_so(live):
    """A history that somebody has edited by hand: two votes of which one surrounds the other."""
    daemon = live()
    assert ask(daemon, "POST", "", interchange(validator(KEY, [7], [(3, 4), (4, 5)])))[0] == 200
    assert daemon.stop() == 0
    database = sqlite3.connect(daemon.data_dir / "history.sqlite")
    with database:
        database.execute("UPDATE attestations SET source = source - 3 WHERE target = -9223372036854775808 + 5")
    database.close()
    result = daemon.command("slashing", "verify", "-c", daemon.config_path, check=False)
    assert result.returncode == 1 and f"{KEY}: SURROUND: source 1, target 5" in result.stdout, result.stdout + result.stderr
    result = daemon.command("slashing", "verify", "--json", "-c", daemon.config_path, check=False)
    assert result.returncode == 1
    assert json.loads(result.stdout)["faults"] == [{"pubkey": KEY, "fault": "SURROUND", "source_epoch": "1", "target_epoch": "5"}]


def test_C08_verify_compares_a_running_history_with_its_mirror(live):
    """What this signer has signed is in the history, record by record."""
    daemon = live()
    key = interop.PUBKEYS[0]
    for epoch in range(1, 6):
        assert daemon.sign(key, messages.attestation(epoch, epoch + 1))[0] == 200
    assert daemon.sign(key, messages.block(100))[0] == 200
    code, body, _ = ask(daemon, "POST", "/verify")
    assert code == 200 and body["faulty"] == 0
    assert body["mirror"]["records"] == 6 and body["mirror"]["missing"] == body["mirror"]["changed"] == 0
    result = command(daemon, "verify")
    assert result.returncode == 0 and "mirror: 6 records of" in result.stdout and ": 0 missing, 0 changed" in result.stdout
