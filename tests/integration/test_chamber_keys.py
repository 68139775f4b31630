"""The chamber's own key routes, and `keys`, which uses them."""
import json
import os
import time

import interop
import jsonschema
import keystores
import messages
import pytest
from contract import operation, resolve, schema_of
from daemon import wait_for
from key_routes import CHAMBER, MANAGER, PASSWORD, call, chamber_list, delete_keys, import_body, import_keys, keystore, listed, many, sign, start
from test_slashing_cli import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, EXIT_USAGE, interchange, validator

KEYS = interop.PUBKEYS


def checked(daemon, method, path, body=None, expected=200):
    """The answer of a request, which is as docs/openapi.yaml says."""
    code, answer = call(daemon, method, path, body)
    assert code == expected, (method, path, answer)
    entry = operation(method, path)
    jsonschema.validate(answer, schema_of(resolve(entry["responses"][str(code)])["content"]))
    if code == 200 and body is not None:
        jsonschema.validate(body, schema_of(entry["requestBody"]["content"]))
    return answer


def outcomes(answer):
    return [(item.get("pubkey"), item["status"]) for item in answer["data"]]


# --- the routes ------------------------------------------------------------------------------------------------------


def test_import_change_delete_and_list(make_daemon):
    daemon = start(make_daemon, keys=interop.SECRETS[:1])
    answer = checked(daemon, "POST", CHAMBER, import_body(1, 2, 0))
    assert outcomes(answer) == [(KEYS[1], "imported"), (KEYS[2], "imported"), (KEYS[0], "duplicate")]
    answer = checked(daemon, "POST", CHAMBER, import_body(3, status="inactive"))
    assert outcomes(answer) == [(KEYS[3], "imported")]
    keys, paused_all = chamber_list(daemon)
    assert keys == {
        KEYS[0]: ("active", "filesystem", False),
        KEYS[1]: ("active", "sqlite", False),
        KEYS[2]: ("active", "sqlite", False),
        KEYS[3]: ("inactive", "sqlite", False),
    }
    assert not paused_all
    checked(daemon, "GET", CHAMBER)
    assert sign(daemon, 3) != 200 and sign(daemon, 1) == 200

    answer = checked(daemon, "PATCH", CHAMBER, {"pubkeys": [KEYS[3], KEYS[9]], "status": "active"})
    assert outcomes(answer) == [(KEYS[3], "active"), (KEYS[9], "not_found")]
    assert sign(daemon, 3) == 200
    answer = checked(daemon, "PATCH", CHAMBER, {"pubkeys": [KEYS[1], KEYS[0]], "status": "inactive"})
    assert outcomes(answer) == [(KEYS[1], "inactive"), (KEYS[0], "error")]
    assert sign(daemon, 1, 2, 3) != 200 and sign(daemon, 0) == 200
    assert daemon.stop() == 0
    daemon.start()
    assert sign(daemon, 1, 2, 3) != 200 and sign(daemon, 2) == 200 and sign(daemon, 3, 2, 3) == 200

    answer = checked(daemon, "DELETE", CHAMBER, {"pubkeys": [KEYS[1], KEYS[9], KEYS[0]]})
    assert outcomes(answer) == [(KEYS[1], "deleted"), (KEYS[9], "not_found"), (KEYS[0], "error")]
    assert [v["pubkey"] for v in json.loads(answer["slashing_protection"])["data"]] == [KEYS[1]]
    assert set(chamber_list(daemon)[0]) == {KEYS[0], KEYS[2], KEYS[3]}


def test_pause_and_resume_work_for_every_source_and_outlive_a_restart(make_daemon):
    daemon = start(make_daemon, keys=interop.SECRETS[:1])
    assert import_keys(daemon, 1, path=CHAMBER) == ["imported"]
    answer = checked(daemon, "POST", CHAMBER + "/pause", {"pubkeys": [KEYS[0]]})
    assert outcomes(answer) == [(KEYS[0], "paused")]
    code, _, body = daemon.sign(KEYS[0], messages.attestation(1, 2))
    assert (code, json.loads(body)["rule"]) == (503, "PAUSED")
    assert sign(daemon, 1) == 200
    assert checked(daemon, "POST", CHAMBER + "/pause", {"all": True})["paused_all"] is True
    assert [sign(daemon, n, 2, 3) for n in (0, 1)] == [503, 503]
    assert daemon.stop() == 0
    daemon.start(ready=False)
    wait_for("the keys", lambda: len(chamber_list(daemon)[0]) == 2)
    assert [sign(daemon, n, 2, 3) for n in (0, 1)] == [503, 503]
    keys, paused_all = chamber_list(daemon)
    assert paused_all and [keys[KEYS[n]][2] for n in (0, 1)] == [True, False]
    assert checked(daemon, "POST", CHAMBER + "/resume", {"all": True})["paused_all"] is False
    assert [sign(daemon, n, 2, 3) for n in (0, 1)] == [503, 200]  # each kind by itself
    answer = checked(daemon, "POST", CHAMBER + "/resume", {"pubkeys": [KEYS[0]]})
    assert outcomes(answer) == [(KEYS[0], "resumed")]
    assert sign(daemon, 0, 2, 3) == 200


@pytest.mark.parametrize(
    "method, path, body, code",
    [
        ("POST", "", import_body(1, more=1), 400),
        ("POST", "", {"keystores": [], "passwords": [], "status": "asleep"}, 400),
        ("POST", "", {"keystores": ["{}"] * 4, "passwords": [""] * 4}, 413),
        ("PATCH", "", {"pubkeys": [KEYS[0]]}, 400),
        ("PATCH", "", {"pubkeys": [KEYS[0]], "status": "deleted"}, 400),
        ("PATCH", "", {"pubkeys": [KEYS[0]] * 4, "status": "active"}, 413),
        ("DELETE", "", {"pubkeys": [], "all": True}, 400),
        ("DELETE", "", {"pubkeys": [KEYS[0]] * 4}, 413),
        ("POST", "/pause", {}, 400),
        ("POST", "/pause", {"all": False}, 400),
        ("POST", "/pause", {"all": True, "pubkeys": []}, 400),
        ("POST", "/resume", {"pubkeys": "x"}, 400),
    ],
)
def test_bodies_that_the_page_forbids_are_refused(shared, method, path, body, code):
    checked(shared, method, CHAMBER + path, body, code)
    if code == 400:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(body, schema_of(operation(method, CHAMBER + path)["requestBody"]["content"]))


@pytest.fixture(scope="module", name="shared")
def _shared():
    """One signer for what changes nothing."""
    import daemon as daemon_module  # pylint: disable=import-outside-toplevel

    made = []

    def make(**options):
        made.append(daemon_module.Daemon(daemon_module.fresh_dir("chamber_keys_shared") / "d0", **options))
        return made[0]

    limits = {"max_items_per_request": 3}
    yield start(make, config={"chamber": {"keys": {"import": limits, "lifecycle": limits}}})
    made[0].end()


def test_what_is_not_enabled_is_refused_and_pausing_never_is(make_daemon):
    off = {"enabled": False}
    daemon = start(make_daemon, keys=interop.SECRETS[:1], config={"chamber": {"keys": {"import": off, "lifecycle": off}}})
    for method, body in (("POST", import_body(1)), ("PATCH", {"pubkeys": [], "status": "active"}), ("DELETE", {"pubkeys": []})):
        assert checked(daemon, method, CHAMBER, body, 403)["rule"] == "NOT_ENABLED"
    assert len(chamber_list(daemon)[0]) == 1
    checked(daemon, "POST", CHAMBER + "/pause", {"all": True})
    assert sign(daemon, 0) == 503
    checked(daemon, "POST", CHAMBER + "/resume", {"all": True})
    assert sign(daemon, 0) == 200


def test_keys_of_one_api_are_those_of_the_other(make_daemon):
    daemon = start(make_daemon)
    assert import_keys(daemon, 1) == ["imported"]
    assert import_keys(daemon, 1, path=CHAMBER) == ["duplicate"]
    assert import_keys(daemon, 2, path=CHAMBER) == ["imported"]
    assert set(listed(daemon)) == {KEYS[1], KEYS[2]}
    assert delete_keys(daemon, 1, path=CHAMBER)[0] == ["deleted"]
    assert delete_keys(daemon, 1, path=MANAGER)[0] == ["not_active"]


def test_a_duplicate_of_an_inactive_key_stays_inactive_and_takes_the_history(make_daemon):
    daemon = start(make_daemon)
    code, _ = call(daemon, "POST", CHAMBER, import_body(1, status="inactive"))
    assert code == 200
    history = interchange(validator(KEYS[1], [50], [(9, 10)]))
    assert import_keys(daemon, 1, history=history) == ["duplicate"]
    assert chamber_list(daemon)[0][KEYS[1]][0] == "inactive"
    checked(daemon, "PATCH", CHAMBER, {"pubkeys": [KEYS[1]], "status": "active"})
    assert sign(daemon, 1, 8, 10) == 412


# --- the command -----------------------------------------------------------------------------------------------------


def keys(daemon, *arguments, **options):
    return daemon.command("keys", *arguments, "--signer-url", f"unix:{daemon.unix}", check=False, **options)


def test_the_command_does_all_of_it(make_daemon):
    daemon = start(make_daemon, keys=interop.SECRETS[:1])
    folder, passwords = daemon.path / "in", daemon.path / "passwords"
    for number in range(1, 8):
        keystores.write(folder, f"k{number}", bytes.fromhex(interop.SECRETS[number][2:]), KEYS[number], f"pass {number} \N{SNOWMAN}")
    passwords.mkdir(mode=0o700)
    for number in range(1, 4):
        (folder / f"k{number}.txt").rename(passwords / f"k{number}.txt")
    (folder / "k7.txt").unlink()  # it has none
    history = daemon.path / "history.json"
    history.write_text(json.dumps(interchange(validator(KEYS[1], [], [(9, 10)]))))

    result = keys(daemon, "import", "--from-dir", folder, "--passwords", passwords, "--slashing-protection", history, "--items", "2")
    assert result.returncode == EXIT_FAILED and "3 imported, 0 there already, 4 failed" in result.stdout, result
    assert "k4.json" in result.stderr and "k7.json" in result.stderr
    result = keys(daemon, "import", "--from-dir", folder, "--items", "3")
    assert result.returncode == EXIT_FAILED and "3 imported, 0 there already, 4 failed" in result.stdout, result
    (folder / "k7.txt").write_text("no such\n")
    # With --json all of it is one object, whatever the number of requests, and what was not sent is in it.
    result = keys(daemon, "import", "--from-dir", folder, "--items", "2", "--json")
    answer = json.loads(result.stdout)
    assert result.returncode == EXIT_FAILED, result
    assert [answer[name] for name in ("imported", "duplicate", "failed", "complete")] == [0, 3, 4, True], answer
    listed = {one["file"].rsplit("/", 1)[-1]: one for one in answer["keys"]}
    assert len(answer["keys"]) == len(listed) == 7 and (listed["k4.json"]["pubkey"], listed["k4.json"]["status"]) == (KEYS[4], "duplicate")
    assert listed["k7.json"]["status"] == "error" and "password" in listed["k7.json"]["message"]
    assert (listed["k1.json"]["status"], listed["k1.json"]["pubkey"]) == ("error", "") and "there is none for it" in listed["k1.json"]["message"]
    assert sign(daemon, 1, 8, 10) == 412

    result = keys(daemon, "list")
    assert result.returncode == EXIT_DONE
    assert result.stdout.splitlines() == sorted(
        [f"{KEYS[0]} active filesystem readonly"] + [f"{KEYS[n]} active sqlite" for n in range(1, 7)]
    )
    assert len(json.loads(keys(daemon, "list", "--json").stdout)["data"]) == 7

    result = keys(daemon, "deactivate", "--key", f"{KEYS[1]},{KEYS[2]}")
    assert (result.returncode, result.stdout) == (EXIT_DONE, f"{KEYS[1]} inactive\n{KEYS[2]} inactive\n")
    result = keys(daemon, "activate", "--key", KEYS[9])
    assert (result.returncode, result.stdout) == (EXIT_FAILED, f"{KEYS[9]} not_found\n")
    names = daemon.path / "names"
    names.write_text(f"{KEYS[1]}\n{KEYS[2]}\n")
    assert keys(daemon, "activate", "--from", names).returncode == EXIT_DONE
    assert keys(daemon, "pause", "--key", KEYS[3]).stdout == f"{KEYS[3]} paused\n"
    assert sign(daemon, 3) == 503
    assert keys(daemon, "resume", "--from", "-", "--key", KEYS[3]).returncode == EXIT_DONE
    assert keys(daemon, "pause", "--all").returncode == EXIT_DONE
    assert "all keys are paused" in keys(daemon, "list").stdout
    assert keys(daemon, "resume", "--all").returncode == EXIT_DONE

    out = daemon.path / "gone.json"
    result = keys(daemon, "delete", "--key", KEYS[1], "--to", out)
    assert (result.returncode, result.stdout) == (EXIT_DONE, f"{KEYS[1]} deleted\n")
    assert [v["pubkey"] for v in json.loads(out.read_text())["data"]] == [KEYS[1]]
    assert out.stat().st_mode & 0o777 == 0o600
    result = keys(daemon, "delete", "--key", KEYS[2], "--to", out)
    assert result.returncode == EXIT_FAILED and KEYS[2] in chamber_list(daemon)[0], "nothing is overwritten"


def test_the_command_says_how_far_a_long_import_is(make_daemon):
    daemon = start(make_daemon)
    folder = daemon.path / "in"
    folder.mkdir(mode=0o700)
    for number, (_, text, password) in enumerate(many(120)):
        (folder / f"k{number}.json").write_text(text)
        (folder / f"k{number}.txt").write_text(password)
    began = time.monotonic()
    result = keys(daemon, "import", "--from-dir", folder, timeout=120)
    print(f"120 keystores in {time.monotonic() - began:.1f} s")
    assert (result.returncode, result.stdout) == (EXIT_DONE, "120 imported, 0 there already, 0 failed\n"), result
    assert keys(daemon, "import", "--from-dir", folder).stdout == "0 imported, 120 there already, 0 failed\n"


@pytest.mark.parametrize(
    "arguments, code",
    [
        ([], EXIT_USAGE),
        (["dance"], EXIT_USAGE),
        (["import"], EXIT_USAGE),
        (["import", "--from-dir", "x", "--items", "0"], EXIT_USAGE),
        (["activate"], EXIT_USAGE),
        (["delete", "--key", KEYS[0]], EXIT_USAGE),
        (["pause", "--all", "--key", KEYS[0]], EXIT_USAGE),
        (["pause", "--key", "0x12"], EXIT_REFUSED),
        (["list", "--more"], EXIT_USAGE),
    ],
)
def test_arguments_that_are_none(shared, arguments, code):
    result = keys(shared, *arguments)
    assert result.returncode == code, result


def test_the_command_tells_of_a_signer_that_is_not_there(make_daemon):
    daemon = make_daemon()
    result = daemon.command("keys", "list", "--signer-url", "unix:/tmp/no-such.sock", check=False)
    assert result.returncode == EXIT_FAILED and "no signer listens there" in result.stderr, result


def test_no_password_is_in_the_arguments_or_the_output_of_the_command(make_daemon):
    daemon = start(make_daemon)
    folder = daemon.path / "in"
    secret = "canary-" + os.urandom(8).hex()
    keystores.write(folder, "one", bytes.fromhex(interop.SECRETS[1][2:]), KEYS[1], secret)
    result = keys(daemon, "import", "--from-dir", folder, "--json")
    assert result.returncode == EXIT_DONE and secret not in result.stdout + result.stderr
    (folder / "one.json").write_text(keystore(2, PASSWORD))
    result = keys(daemon, "import", "--from-dir", folder)
    assert result.returncode == EXIT_FAILED and secret not in result.stdout + result.stderr
    assert secret not in daemon.log_text()
