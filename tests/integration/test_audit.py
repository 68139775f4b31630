"""The audit log of a running signer: what is in it, what a verification finds, and that nothing secret is there."""
import base64
import hashlib
import json
import resource
import secrets
import shutil

import interop
import key_routes
import memory
import messages

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED, EXIT_LOCKED = range(5)


def audit(daemon, *arguments):
    return daemon.command("audit", *arguments, "-c", daemon.config_path, check=False)


def segments(daemon):
    return sorted((daemon.data_dir / "audit").glob("*.jsonl"))


def lines(daemon):
    return [json.loads(line) for path in segments(daemon) for line in path.read_text().splitlines()]


def started(make_daemon, **options):
    one = make_daemon(keys=interop.SECRETS[:2], **options)
    one.init()
    one.start()
    return one


def sign(daemon, body, key=interop.PUBKEYS[0]):
    code, _, _ = daemon.sign(key, body)
    return code


def test_T30_every_decision_is_in_the_log_and_verified(make_daemon):
    one = started(make_daemon)
    assert sign(one, messages.attestation(3, 4)) == 200
    assert sign(one, messages.attestation(2, 5)) == 412
    assert sign(one, messages.block(60)) == 200
    assert sign(one, messages.attestation(3, 4), "0x" + "ab" * 48) == 404
    # It is there when the answer is, before any sync.
    written = [(e["operation"], e["verdict"]) for e in lines(one) if e["event"] == "sign"]
    assert written == [("ATTESTATION", "OK"), ("ATTESTATION", "SLASHABLE"), ("BLOCK", "OK"), ("ATTESTATION", "KEY_UNKNOWN")]
    first = next(e for e in lines(one) if e["event"] == "sign")
    assert first["key"] == interop.PUBKEYS[0] and (first["source"], first["target"]) == (3, 4)
    assert first["principal"] == "anonymous"
    result = audit(one, "verify")
    assert result.returncode == EXIT_LOCKED, result.stderr  # the signer has the state store
    assert one.stop() == 0
    result = audit(one, "verify")
    assert result.returncode == EXIT_DONE, result.stderr
    assert result.stdout.startswith("audit log intact: 1 segments, 6 lines, 0 faults, 0 notes\n"), result.stdout
    one.start()
    assert sign(one, messages.attestation(4, 5)) == 200
    one.kill_room("core")  # a new core begins a new segment; the vault lives
    one.wait_ready()
    assert sign(one, messages.attestation(5, 6)) == 200
    assert one.stop() == 0
    result = audit(one, "verify")
    assert result.returncode == EXIT_DONE, result.stdout
    assert result.stdout.startswith("audit log intact: 3 segments,"), result.stdout
    assert "segment 2: note: no last line" in result.stdout
    for path in segments(one):
        assert path.stat().st_mode & 0o777 == 0o600


def test_T30_what_was_done_to_the_files_is_found(make_daemon):
    one = started(make_daemon)
    for epoch in range(3, 9):
        assert sign(one, messages.attestation(epoch, epoch + 1)) == 200
    assert one.stop() == 0
    path = segments(one)[0]
    whole = path.read_text().splitlines(keepends=True)
    tampered = {
        "edited": whole[:3] + [whole[3].replace('"verdict":"OK"', '"verdict":"NO"')] + whole[4:],
        "removed": whole[:3] + whole[4:],
        "reordered": whole[:3] + [whole[4], whole[3]] + whole[5:],
        "cut": whole[:5],
        "emptied": [],
    }
    for what, text in tampered.items():
        path.write_text("".join(text))
        result = audit(one, "verify")
        assert result.returncode == EXIT_REFUSED, (what, result.stdout, result.stderr)
        assert result.stdout.startswith("audit log TAMPERED:"), (what, result.stdout)
    path.unlink()
    result = audit(one, "verify")
    assert result.returncode == EXIT_REFUSED and "segment 1: is missing" in result.stdout
    path.write_text("".join(whole))
    assert audit(one, "verify").returncode == EXIT_DONE


def test_export_takes_a_time_and_reports(make_daemon):
    one = started(make_daemon)
    assert sign(one, messages.attestation(3, 4)) == 200
    assert one.stop() == 0
    everything = audit(one, "export")
    assert everything.returncode == EXIT_DONE and "audit log intact" in everything.stderr
    assert everything.stdout == "".join(path.read_text() for path in segments(one))
    first = lines(one)[0]["time"]
    assert audit(one, "export", "--to", first[:10]).stdout == ""
    assert audit(one, "export", "--from", first[:10]).stdout == everything.stdout
    out = one.path / "exported"
    result = audit(one, "export", "--from", "2020-01-01", "--to", "2021-01-01T00:00:00Z", "--out", out)
    assert result.returncode == EXIT_DONE and out.read_text() == "" and out.stat().st_mode & 0o777 == 0o600
    assert audit(one, "export", "--out", out).returncode != EXIT_DONE  # it is there
    assert audit(one, "export", "--from", "yesterday").returncode == EXIT_USAGE
    assert audit(one, "verify", "--first", "0").returncode == EXIT_USAGE
    assert audit(one, "verify", "--first", "2").returncode == EXIT_DONE


def test_T30_a_kill_loses_no_line_that_was_answered(make_daemon):
    one = started(make_daemon)
    for epoch in range(3, 40):
        assert sign(one, messages.attestation(epoch, epoch + 1)) == 200
    one.kill_all()
    result = audit(one, "verify")
    assert result.returncode == EXIT_DONE, result.stdout
    assert len([e for e in lines(one) if e["event"] == "sign"]) == 37


def test_standard_output_gets_the_lines_where_that_is_wanted(make_daemon):
    one = make_daemon(keys=interop.SECRETS[:1], config={"audit": {"sink": "stdout"}})
    one.init()
    one.start()
    assert sign(one, messages.attestation(3, 4)) == 200
    assert one.stop() == 0
    text = one.log_path.read_text()
    assert '"event":"sign"' in text and '"verdict":"OK"' in text
    assert not segments(one)

# --- work on keys ----------------------------------------------------------------------------------------------------


def lines_about_keys(daemon):
    """(operation, key, verdict, outcome or rule) of each."""
    return [(e["operation"], e.get("key"), e["verdict"], e.get("outcome", e.get("rule")))
            for e in lines(daemon) if e["event"] == "keys"]


def test_T30_work_on_keys_is_in_the_log_and_no_secret_of_it(make_daemon):
    one = key_routes.start(make_daemon, keys=interop.SECRETS[:1])
    keys = interop.PUBKEYS
    passwords = ["a password of a keystore " + secrets.token_hex(8) for _ in range(4)]
    assert key_routes.import_keys(one, 1, 2, password=passwords[0]) == ["imported"] * 2
    assert key_routes.import_keys(one, 1, password=passwords[1], path=key_routes.CHAMBER) == ["duplicate"]
    body = key_routes.import_body(3, password=passwords[2])
    body["passwords"] = [passwords[3]]
    assert key_routes.call(one, "POST", key_routes.MANAGER, body)[1]["data"][0]["status"] == "error"
    assert key_routes.call(one, "POST", key_routes.CHAMBER + "/pause", {"pubkeys": [keys[2]]})[0] == 200
    assert key_routes.delete_keys(one, 1, 9)[0] == ["deleted", "not_found"]
    assert one.post(key_routes.CHAMBER + "/pause", {"all": True})[0] == 401  # a stranger
    assert lines_about_keys(one) == [
        ("import", keys[1], "OK", "imported"),
        ("import", keys[2], "OK", "imported"),
        ("import", keys[1], "OK", "duplicate"),
        ("import", keys[3], "KEYSTORE_PASSWORD", None),
        ("pause", keys[2], "OK", "changed"),
        ("delete", keys[1], "OK", "deleted"),
        ("delete", keys[9], "OK", "not_found"),
    ]
    assert {e["principal"] for e in lines(one) if e["event"] == "keys"} == {"owner"}
    refused = [(e["principal"], e["address"], e["operation"], e["verdict"]) for e in lines(one) if e["event"] == "ask"]
    assert refused == [("anonymous", "127.0.0.1", "keys_pause", "UNAUTHENTICATED")]
    assert one.stop() == 0
    assert audit(one, "verify").returncode == EXIT_DONE
    text = b"".join(path.read_bytes() for path in segments(one))
    needles = [password.encode() for password in passwords] + [bytes.fromhex(s[2:]) for s in interop.SECRETS[:4]]
    assert memory.search_text(text, needles) == []


def test_C07_T30_what_became_of_a_key_is_not_told_without_its_line(make_daemon):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = 400_000  # of each file; what the stores write here is less
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # of all that starts now; Python itself ignores the signal
    try:
        one = key_routes.start(make_daemon)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    while segments(one)[0].stat().st_size + 400 < limit:
        room = limit - segments(one)[0].stat().st_size
        strangers = ["0x" + secrets.token_hex(48) for _ in range(max(1, min(256, room // 400)))]
        assert key_routes.call(one, "DELETE", key_routes.MANAGER, {"pubkeys": strangers})[0] == 200
    answers = {}  # one of them meets the failure, and those after it do, or are refused for it
    for number in range(1, 7):
        code, answer = key_routes.call(one, "POST", key_routes.MANAGER, key_routes.import_body(number))
        answers[interop.PUBKEYS[number]] = answer["rule"] if code == 503 else answer["data"][0]["status"]
    assert set(answers.values()) in ({"AUDIT"}, {"AUDIT", "imported"}), answers
    written = "".join(path.read_text() for path in segments(one))
    for key, told in answers.items():
        line = f'"operation":"import","key":"{key}","verdict":"OK","outcome":"imported"'
        assert (line in written) is (told == "imported"), (key, told)
    there = set(key_routes.listed(one))
    resource.prlimit(one.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
    one.kill_room("core")  # begins a file of its own
    one.wait_ready()
    expected = ["duplicate" if key in there else "imported" for key in answers]
    assert key_routes.import_keys(one, *range(1, 7)) == expected
    assert one.stop() == 0
    result = audit(one, "verify")
    assert result.returncode == EXIT_DONE, result.stdout


def test_C07_a_core_that_comes_later_finds_a_directory_that_was_taken_away(make_daemon):
    one = started(make_daemon)
    assert sign(one, messages.attestation(1, 2)) == 200
    shutil.rmtree(one.data_dir / "audit")
    one.kill_room("core")
    one.wait_ready()
    assert sign(one, messages.attestation(2, 3)) == 200
    assert len(segments(one)) == 1 and (one.data_dir / "audit").stat().st_mode & 0o777 in (0o700, 0o770)
    assert one.stop() == 0
    result = audit(one, "verify")
    assert result.returncode != EXIT_DONE and "missing" in result.stdout, result.stdout  # what was taken away is told of


def use_everything(one):
    """Tokens good, bad, foreign and revoked, by each header that may have one, a management key and its work; all the secrets."""
    connection = one.connect()
    owner = ("-c", one.config_path)
    key = one.command("auth", "bootstrap", *owner).stdout.strip()
    one.environment["KEY"] = key
    remote = ("--signer-url", f"http://127.0.0.1:{one.http_port}", "--auth-token", "env:KEY")
    policy = one.path / "policy.json"
    policy.write_text(json.dumps({"rules": [{"effect": "allow", "scopes": ["sign", "list_keys"]}]}))
    one.command("auth", "policy", "put", "vc", "--from", policy, *remote)
    tokens = [one.command("auth", "token", "create", f"vc{n}", "--policy", "vc", *more, *remote).stdout.strip()
              for n, more in enumerate(((), ("--cidr", "192.0.2.0/24"), ()))]
    one.command("auth", "token", "revoke", "vc2", *remote)
    tokens.append("cc_token_" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("="))
    password = secrets.token_hex(20)
    for token in [*tokens, password, key]:
        basic = base64.b64encode(f"user:{token}".encode()).decode()
        for header in (f"Bearer {token}", f"Basic {basic}"):
            for method, path in (("GET", key_routes.MANAGER), ("DELETE", key_routes.MANAGER), ("POST", f"/api/v1/eth2/sign/{interop.PUBKEYS[0]}")):
                body = None if method == "GET" else {"pubkeys": [interop.PUBKEYS[0]]} if method == "DELETE" else messages.attestation(3, 4)
                connection.request(method, path, body, {"Authorization": header})
    connection.close()
    texts = [*tokens, password, key]
    bare = [base64.urlsafe_b64decode(t.split("_", 2)[2] + "=") for t in [*tokens, key]]
    return [t.encode() for t in texts] + bare + [hashlib.sha256(t.encode()).digest() for t in texts]


def test_C03_no_token_no_password_and_no_key_is_in_the_log(make_daemon):
    one = key_routes.start(make_daemon, keys=interop.SECRETS[:2], config={"auth": {"mode": "report"}})
    needles = use_everything(one)
    passwords = ["a password of a keystore " + secrets.token_hex(8) for _ in range(2)]
    assert key_routes.import_keys(one, 3, password=passwords[0]) == ["imported"]
    wrong = key_routes.import_body(4, password=passwords[1])
    wrong["passwords"] = [passwords[0]]
    assert key_routes.call(one, "POST", key_routes.MANAGER, wrong)[1]["data"][0]["status"] == "error"
    assert one.stop() == 0
    needles += [p.encode() for p in passwords] + [bytes.fromhex(s[2:]) for s in interop.SECRETS[:5]]
    needles.append(bytes.fromhex((one.data_dir / "chamber.key").read_text().split()[1]))
    text = b"".join(path.read_bytes() for path in segments(one))
    assert memory.search_text(text, needles) == []
    # The control: all of it was used, is in the log by its name, and would be found in any form.
    asked = {(e["principal"], e["verdict"]) for e in lines(one) if e["event"] in ("sign", "ask", "keys")}
    assert {("token:vc0", "OK"), ("token:vc0", "DENIED")} <= asked
    assert any(verdict == "UNAUTHENTICATED" for _, verdict in asked), asked
    assert interop.PUBKEYS[0].encode() in text
    for needle in needles:
        planted = memory.forms_of(needle)
        found = memory.search_text(text + b" ".join(planted.values()), [needle])
        assert len(found) == len(planted), (found, planted)
