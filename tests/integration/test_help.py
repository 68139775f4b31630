"""Each command teaches by --help, and what says --json writes JSON, to standard output alone."""
import json
import re
import shlex
import subprocess

import interop
import pytest
from daemon import binary_with_switches, fresh_dir, Daemon
from test_slashing_cli import KEY, interchange, validator

# What other tests run with --json: it takes an enclave's document, or measures for seconds.
ELSEWHERE = {"bench": "test_bench.py", "attest": "test_attest.py"}


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
    assert out.strip() not in said
    return answer


def test_json_while_no_signer_runs(signer):
    config = ("-c", signer.config_path)
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", json_of("version")["version"])
    assert json_of("doctor", *config)["checks"][0]["name"] == "configuration"
    assert json_of("slashing", "import", *config, "--from", signer.path / "in.json") == {
        "validators": 1, "blocks": 2, "attestations": 2, "known": 0, "contradictory": 0}  # fmt: skip
    assert json_of("slashing", "status", *config)
    assert json_of("slashing", "verify", *config)
    assert json_of("slashing", "prune", *config, "--keep-epochs", "1000")
    report = json_of("audit", "verify", *config)
    assert report["intact"] is True and report["report"][0].startswith("audit log intact")


def test_json_of_a_signer_that_runs(signer):
    if signer.process is None:
        signer.start()
    at = ("--signer-url", f"unix:{signer.admin_path}")
    assert json_of("slashing", "import", *at, "--from", signer.path / "in.json")["known"] in (0, 4)
    assert json_of("slashing", "status", *at)
    assert interop.PUBKEYS[0] in json.dumps(json_of("keys", "list", *at))
    assert json_of("keys", "pause", "--key", interop.PUBKEYS[0], *at)
    assert json_of("keys", "resume", "--all", *at)
    assert json_of("operator", "status", "-c", signer.config_path)
    assert json_of("auth", "policy", "list", "-c", signer.config_path) is not None
    assert json_of("auth", "token", "list", "-c", signer.config_path) is not None


def test_no_command_with_json_is_left_out():
    says = {command for command in commands() if "--json" in usage(command)}
    run_here = set(re.findall(r'json_of\("(\w+)"', open(__file__, encoding="utf-8").read()))
    assert says == run_here | set(ELSEWHERE)
