"""`doctor`: the real program on machines, files and databases that are as they shouldn't be; each check is seen to find it."""
import json
import os
import pathlib
import re
import socket
import subprocess

import interop
import messages
import pytest
from daemon import SOURCE_DIR, binary_with_switches

WITHOUT = pathlib.Path(__file__).parent / "without"
DOCUMENTED = re.findall(r"^## (.+)$", (SOURCE_DIR / "docs/doctor.md").read_text(), flags=re.M)


def doctor(*arguments, before=(), environment=None):
    """(exit code, {name: check}, standard error)"""
    command = [*map(str, before), str(binary_with_switches()), "doctor", "--json", *map(str, arguments)]
    result = subprocess.run(command, env={"PATH": "/usr/bin:/bin", **(environment or {})}, capture_output=True, text=True, timeout=60, check=False)
    report = json.loads(result.stdout)
    statuses = [check["status"] for check in report["checks"]]
    assert {name: report[name] for name in ("ok", "skip", "warn", "fail")} == {name: statuses.count(name) for name in ("ok", "skip", "warn", "fail")}
    assert result.returncode == (1 if report["fail"] else 0), result.stderr
    return result.returncode, {check["name"]: check for check in report["checks"]}, result.stderr


def statuses(checks, *names):
    return {name: checks[name]["status"] for name in names}


def as_kernel(path, files):
    """A folder in the place of /, in which the kernel says `files`."""
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return {"CC_TEST_HOST_ROOT": str(path)}


def test_a_machine_that_lacks_what_hides_keys(workdir):
    kernel = as_kernel(workdir / "host", {
        "proc/sys/kernel/yama/ptrace_scope": "0\n",
        "proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n/dev/disk-without-a-lock partition 1 0 -2\n",
        "sys/kernel/kexec_crash_loaded": "1\n",
    })  # fmt: skip
    lacks = [WITHOUT, "memfd_secret,landlock_create_ruleset,unshare,adjtimex,clock_adjtime", "prlimit", "--nofile=256:256"]
    quiet = ("--network", "minimal", "--genesis-validators-root", messages.MINIMAL_GENESIS_ROOT, "--server-listen-port", "0", "--metrics-listen-port", "0")
    code, checks, _ = doctor("--data-dir", workdir / "data", *quiet, before=lacks, environment=kernel)
    names = ("debuggers", "swap", "crash kernel", "hidden memory", "landlock", "empty network", "open files", "clock")
    assert statuses(checks, *names) == dict.fromkeys(names, "warn")
    assert code == 0
    assert checks["swap"]["found"].startswith("/dev/disk-without-a-lock")
    assert "256" in checks["open files"]["found"]


def test_a_machine_on_which_no_room_can_be_locked(workdir):
    less = [] if os.geteuid() else ["setpriv", "--bounding-set=-sys_resource,-ipc_lock"]
    lacks = [*less, "prlimit", "--memlock=65536:65536", WITHOUT, "seccomp,prctl"]
    code, checks, _ = doctor("--data-dir", workdir / "data", before=lacks)
    names = ("locked memory", "core dumps", "system calls")
    assert statuses(checks, *names) == dict.fromkeys(names, "fail")
    assert code == 1
    assert "RLIMIT_MEMLOCK" in checks["locked memory"]["fix"]


def test_a_configuration_that_is_not_valid(workdir):
    config = workdir / "config.yaml"
    config.write_text("server:\n  listen_prot: 1\n")
    code, checks, said = doctor("-c", config)
    assert code == 1 and "listen_prot" in said
    assert checks["configuration"]["status"] == "fail"
    assert checks["ports"]["status"] == "skip" and "not valid" in checks["ports"]["found"]


@pytest.fixture
def chamber(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1], config={"auth": {"mode": "open"}})
    daemon.init()
    return daemon


def test_files_that_others_read_or_write(chamber):
    """Every one is right first, so that it is the change which is found."""
    names = ("data directory", "configuration file", "key files", "password files", "ports")
    (chamber.keys_dir / "more.json").write_text("{}")
    (chamber.keys_dir / "more.json").chmod(0o600)
    password = chamber.keys_dir / "more.txt"
    password.write_text("p")
    password.chmod(0o600)
    chamber.config_path.chmod(0o644)
    _, checks, _ = doctor("-c", chamber.config_path)
    assert statuses(checks, *names, "configuration") == dict.fromkeys((*names, "configuration"), "ok")
    for path, mode in ((chamber.data_dir, 0o755), (chamber.config_path, 0o666), (chamber.keys_dir / "more.json", 0o644), (password, 0o640)):
        path.chmod(mode)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        strict = ("--key-sources-filesystem-strict-permissions", "true", "--server-listen-port", taken.getsockname()[1])
        code, checks, said = doctor("-c", chamber.config_path, *strict)
    assert statuses(checks, *names) == dict.fromkeys(names, "fail")
    assert code == 1 and "cannot listen for the API" in said
    assert "in use" in checks["ports"]["found"] and "more.json" in checks["key files"]["found"]


def test_a_signer_that_runs_has_its_ports(chamber):
    chamber.start()
    taken = ("--server-listen-port", chamber.http_port, "--metrics-listen-port", chamber.metrics_port)
    _, checks, _ = doctor("-c", chamber.config_path, *taken)
    assert checks["ports"] | {"found": ""} == checks["ports"] | {"found": "", "status": "ok"}
    assert "a signer runs" in checks["ports"]["found"]
    assert chamber.stop() == 0


def test_a_history_in_memory():
    """tmpfs: refused where money is, told elsewhere; it answers before any disk can have written."""
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("left out: no /dev/shm")
    code, checks, _ = doctor("--data-dir", "/dev/shm", "--network", "mainnet")
    assert (code, checks["file system"]["status"]) == (1, "fail")
    assert checks["disk flush"]["status"] == "warn" and "memory" in checks["disk flush"]["found"]
    _, checks, _ = doctor("--data-dir", "/dev/shm", "--network", "minimal")
    assert checks["file system"]["status"] == "warn"


def test_what_is_elsewhere_is_asked_only_on_demand(workdir):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = workdir / "config.yaml"
    config.write_text(f"""\
data_dir: {workdir}/data
anti_slashing: {{backend: postgres, url: "postgresql://nobody@127.0.0.1:{port}/none"}}
signer_state: {{backend: dynamodb, table: none}}
aws: {{region: eu-central-1, dynamodb_endpoint_url: "http://127.0.0.1:{port}"}}
""")
    keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "none"}
    _, checks, said = doctor("-c", config, environment=keys)
    assert statuses(checks, "databases", "tables") == {"databases": "skip", "tables": "skip"}, said
    assert "--connect" in checks["databases"]["found"] and "--connect" in checks["tables"]["found"]
    code, checks, _ = doctor("-c", config, "--connect", environment=keys)
    assert code == 1
    assert statuses(checks, "databases", "tables") == {"databases": "fail", "tables": "fail"}
    assert "anti_slashing.url" in checks["databases"]["found"] and "signer_state.table (none)" in checks["tables"]["found"]


def test_each_check_is_documented_and_shown(workdir):
    result = subprocess.run([binary_with_switches(), "doctor", "--data-dir", workdir / "data"], capture_output=True, text=True, timeout=60, check=False)
    assert re.findall(r"^(?:ok|skip|warn|fail) +([a-z ]+?) {2,}\S", result.stdout, flags=re.M) == DOCUMENTED
    assert "\033" not in result.stdout
    for status, why, fix in re.findall(r"^(warn|fail) .*\n {25}(.*)\n {25}fix: (.*)$", result.stdout, flags=re.M):
        assert status and why in (SOURCE_DIR / "src/cli/doctor.def").read_text() and fix
