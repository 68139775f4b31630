"""What is delivered beside the program: the manual page and the systemd unit."""
import re
import shutil
import subprocess

import pytest

from daemon import SOURCE_DIR, binary_with_switches

MANUAL = SOURCE_DIR / "docs/man/containment-chamber.1.scd"
UNIT = SOURCE_DIR / "deploy/systemd/containment-chamber.service"


def need(tool):
    if shutil.which(tool) is None:
        pytest.skip(f"left out: no {tool}")


def test_the_manual_is_well_formed():
    need("scdoc")
    page = subprocess.run(["scdoc"], stdin=MANUAL.open(), capture_output=True, text=True, check=False)
    assert page.returncode == 0, page.stderr
    assert ".SH EXIT STATUS" in page.stdout


def test_the_manual_names_every_command():
    usage = subprocess.run([binary_with_switches(), "help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  (\w+) ", usage, flags=re.M)
    assert {"init", "server", "config"} <= set(commands)
    manual = MANUAL.read_text()
    assert [c for c in commands if f"*containment-chamber {c}*" not in manual] == []


def test_each_command_explains_itself():
    usage = subprocess.run([binary_with_switches(), "help"], capture_output=True, text=True, check=True).stdout
    for command in re.findall(r"^  (\w+) ", usage, flags=re.M):
        for arguments in ([command, "--help"], [command, "-h"], ["help", command]):
            result = subprocess.run([binary_with_switches(), *arguments], capture_output=True, text=True, check=False)
            assert result.returncode == 0, arguments
            assert result.stdout.startswith(f"usage: containment-chamber {command}"), arguments


def test_config_check_finds_a_network_that_is_none():
    for network in ("mainet", "/nowhere/config.yaml"):
        command = [binary_with_switches(), "config", "check", "--set", f"network={network}"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 3 and network in result.stderr, result.stderr


def test_config_check_finds_key_paths_that_are_none(workdir):
    config = workdir / "config.yaml"
    keys = workdir / "keys"
    keys.mkdir()
    (keys / "notes.txt").write_text("no key")
    (workdir / "password").write_text("p")

    def check(paths, **more):
        lines = ["key_sources:", "  filesystem:", f"    paths: [{', '.join(map(str, paths))}]"]
        config.write_text("\n".join([*lines, *(f"    {name}: {path}" for name, path in more.items())]) + "\n")
        command = [binary_with_switches(), "config", "check", "-c", config]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        return result.returncode, result.stderr

    code, said = check([keys], passwords_path=keys, password_file=workdir / "password")
    assert code == 0, said
    code, said = check([keys, workdir / "none", keys / "notes.txt"], passwords_path=workdir / "lost", password_file=workdir / "gone")
    assert code == 3
    lines = said.splitlines()
    assert lines == [
        f"{config}:3: key_sources.filesystem.paths: {workdir}/none: no such file or directory",
        f"{config}:3: key_sources.filesystem.paths: {keys}/notes.txt: neither a directory nor .yaml, .yml or .json",
        f"{config}:4: key_sources.filesystem.passwords_path: {workdir}/lost: no such file or directory",
        f"{config}:5: key_sources.filesystem.password_file: {workdir}/gone: no such file",
    ]
    by_flag = subprocess.run(
        [binary_with_switches(), "config", "check", "--key-sources-filesystem-paths", workdir / "none"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert by_flag.returncode == 3
    assert by_flag.stderr.startswith("--key-sources-filesystem-paths: key_sources.filesystem.paths: ")


def test_the_unit_is_one_that_systemd_takes(workdir):
    need("systemd-analyze")
    unit = workdir / "containment-chamber.service"
    text = UNIT.read_text().replace("/usr/bin/containment-chamber", "/bin/true")
    unit.write_text(re.sub(r"^Documentation=.*$", "", text, flags=re.M))  # the page is not installed here
    result = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    ours = [line for line in result.stderr.splitlines() if "containment-chamber.service" in line]
    assert ours == []


def test_the_unit_waits_longer_than_the_drain():
    example = subprocess.run([binary_with_switches(), "config", "example"], capture_output=True, text=True, check=True)
    drain = int(re.search(r"^  drain_seconds: (\d+)$", example.stdout, flags=re.M).group(1))
    stop = int(re.search(r"^TimeoutStopSec=(\d+)s$", UNIT.read_text(), flags=re.M).group(1))
    assert stop >= drain + 2 + 5 + 3  # the grace of the front, the ends of core and vault (app/supervisor.c)
