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
