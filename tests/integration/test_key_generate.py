"""New keys: the age tool opens their backup, other implementations make the same keys and accept the deposits, and nothing of the mnemonic is
anywhere else."""
import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import threading
import time

import memory
import messages
import pytest
import test_ceremony
from daemon import SOURCE_DIR, build_dir, children_of, wait_for
from forms import some
from key_routes import CHAMBER, call, chamber_list, start
from test_chamber_keys import checked, keys
from test_quarantine import EPOCH_SECONDS
from test_slashing_cli import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, EXIT_USAGE

# Published in tests/support/age_tool.h, and used for nothing else.
RECIPIENT = "age1854mg9uhmyt0cfxd39emc2z3cvr4k2yu3av7ms36zfejs26lag7q4mj03c"
IDENTITY = "AGE-SECRET-KEY-1LS4W6S4JU3L4FA7DNL3QK8AYKKXDJSYPE0NUMVWSH8KYFFUV9GHQL44WA5\n"
ADDRESS = "0x00112233445566778899AABbCCdDeeFf00112233"
GENERATE = CHAMBER + "/generate"
WORDS = re.findall(r"W\((\w+)\)", (SOURCE_DIR / "src/crypto/bip39_words.def").read_text().split("clang-format off")[1])


def settings(**more):
    return {"chamber": {"keys": {"generate": {"enabled": True, "backup": {"enabled": True, "recipients": [RECIPIENT]}, **more}}}}


@pytest.fixture(name="signer")
def fixture_signer(make_daemon):
    return start(make_daemon, config=settings())


def open_backup(text, folder):
    """The words of a backup, as its recipient reads them."""
    if not shutil.which("age"):
        pytest.skip("left out: the age tool is not installed")
    identity = pathlib.Path(folder) / "identity"
    identity.write_text(IDENTITY)
    plain = subprocess.run(["age", "-d", "-i", identity], input=text.encode(), capture_output=True, check=True).stdout.decode()
    identity.unlink()
    assert len(plain) == 216 and plain.rstrip("\n") == plain.strip()
    words = plain.strip().split(" ")
    assert len(words) == 24 and set(words) <= set(WORDS)
    return words


def secrets_of(words):
    """Entropy and seed of a mnemonic, whose checksum is right."""
    bits = "".join(f"{WORDS.index(word):011b}" for word in words)
    entropy = int(bits[:256], 2).to_bytes(32, "big")
    assert hashlib.sha256(entropy).digest()[0] == int(bits[256:], 2)
    return entropy, hashlib.pbkdf2_hmac("sha512", " ".join(words).encode(), b"mnemonic", 2048)


def node_project(source, files):
    """A copy of a node project below the build directory, with its pinned packages; skipped, and said so, without npm or registry."""
    if not shutil.which("npm"):
        pytest.skip("left out: npm is not installed")
    folder = build_dir() / "node" / source.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", *files):
        shutil.copy(source / name, folder / name)
    if not (folder / "node_modules/.package-lock.json").exists():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
        if result.returncode != 0:
            pytest.skip("left out: npm ci fails: " + result.stderr[-300:])
    return folder


def node(folder, script, stdin):
    result = subprocess.run(["node", *script], cwd=folder, input=stdin, capture_output=True, text=True, timeout=120, check=True)
    return result.stdout


def derived(words, count):
    """[{secret, pubkey}] as another implementation makes them."""
    folder = node_project(SOURCE_DIR / "tests/integration/eip2333", ["derive.mjs"])
    return json.loads(node(folder, ["derive.mjs"], json.dumps({"mnemonic": " ".join(words), "count": count})))


def oracle():
    """The folder of the independent oracle, beside the vectors."""
    vectors = pathlib.Path(os.environ.get("CC_VECTORS") or SOURCE_DIR.parent / "shared/vectors")
    source = vectors.parent / "tools/oracle"
    if not (source / "oracle.mjs").exists():
        pytest.skip("left out: the oracle is not beside the vectors")
    return node_project(source, ["oracle.mjs"])


# --- what others make of it ----------------------------------------------------------------------------------------------


@pytest.mark.long_form
def test_others_open_the_backup_and_make_the_same_keys(signer, tmp_path):
    body = {"count": 18, "status": "active", "withdrawal_address": ADDRESS}
    answer = checked(signer, "POST", GENERATE, body)
    assert [item["status"] for item in answer["data"]] == ["generated"] * 18
    assert [item["path"] for item in answer["data"]] == [f"m/12381/3600/{i}/0/0" for i in range(18)]
    words = open_backup(answer["backup"], tmp_path)
    secrets_of(words)
    made = derived(words, 18)
    assert [item["pubkey"] for item in answer["data"]] == ["0x" + key["pubkey"] for key in made]
    keys_here, _ = chamber_list(signer)
    assert set(keys_here) == {item["pubkey"] for item in answer["data"]}
    first = answer["data"][0]["pubkey"]
    wait_for("the key to be active", lambda: chamber_list(signer)[0][first][0] == "active")
    assert signer.sign(first, messages.attestation(1, 2))[0] == 200
    assert signer.stop() == 0
    signer.start()
    assert signer.sign(first, messages.attestation(2, 3))[0] == 200
    assert signer.sign(first, messages.attestation(2, 3, 1))[0] == 412


DATA_ROOT = """
import fs from "node:fs";
import {ssz} from "@lodestar/types";
import {exact, hex} from "./oracle.mjs";
const T = exact(ssz.phase0.DepositData);
console.log(JSON.stringify(JSON.parse(fs.readFileSync(0, "utf8")).map((d) => hex(T.hashTreeRoot(T.fromJson(d))))));
"""


@pytest.mark.parametrize("compounding, amount", some([(True, 2_048_000_000_000), (False, 32_000_000_000), (False, 1_000_000_000)], 1))
def test_the_oracle_accepts_the_deposits(signer, tmp_path, compounding, amount):
    body = {"count": 2, "withdrawal_address": ADDRESS, "compounding": compounding, "amount_gwei": str(amount)}
    answer = checked(signer, "POST", GENERATE, body)
    made = derived(open_backup(answer["backup"], tmp_path), 2)
    folder = oracle()
    entries = []
    for item, key in zip(answer["data"], made):
        data = item["deposit_data"]
        assert data["withdrawal_credentials"] == ("02" if compounding else "01") + "00" * 11 + ADDRESS[2:].lower()
        assert (data["amount"], data["network_name"]) == (amount, "minimal")
        deposit = {name: "0x" + data[name] for name in ("pubkey", "withdrawal_credentials")} | {"amount": str(amount)}
        request = {"type": "DEPOSIT", "deposit": {**deposit, "genesis_fork_version": "0x" + data["fork_version"]}}
        (tmp_path / "request.json").write_text(json.dumps(request))
        said = json.loads(node(folder, ["oracle.mjs", "--network", "minimal", "--compact", "--sk", "0x" + key["secret"], str(tmp_path / "request.json")], ""))
        said = said[0] if isinstance(said, list) else said
        assert said["objectRoot"] == "0x" + data["deposit_message_root"]
        assert said["signature"] == "0x" + data["signature"]
        entries.append({**deposit, "signature": "0x" + data["signature"]})
    (folder / "data_root.mjs").write_text(DATA_ROOT)
    roots = json.loads(node(folder, ["data_root.mjs"], json.dumps(entries)))
    assert roots == ["0x" + item["deposit_data"]["deposit_data_root"] for item in answer["data"]]


# --- where the secrets are not -------------------------------------------------------------------------------------------

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="left out: reading another process needs root")


def needles_of(words, made):
    """What would tell the keys: the sentence, any stretch of it, entropy, both halves of the seed, the keys and the nodes above them."""
    entropy, seed = secrets_of(words)
    stretches = [" ".join(words[i : i + 4]).encode() for i in range(0, 24, 4)]
    scalars = {text for key in made for text in (key["secret"], *key["nodes"])}
    return [" ".join(words).encode(), *stretches, entropy, seed[:32], seed[32:], *map(bytes.fromhex, sorted(scalars))]


@needs_root
def test_C03_no_word_seed_or_key_is_in_any_room_or_file(signer, tmp_path):
    answer = checked(signer, "POST", GENERATE, {"count": 3, "status": "inactive", "withdrawal_address": ADDRESS})
    words = open_backup(answer["backup"], tmp_path)
    made = derived(words, 3)
    needles = needles_of(words, made)
    pids = {"supervisor": signer.process.pid, **signer.rooms()}
    for room, pid in pids.items():
        assert memory.search_memory(pid, needles) == [], room
        assert memory.search_text(memory.arguments_and_environment(pid), needles) == [], room
    shown = signer.metrics().encode() + json.dumps(answer).encode() + json.dumps(call(signer, "GET", CHAMBER)[1]).encode()
    assert memory.search_text(shown, needles) == []
    assert signer.stop() == 0
    assert memory.search_text(signer.log_path.read_bytes(), needles) == []
    files = [path for path in signer.data_dir.rglob("*") if path.is_file()]
    assert any(path.name == "keys.sqlite" for path in files)
    for path in files:
        assert memory.search_text(path.read_bytes(), needles) == [], path


@needs_root
def test_C03_the_search_for_words_finds_what_is_there(signer):
    """The control: the recipient, which the vault holds, is found in its memory; and words that were planted here in this process."""
    assert memory.search_memory(signer.room("vault"), [RECIPIENT.encode()])
    words = [WORDS[int.from_bytes(os.urandom(2), "big") % 2048] for _ in range(4)]
    planted = bytearray(" ".join(words).encode())
    assert memory.search_memory(os.getpid(), [bytes(planted)])
    assert children_of(signer.process.pid)


# --- who may, and when -----------------------------------------------------------------------------------------------------


def test_it_is_off_by_default_and_refused_without_recipients(make_daemon):
    daemon = start(make_daemon)
    code, answer = call(daemon, "POST", GENERATE, {"count": 1})
    assert code == 403 and "chamber.keys.generate.enabled" in answer["message"] + answer["error"], answer
    daemon.end()
    for config, text in (
        ({"enabled": True}, "nobody would have the mnemonic"),
        ({"enabled": True, "backup": {"enabled": True}}, "needs chamber.keys.generate.backup.recipients"),
        ({"backup": {"recipients": [RECIPIENT[:-1]]}}, "item 1: an age recipient has 62 characters"),
    ):
        other = make_daemon(keys=[], config={"chamber": {"keys": {"generate": config}}})
        result = other.command("config", "check", "-c", other.config_path, check=False)
        assert result.returncode == EXIT_REFUSED and text in result.stdout + result.stderr, (config, result)


def test_bad_requests(signer):
    for body, expected in (
        ({}, 400),
        ({"count": 0}, 400),
        ({"count": 101}, 413),
        ({"count": 1, "mnemonic": "abandon"}, 400),
        ({"count": 1, "withdrawal_address": "0x" + "00" * 20}, 400),
        ({"count": 1, "withdrawal_address": ADDRESS.replace("Bb", "bB")}, 400),
        ({"count": 1, "withdrawal_address": ADDRESS, "amount_gwei": 33_000_000_000}, 400),
        ({"count": 1, "amount_gwei": 1_000_000_000}, 400),
    ):
        checked(signer, "POST", GENERATE, body, expected)
    assert chamber_list(signer)[0] == {}
    code, _, _ = signer.post(GENERATE, json.dumps({"count": 1}).encode())
    assert code == 401


def test_without_a_key_store_nothing_is_made(make_daemon):
    daemon = start(make_daemon, config={**settings(), "key_sources": {"sqlite": {"enabled": False}}})
    checked(daemon, "POST", GENERATE, {"count": 1}, 409)


def test_a_sealed_chamber_makes_none(signer):
    code, _ = call(signer, "POST", "/api/v1/chamber/seal")
    assert code == 200
    code, answer = call(signer, "POST", GENERATE, {"count": 1})
    assert code == 503 and "backup" not in answer, answer


def test_P07_new_keys_are_in_quarantine(make_daemon):
    clock = {"genesis_time": int(time.time()) - 100 * EPOCH_SECONDS - 1, "anti_slashing": {"max_future_epochs": 1000}}
    daemon = start(make_daemon, config={**settings(), **clock}, quarantine=2)
    (item,) = checked(daemon, "POST", GENERATE, {"count": 1})["data"]
    wait_for("the key to be active", lambda: chamber_list(daemon)[0][item["pubkey"]][0] == "active")
    code, _, content = daemon.sign(item["pubkey"], messages.attestation(100, 101))
    assert code == 412 and b"QUARANTINED" in content, content
    assert daemon.sign(item["pubkey"], messages.attestation(109, 110))[0] == 200


def test_keys_are_made_only_while_the_chamber_is_open_and_follow_a_new_master_key(make_daemon, tmp_path):
    operators = [test_ceremony.Operator(tmp_path, name) for name in test_ceremony.NAMES]
    daemon = test_ceremony.begin(make_daemon, **settings())
    assert call(daemon, "POST", GENERATE, {"count": 1})[0] == 503
    test_ceremony.make_operators_chamber(daemon, operators)
    code, answer = call(daemon, "POST", GENERATE, {"count": 1})
    assert code == 503 and "backup" not in answer, answer
    test_ceremony.unseal(daemon, *operators[:2])
    names = [item["pubkey"] for item in checked(daemon, "POST", GENERATE, {"count": 2})["data"]]
    test_ceremony.approve(daemon, test_ceremony.rotate(daemon, "master"), *operators[:2])
    test_ceremony.rotated(daemon, 2)
    names += [item["pubkey"] for item in checked(daemon, "POST", GENERATE, {"count": 2})["data"]]
    assert daemon.stop() == 0
    daemon.start(ready=False)
    wait_for("sealed", lambda: test_ceremony.state(daemon) == "sealed")
    test_ceremony.unseal(daemon, *operators[1:])
    for name in names:
        wait_for("a signature", lambda name=name: daemon.sign(name, messages.attestation(1, 2))[0] == 200)


# --- the command line --------------------------------------------------------------------------------------------------------


def test_the_command_writes_backups_and_deposits(signer, tmp_path):
    result = keys(signer, "generate", "--count", "5", "--items", "2", "--withdrawal-address", ADDRESS, "--out-dir", tmp_path)
    assert result.returncode == EXIT_DONE, result
    assert result.stdout.endswith("5 generated, 0 failed\n")
    backups = sorted(tmp_path.glob("mnemonic-*.age"))
    assert len(backups) == 3 and all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in backups)
    (file,) = tmp_path.glob("deposit_data-*.json")
    deposits = json.loads(file.read_text())
    assert {"0x" + d["pubkey"] for d in deposits} == set(chamber_list(signer)[0]) and len(deposits) == 5
    for path, count in zip(backups, (2, 2, 1)):
        here = [key["pubkey"] for key in derived(open_backup(path.read_text(), tmp_path), count)]
        assert all(pubkey in {d["pubkey"] for d in deposits} for pubkey in here)


def test_the_command_without_deposits_and_its_refusals(signer, tmp_path):
    result = keys(signer, "generate", "--count", "2", "--items", "1", "--inactive", "--out-dir", tmp_path, "--json")
    assert result.returncode == EXIT_DONE, result
    answers = json.loads(result.stdout)["answers"]  # one object, with an answer for each mnemonic
    assert [[item["status"] for item in answer["data"]] for answer in answers] == [["generated"]] * 2
    assert {answer["backup"] for answer in answers} == {path.read_text() for path in tmp_path.iterdir()}
    assert [path.suffix for path in tmp_path.iterdir()] == [".age"] * 2
    assert [row[0] for row in chamber_list(signer)[0].values()] == ["inactive"] * 2
    for arguments in (
        ["generate"],
        ["generate", "--count", "0"],
        ["generate", "--count", "x"],
        ["generate", "--count", "1", "--amount", "32000000000x"],
        ["generate", "--count", "1", "--compounding"],
        ["generate", "--count", "1", "--withdrawal-address", "0x12"],
        ["generate", "--count", "1", "--withdrawal-address", ADDRESS.replace("Bb", "bB")],
        ["generate", "--count", "1", "--withdrawal-address", ADDRESS, "--amount", "33000000000"],
        ["deposit-data", "--key", "0x12", "--network", "minimal"],
        ["deposit-data", "--network", "minimal", "--withdrawal-address", ADDRESS],
    ):
        assert keys(signer, *arguments).returncode == EXIT_USAGE, arguments
    assert keys(signer, "generate", "--count", "1", "--out-dir", tmp_path / "none").returncode == EXIT_FAILED
    assert keys(signer, "generate", "--count", "101", "--items", "101", "--out-dir", tmp_path).returncode == EXIT_REFUSED
    assert len(chamber_list(signer)[0]) == 2


def test_deposit_data_of_keys_that_are_here(make_daemon, tmp_path):
    daemon = start(make_daemon, config={**settings(), "auth": {"open_operations": ["*", "DEPOSIT"]}})
    made = tmp_path / "made"
    again = tmp_path / "again"
    made.mkdir()
    again.mkdir()
    common = ["--withdrawal-address", ADDRESS, "--compounding", "--amount", "64000000000"]
    assert keys(daemon, "generate", "--count", "2", *common, "--out-dir", made).returncode == EXIT_DONE
    (file,) = made.glob("deposit_data-*.json")
    deposits = json.loads(file.read_text())
    names = ",".join("0x" + d["pubkey"] for d in deposits)
    for name in names.split(","):
        wait_for("the key to be active", lambda name=name: chamber_list(daemon)[0][name][0] == "active")
    result = keys(daemon, "deposit-data", "--key", names, "--network", "minimal", *common, "--out-dir", again)
    assert result.returncode == EXIT_DONE, result
    (file,) = again.glob("deposit_data-*.json")
    assert json.loads(file.read_text()) == deposits
    (tmp_path / "json").mkdir()
    shown = keys(daemon, "deposit-data", "--key", names, "--network", "minimal", *common, "--out-dir", tmp_path / "json", "--json").stdout
    assert json.loads(shown) == deposits
    assert keys(daemon, "deposit-data", "--key", "0x" + "aa" * 48, "--network", "minimal", *common, "--out-dir", again).returncode != EXIT_DONE
    assert len(list(again.iterdir())) == 1


@contextlib.contextmanager
def signer_that_says(answer):
    """The URL of something that answers every POST so."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_signer_with_another_address_gets_no_deposit_into_the_file(signer, tmp_path):
    other = "0x" + "99" * 20
    answer = checked(signer, "POST", GENERATE, {"count": 1, "withdrawal_address": other})
    honest = json.dumps(answer)
    answer["data"][0]["deposit_data"]["withdrawal_credentials"] = "01" + "00" * 11 + ADDRESS[2:].lower()
    arguments = ["keys", "generate", "--count", "1", "--out-dir", tmp_path]
    for said, address, expected in ((answer, ADDRESS, EXIT_FAILED), (json.loads(honest), ADDRESS, EXIT_FAILED), (json.loads(honest), other, EXIT_DONE)):
        for path in tmp_path.iterdir():
            path.unlink()
        with signer_that_says(said) as url:
            result = signer.command(*arguments, "--withdrawal-address", address, "--signer-url", url, check=False)
        assert result.returncode == expected, result
        assert len(list(tmp_path.glob("deposit_data-*.json"))) == (expected == EXIT_DONE)
        assert len(list(tmp_path.glob("mnemonic-*.age"))) == 1  # the backup is kept, whatever the deposits are worth
