"""Each command teaches by --help, and what says --json writes JSON, to standard output alone."""
import json
import pathlib
import re
import shlex
import subprocess

import interop
import pytest
from daemon import binary_with_switches, fresh_dir, Daemon
from test_completion import complete
from test_slashing_cli import KEY, interchange, validator

# What has no --json, and why.
WITHOUT_JSON = {
    ("server",): "runs until it is stopped; logging.format says how it speaks",
    ("attest", "proxy"): "runs until it is stopped",
    ("enclave", "proxy"): "runs until it is stopped",
    ("web3signer",): "is started as Web3Signer is, with that one's options alone",
    ("config", "dump"): "standard output is the YAML that was asked for",
    ("config", "example"): "standard output is the YAML that was asked for",
    ("config", "document"): "standard output is the Markdown that was asked for",
    ("help",): "is for people",
}
# What other tests run with --json: it takes an enclave's document, measures for seconds, or needs keys and databases.
ELSEWHERE = {
    ("bench",): "test_bench.py",
    ("attest", "verify"): "test_attest.py",
    ("keys", "import"): "test_chamber_keys.py",
    ("keys", "generate"): "test_key_generate.py",
    ("keys", "deposit-data"): "test_key_generate.py",
    ("keys", "forget-store"): "test_key_move.py",
    ("keys", "move"): "test_key_move.py",
    ("migrate", "web3signer"): "test_migrate.py",
    ("slashing", "migrate"): "test_replicas.py",
}


def run(*arguments, code=0, environment=None):
    """(standard output, standard error)"""
    result = subprocess.run([binary_with_switches(), *map(str, arguments)], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=60, check=False)  # fmt: skip
    assert result.returncode == code, f"{arguments}: {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout, result.stderr


def commands():
    return re.findall(r"^  (\w+) ", run("help")[0], flags=re.M)


def usage(command):
    return run("help", command)[0]


def flags_of(line):
    return set(re.findall(r"(?<=\s)(--?[a-z][a-z-]*)", line.split(" -- ")[0]))


def configuration_flags():
    paths = re.findall(r"^### `([a-z0-9_.]+)`", run("config", "document")[0], flags=re.M)
    assert len(paths) > 100
    return {"--" + re.sub(r"[._]", "-", path) for path in paths} | {"-c", "--config", "--set"}


def test_each_command_has_examples_of_what_it_takes():
    known = configuration_flags()
    for command in commands():
        text = usage(command)
        examples = re.search(r"\n\nexamples:\n((?:  containment-chamber .+\n)+)$", text)
        assert examples, f"{command}: no examples\n{text}"
        for line in examples[1].splitlines():
            words = shlex.split(line, comments=True)
            assert words[1] == command, line
            taken = text[: examples.start()] + (run("help", *words[1:3])[0] if command == "operator" else "")
            own = set(re.findall(r"--?[a-z][a-z-]*", taken))
            theirs = {"--key-store-path", "--network", "--slashing-protection-db-url"} if command in ("web3signer", "migrate") else set()
            assert flags_of(line) <= own | known | theirs, f"{line}: takes no {flags_of(line) - own - known - theirs}"


def test_each_subcommand_of_operator_has_one_too():
    names = re.search(r"operator ([^\[]+?)\n +\[--json\]", usage("operator"))[1].replace("kms|quorum|mode|master", "")
    names = [words.split()[0] for words in names.split("|")]
    assert {"status", "rotate", "propose", "generate-root-token"} <= set(names)
    known = configuration_flags()
    for name in names:
        parts = run("help", "operator", name)[0].split("usage: ")[1:]
        assert len(parts) == (4 if name == "rotate" else 1)
        for part in parts:
            taken, line = re.fullmatch(r"(.*)\n\nexample:\n  (containment-chamber operator .+)\n+", part, flags=re.S).groups()
            assert part.startswith(" ".join(line.split()[: 4 if name in ("rotate", "propose") else 3])), line
            assert flags_of(line) <= set(re.findall(r"--?[a-z][a-z-]*", taken)) | known, line


def test_errors_name_the_next_command():
    assert "there is no command sing" in run("sing", code=2)[1]
    for arguments in (["keys"], ["slashing"], ["doctor", "--jsno"], ["operator"], ["auth"], ["audit"], ["config"], ["enclave"], ["attest"], ["migrate"]):
        assert f"Try `containment-chamber help {arguments[0]}`." in run(*arguments, code=2)[1], arguments
    assert "containment-chamber init -c FILE" in run("server", "--data-dir", "/nonexistent/none", code=3)[1]
    nowhere = ("--data-dir", "/nonexistent/none")
    for code, command, arguments in (
        (1, "init -c FILE", ["slashing", "status", *nowhere]),
        (3, "init -c FILE", ["slashing", "status", *nowhere, "--anti-slashing-backend", "noop", "--anti-slashing-i-accept-slashing-risk", "true"]),
        (3, "init -c FILE", ["slashing", "migrate", *nowhere]),
        (1, "server -c FILE", ["keys", "list", "--signer-url", "unix:/nonexistent/none"]),
        (3, "config check -c /nonexistent/none", ["slashing", "status", "-c", "/nonexistent/none"]),
        (3, "config example", ["config", "check", "-c", "/nonexistent/none"]),
        (2, "help init", ["init", *nowhere, "--identity", "identity.pub"]),
        (3, "slashing export", ["backup", "--to", "/nonexistent/backup", *nowhere, "--anti-slashing-backend", "dynamodb", "--anti-slashing-table", "none",
                                "--aws-region", "eu-central-1"]),
    ):  # fmt: skip
        assert f"`containment-chamber {command}" in run(*arguments, code=code)[1], arguments


def test_colours_are_for_terminals_alone(workdir):
    """Under script(1) standard output is a terminal."""
    command = shlex.join([str(binary_with_switches()), "doctor", "--data-dir", str(workdir / "data")])

    def seen(environment):
        result = subprocess.run(["script", "-qec", command, "/dev/null"], env={"PATH": "/usr/bin:/bin", "TERM": "xterm", **environment},
                                stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)  # fmt: skip
        assert b"configuration" in result.stdout
        return b"\033[" in result.stdout

    assert seen({}) and seen({"NO_COLOR": ""})
    assert not seen({"NO_COLOR": "1"})
    assert "\033" not in run("doctor", "--data-dir", workdir / "data")[0]


@pytest.fixture(scope="module", name="signer")
def signer_():
    """One signer for all of them, its history with something in it and one management key."""
    daemon = Daemon(fresh_dir("test_help"), keys=interop.SECRETS[:2], config={"auth": {"mode": "open"}})
    daemon.init()
    (daemon.path / "in.json").write_text(json.dumps(interchange(validator(KEY, [7, 9], [(1, 2), (2, 3)]))))
    yield daemon
    daemon.end()


def json_of(*arguments, code=0):
    out, said = run(*arguments, "--json", code=code)
    answer = json.loads(out)
    assert isinstance(answer, dict) and out.strip() not in said
    return answer


def lines_of(*arguments):
    return run(*arguments)[0].splitlines()


def test_json_while_no_signer_runs(signer):
    config = ("-c", signer.config_path)
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", json_of("version")["version"])
    assert json_of("doctor", *config)["checks"][0]["name"] == "configuration"
    assert json_of("slashing", "import", *config, "--from", signer.path / "in.json") == {
        "validators": 1, "blocks": 2, "attestations": 2, "known": 0, "contradictory": 0}  # fmt: skip
    status = json_of("slashing", "status", *config)
    for line in (f"history id              {status['history_id']}", f"validators              {status['validators']}"):
        assert line in lines_of("slashing", "status", *config)
    assert json_of("slashing", "verify", *config)["faulty"] == 0
    assert json_of("slashing", "prune", *config, "--keep-epochs", "1000") == {"removed": 0, "keep_epochs": "1000"}
    report = json_of("audit", "verify", *config)
    assert report == {"intact": True, "report": lines_of("audit", "verify", *config)}
    out = signer.path / "audit.jsonl"
    assert json_of("audit", "export", "--out", out, *config) == {**report, "out": str(out), "lines": len(out.read_text().splitlines())}
    assert out.read_text() == run("audit", "export", *config)[0]


def test_json_of_a_configurations_faults(signer):
    config = ("-c", signer.config_path)
    assert json_of("config", "check", *config) == {"valid": True, "faults": []}
    assert "is valid" in run("config", "check", *config)[1]
    wrong = (*config, "--server-listen-port", "65536", "--set", "nothing.such=1")
    answer = json_of("config", "check", *wrong, code=3)
    said = run("config", "check", *wrong, code=3)[1].splitlines()
    assert answer["valid"] is False and answer["faults"] == said[:-1] and len(said) == 3
    assert json_of("config", "check", *config, "--network", "atlantis", code=3)["faults"]


def test_json_of_a_history_that_is_handed_over(signer):
    """Each answer says what the words say; so does a running signer's (test_json_of_a_signer_that_runs)."""
    config = ("-c", signer.config_path)
    exported, token = signer.path / "out.json", signer.path / "token"
    answer = json_of("slashing", "export", "--to", exported, *config)
    assert answer == {"to": str(exported), "validators": len(json.loads(exported.read_text())["data"])}
    assert run("slashing", "export", "--to", "-", *config) == (exported.read_text(), f"{answer['validators']} validators exported\n")
    high = json_of("slashing", "hand-over", "--epoch", 900, *config)["high_watermark"]
    first = lines_of("slashing", "hand-over", "--epoch", 900, *config)[0]
    assert first == f"this history signs nothing from epoch {high['epoch']}, slot {high['slot']} on;"
    assert json_of("slashing", "hand-over", "--epoch", 900, "--to", token, *config) == {"high_watermark": high, "to": str(token)}
    assert f"\nepoch {high['epoch']}\n" in token.read_text()
    assert json_of("slashing", "hand-over", "--cancel", "--force", *config) == {"high_watermark": None}
    repaired = json_of("slashing", "repair-watermark", "--epoch", 5, *config)
    assert [f"{repaired['validators']} validators sign nothing up to epoch {repaired['epoch']}, slot {repaired['slot']}"] == lines_of(
        "slashing", "repair-watermark", "--epoch", 5, *config)  # fmt: skip
    assert json_of("slashing", "enable", "--key", KEY, *config) == {"enabled": True}
    assert lines_of("slashing", "enable", "--key", KEY, *config)[0].startswith("enabled")


def test_json_of_what_is_made(signer):
    config = ("-c", signer.config_path)
    new = Daemon(fresh_dir("test_help_made"), config={"auth": {"mode": "open"}})
    made = json_of("init", "-c", new.config_path)
    assert made == {"data_dir": str(new.data_dir), "outcome": "made", "history_id": json_of("slashing", "status", "-c", new.config_path)["history_id"]}
    key, root = signer.path / "owner.key", signer.path / "root.key"
    owner = json_of("auth", "owner-key", "--to", key, "--name", "alice")
    assert re.fullmatch("alice=[0-9a-f]{64}", owner["row"]) and owner == {"to": str(key), "name": "alice", "row": owner["row"]}
    assert key.read_text().startswith("cc_owner_") and key.read_text().strip() not in json.dumps(owner)
    management = json_of("operator", "generate-root-token", "--to", root)
    assert management["to"] == str(root) and re.fullmatch("[0-9a-f]{64}", management["public_key"])
    backup = json_of("backup", "--to", signer.path / "backup", *config)
    new.data_dir.rename(new.path / "away")
    restored = json_of("restore", "--from", backup["to"], "--chamber-key", signer.data_dir / "chamber.key", "--digest", backup["digest"],
                       "--epoch", 50, "-c", new.config_path)  # fmt: skip
    assert restored["epoch"] == "50" and restored["handed_over"] is False and restored["data_dir"] == str(new.data_dir)
    assert "sign no block up to slot" in restored["report"][0] and "keys resume --all" in restored["report"][-1]
    assert json_of("keys", "stores", *config) == {"stores": [], "complete": True}
    assert lines_of("keys", "stores", *config) == ["no key store has been used here"]
    assert json_of("operator", "unseal", *config) == {"report": lines_of("operator", "unseal", *config)}


@pytest.mark.parametrize("words", [
    ("slashing", "export", "--to", "-"), ("slashing", "hand-over", "--epoch", "9", "--to", "-"), ("audit", "export"), ("audit", "export", "--out", "-"),
    ("keys", "delete", "--key", KEY, "--to", "-"), ("migrate", "web3signer", "--", "eth2")])  # fmt: skip
def test_no_object_is_mixed_with_what_was_asked_for(words):
    """Nothing is done, and the option that takes a file is named."""
    at = words.index("--") if "--" in words else len(words)
    out, said = run(*words[:at], "--json", *words[at:], code=2)
    assert out == "" and "--json" in said and re.search(r"give a file: --(to|out)\n", said)


def test_json_of_a_signer_that_runs(signer):
    if signer.process is None:
        signer.start()
    at = ("--signer-url", f"unix:{signer.admin_path}")
    config = ("-c", signer.config_path)
    assert json_of("slashing", "import", *at, "--from", signer.path / "in.json")["known"] in (0, 4)
    assert json_of("slashing", "status", *at)
    assert json_of("slashing", "hand-over", "--epoch", 900, *at)["high_watermark"]["epoch"] == "900"
    assert json_of("slashing", "hand-over", "--cancel", "--force", *at) == {"high_watermark": None}
    assert json_of("slashing", "repair-watermark", "--epoch", 5, *at)["epoch"] == "5"
    assert json_of("slashing", "enable", "--key", KEY, *at) == {"enabled": True}
    assert interop.PUBKEYS[0] in json.dumps(json_of("keys", "list", *at))
    assert json_of("keys", "pause", "--key", interop.PUBKEYS[0], *at)
    assert json_of("keys", "resume", "--all", *at)
    for done in (json_of("keys", "activate", "--key", interop.PUBKEYS[0], *at, code=1),
                 json_of("keys", "deactivate", "--key", interop.PUBKEYS[0], *at, code=1),
                 json_of("keys", "delete", "--key", interop.PUBKEYS[0], "--to", signer.path / "deleted.json", *at, code=1)):  # fmt: skip
        assert [one["status"] for one in done["data"]] == ["error"]  # a file's
    assert json_of("operator", "status", *config)


def test_json_of_access(signer):
    if signer.process is None:
        signer.start()
    config = ("-c", signer.config_path)
    key = signer.path / "management.key"
    key.touch(0o600)
    key.write_text(json_of("auth", "bootstrap", *config)["management_key"])
    at = ("--signer-url", f"unix:{signer.admin_path}", "--auth-token", f"file:{key}")
    rules = signer.path / "policy.json"
    rules.write_text(json.dumps({"rules": [{"effect": "allow", "scopes": ["slashing_export"]}]}))
    assert json_of("auth", "policy", "put", "watchers", "--from", rules, *at) is not None
    assert json_of("auth", "policy", "list", *at)["policies"] == lines_of("auth", "policy", "list", *at)
    assert json_of("auth", "policy", "get", "watchers", *at) == json.loads(run("auth", "policy", "get", "watchers", *at)[0])
    assert json_of("auth", "token", "create", "one", "--policy", "watchers", *at)["token"].startswith("cc_token_")
    [token] = json_of("auth", "token", "list", *at)["tokens"]
    assert lines_of("auth", "token", "list", *at)[0].startswith(f"{token['name']}  policies={token['policies'][0]}  ")
    assert json_of("auth", "token", "revoke", "one", *at) is not None
    assert json_of("auth", "policy", "delete", "watchers", *at) is not None
    assert json_of("auth", "unlatch", *config) is not None


def subcommands():
    """("version",), ("keys", "list"), ("auth", "policy", "put"): as the completion has them."""
    for command in commands():
        for word in sorted(set(complete(command, ""))) if command != "help" else []:
            seconds = {second for second in complete(command, word, "") if not second.startswith("-")} if not word.startswith("-") else set()
            yield from ((command, word, second) for second in sorted(seconds))
            if not seconds:
                yield (command,) if word.startswith("-") else (command, word)
        if command == "help":
            yield (command,)


def test_every_subcommand_has_json_or_a_reason():
    seen = set(subcommands())
    assert len(seen) > 50 and {("version",), ("keys", "stores"), ("auth", "policy", "put"), ("operator", "rotate", "kms")} <= seen
    without = {path for path in seen if path == ("help",) or "--json" not in complete(*path, "--")}
    assert without == set(WITHOUT_JSON)


def test_no_command_with_json_is_left_out():
    """Those of `operator` read it in one place, and print the signer's own answer in another."""
    here = open(__file__, encoding="utf-8").read()
    says = {path for path in subcommands() if path not in WITHOUT_JSON and path[0] != "operator"}
    run_here = {path for path in says if "json_of(" + ", ".join(f'"{word}"' for word in path) in here}
    assert says == run_here | set(ELSEWHERE) and not run_here & set(ELSEWHERE)
    for path, name in ELSEWHERE.items():
        text = (pathlib.Path(__file__).parent / name).read_text(encoding="utf-8")
        assert "--json" in text and path[-1] in text, name
