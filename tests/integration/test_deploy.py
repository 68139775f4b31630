"""What is delivered beside the program: the manual page and the systemd unit."""
import json
import re
import shutil
import socket
import subprocess

import pytest

from daemon import SOURCE_DIR, binary_with_switches, build_dir, wait_for
from machine import Machine, missing

MANUAL = SOURCE_DIR / "docs/man/containment-chamber.1.scd"
UNIT = SOURCE_DIR / "deploy/systemd/containment-chamber.service"
ENCLAVE = SOURCE_DIR / "deploy/enclave"


def need(tool):
    if shutil.which(tool) is None:
        pytest.skip(f"left out: no {tool}")


def test_the_manual_is_well_formed():
    need("scdoc")
    page = subprocess.run([SOURCE_DIR / "tools/manual", MANUAL], capture_output=True, text=True, check=False)
    assert page.returncode == 0, page.stderr
    assert ".SH EXIT STATUS" in page.stdout
    need("mandoc")
    found = subprocess.run(["mandoc", "-T", "lint"], input=page.stdout, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
    plain = subprocess.run(["mandoc", "-T", "ascii"], input=page.stdout, capture_output=True, text=True, check=True).stdout
    raw = subprocess.run(["scdoc"], stdin=MANUAL.open(), capture_output=True, text=True, check=True).stdout
    raw = subprocess.run(["mandoc", "-T", "ascii"], input=raw, capture_output=True, text=True, check=True).stdout
    assert plain.lower().split() == raw.lower().split(), "tidying changed what the page says"


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
        "Every option and what it takes: `containment-chamber config example`.",
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
    result = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=15", unit], capture_output=True, text=True,
                            check=False)
    assert result.returncode == 0, result.stdout


def test_the_sockets_are_where_the_signer_listens_by_default(workdir):
    """systemd takes the unit, and a signer without a word of configuration finds each of its sockets at an address of its own."""
    unit = UNIT.with_suffix(".socket").read_text()
    example = subprocess.run([binary_with_switches(), "config", "dump"], capture_output=True, text=True, check=True).stdout
    listens = re.findall(r'^(?:server|metrics):\n(?:  .*\n)*?  listen_address: "(.*)"\n(?:  .*\n)*?  listen_port: (\d+)$', example, flags=re.M)
    assert re.findall(r"^ListenStream=(.*):(\d+)$", unit, flags=re.M) == listens
    need("systemd-analyze")
    (workdir / "containment-chamber.service").write_text("[Service]\nExecStart=/bin/true\n")
    path = workdir / "containment-chamber.socket"
    path.write_text(re.sub(r"^Documentation=.*$", "", unit, flags=re.M))
    result = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert [line for line in result.stderr.splitlines() if "containment-chamber.socket" in line] == []


def test_the_unit_waits_longer_than_the_drain():
    example = subprocess.run([binary_with_switches(), "config", "example"], capture_output=True, text=True, check=True)
    drain = int(re.search(r"^  drain_seconds: (\d+)$", example.stdout, flags=re.M).group(1))
    stop = int(re.search(r"^TimeoutStopSec=(\d+)s$", UNIT.read_text(), flags=re.M).group(1))
    assert stop >= drain + 2 + 5 + 3  # the grace of the front, the ends of core and vault (app/supervisor.c)


# --- deploy/enclave -----------------------------------------------------------------------------------------------------------


def test_the_units_of_an_enclaves_parent_are_ones_that_systemd_takes(workdir):
    need("systemd-analyze")
    units = sorted(path for path in ENCLAVE.iterdir() if path.suffix in (".service", ".socket", ".timer"))
    assert len(units) == 6
    for path in units:
        text = re.sub(r"/usr/(bin/(nitro-cli|containment-chamber)|libexec/containment-chamber/enclave-watch)", "/bin/true", path.read_text())
        text = re.sub(r"^(Documentation|Requires|After)=.*$", "", text, flags=re.M)  # Amazon's units are not here
        (workdir / path.name).write_text(text)
    result = subprocess.run(["systemd-analyze", "verify", *(workdir / path.name for path in units)], capture_output=True,
                            text=True, check=False)
    assert [line for line in result.stderr.splitlines() if "containment-chamber-enclave" in line] == []
    for name, most in (("proxy", 20), ("log@", 10)):
        unit = workdir / f"containment-chamber-enclave-{name}.service"
        result = subprocess.run(["systemd-analyze", "security", "--offline=true", f"--threshold={most}", unit],
                                capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


def enclaves(*listed):
    """As nitro-cli lists them: {name: state}, in an order of its own."""
    return json.dumps([{"EnclaveName": name, "EnclaveID": f"i-0-enc{n}", "EnclaveCID": 16 + n, "State": state, "Flags": "NONE"}
                       for n, (name, state) in enumerate(listed)], indent=2)


OURS, OTHER = ("containment-chamber", "RUNNING"), ("another", "RUNNING")


@pytest.mark.parametrize("active, described, code, restarts", [
    ("yes", f"cat <<'EOF'\n{enclaves(OTHER, OURS)}\nEOF", 0, 0),
    ("yes", f"cat <<'EOF'\n{enclaves()}\nEOF", 0, 1),
    ("yes", f"cat <<'EOF'\n{enclaves(OTHER, ('containment-chamber_1', 'RUNNING'))}\nEOF", 0, 1),
    ("yes", f"cat <<'EOF'\n{enclaves(('containment-chamber', 'TERMINATING'), OTHER)}\nEOF", 0, 1),
    ("yes", "echo '[]'\necho 'Failed connections: 1' >&2\nexit 43", 1, 0),  # of a busy enclave
    ("yes", "exit 0", 1, 0),
    ("yes", "echo '{}'", 1, 0),
    ("yes", "exec sleep 300", 1, 0),
    ("no", f"cat <<'EOF'\n{enclaves()}\nEOF", 0, 0),  # stopped by somebody, or just starting
], ids=["ours-runs", "gone", "others-run", "ours-ends", "describe-fails", "says-nothing", "no-list", "slow", "stopped"])
def test_the_watch_starts_an_enclave_that_is_gone_and_no_other(workdir, active, described, code, restarts):
    """The command of the unit, with a nitro-cli and a systemctl of this test."""
    unit = (ENCLAVE / "containment-chamber-enclave-watch.service").read_text()
    command, patience = re.search(r"^ExecStart=/usr/libexec/containment-chamber/(\S+) --patience (\d+)$", unit, flags=re.M).groups()
    assert int(patience) < int(re.search(r"^TimeoutStartSec=(\d+)s$", unit, flags=re.M).group(1))
    asked = workdir / "asked"
    for name, text in {"nitro-cli": f"[ \"$*\" = describe-enclaves ] || exit 2\n{described}\n",
                       "systemctl": f"[ $1 != is-active ] || [ {active} = yes ] || exit 3\necho \"$@\" >>{asked}\n"}.items():
        (workdir / name).write_text(f"#!/bin/sh\n{text}")
        (workdir / name).chmod(0o755)
    result = subprocess.run([ENCLAVE / command, "--patience", "1" if "sleep" in described else "60"], capture_output=True, text=True, check=False,
                            env={"PATH": f"{workdir}:/usr/bin:/bin"}, stdin=subprocess.DEVNULL)
    assert result.returncode == code, result.stderr
    assert bool(result.stderr) == bool(code or restarts)
    done = asked.read_text().splitlines() if asked.exists() else []
    assert [line for line in done if "is-active" not in line] == ["--no-block restart containment-chamber-enclave.service"] * restarts


def test_an_enclave_whose_start_fails_is_started_again():
    """By systemd, as long as it takes: the watch leaves a unit alone that isn't active."""
    unit = (ENCLAVE / "containment-chamber-enclave.service").read_text()
    assert "\nStartLimitIntervalSec=0\n" in unit.partition("[Service]")[0]
    assert "\nRestart=on-failure\nRestartSec=" in unit
    name = re.search(r'^UNIT, NAME = "containment-chamber-enclave.service", "(.*)"$', (ENCLAVE / "enclave-watch").read_text(), flags=re.M).group(1)
    assert unit.count(f"--enclave-name {name}") == unit.count("--enclave-name") == 2


def test_the_proxy_of_a_parent_may_lock_itself_in():
    """Else it ends before it carries anything, by the filter of its own unit."""
    unit = (ENCLAVE / "containment-chamber-enclave-proxy.service").read_text()
    let = {call for line in re.findall(r"^SystemCallFilter=([^~].*)$", unit, flags=re.M) for call in line.split()}
    own = UNIT.read_text()
    locks = {call for line in re.findall(r"^SystemCallFilter=([^~].*)$", own, flags=re.M) for call in line.split() if "landlock" in call or call == "seccomp"}
    assert len(locks) == 4 and locks <= let


# An enclave is a process that sleeps. The first start fails.
NITRO_CLI = r"""#!/bin/sh
cd /run/nitro_enclaves
alive() { [ -e pid ] && kill -0 "$(cat pid)" 2>/dev/null; }
case $1 in
run-enclave)
    [ -e tried ] || { : >tried; exit 39; }
    setsid sleep 100000 >/dev/null 2>&1 </dev/null &
    echo $! >pid ;;
describe-enclaves) if alive; then echo '[{"EnclaveName": "containment-chamber", "State": "RUNNING"}]'; else echo '[]'; fi ;;
terminate-enclave) alive || exit 1; kill "$(cat pid)" ;;
esac
"""


def vsock_port():
    """One that is free; None where there is no vsock."""
    try:
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as probe:
            probe.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
            return probe.getsockname()[1]
    except OSError:
        return None


@pytest.mark.long_form
def test_the_units_of_a_parent_under_systemd(workdir):
    """A start that fails is tried again, an enclave that is gone is started again, one that was stopped is not; the proxy starts as
    locked in as its unit says, and the log comes out. nitro-cli is a stand-in, and the log's socket a Unix one."""
    if reason := missing():
        pytest.skip(f"left out: {reason}")
    enclave, proxy, log = (f"containment-chamber-enclave{name}" for name in (".service", "-proxy.service", "-log.socket"))
    with Machine(workdir) as machine:
        run = machine.run

        def is_active(unit):
            return run("systemctl", "is-active", unit, check=False).stdout == "active\n"

        def pid():
            return run("cat", "/run/nitro_enclaves/pid").stdout

        def look():
            run("systemctl", "start", "containment-chamber-enclave-watch.service")

        run("mkdir", "-p", "/run/nitro_enclaves", "/var/log/nitro_enclaves", "/etc/containment-chamber", "/usr/libexec/containment-chamber",
            f"/etc/systemd/system/{enclave}.d", f"/etc/systemd/system/{log}.d")
        units = [path for path in ENCLAVE.iterdir() if path.suffix in (".service", ".socket", ".timer")]
        run("install", "-m", "0644", *units, "/etc/systemd/system")
        run("install", "-m", "0755", ENCLAVE / "enclave-watch", "/usr/libexec/containment-chamber")
        run("install", "-m", "0644", ENCLAVE / "enclave.env", "/etc/containment-chamber")
        run("install", "-m", "0755", binary_with_switches(), "/usr/bin/containment-chamber")
        machine.write("/usr/bin/nitro-cli", NITRO_CLI, mode="0755")
        machine.write("/etc/systemd/system/nitro-enclaves-allocator.service", "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n")
        machine.write(f"/etc/systemd/system/{enclave}.d/sooner.conf", "[Service]\nRestartSec=1s\n")
        machine.write(f"/etc/systemd/system/{log}.d/unix.conf", "[Socket]\nListenStream=\nListenStream=/run/log.socket\n")
        port = vsock_port()
        egress = f"egress: ['vsock:any:{port}=tcp:127.0.0.1:1']\nenclave_cid: 16\n" if port else ""
        machine.write("/etc/containment-chamber/enclave-proxy.yaml", f"ingress: ['unix:/tmp/in=vsock:16:9443']\n{egress}")
        run("systemctl", "daemon-reload")

        run("systemctl", "start", proxy)  # Type=notify: it carries
        main = run("systemctl", "show", "-P", "MainPID", proxy).stdout.strip()
        assert re.search(r"^Seccomp:\t2$", run("cat", f"/proc/{main}/status").stdout, flags=re.M)

        assert run("systemctl", "start", enclave, check=False).returncode != 0
        wait_for("the second try", lambda: is_active(enclave), 60)
        first = pid()
        look()
        assert pid() == first and is_active(enclave)
        run("kill", "-9", first.strip())
        look()
        wait_for("another one", lambda: is_active(enclave) and pid() != first, 60)
        run("systemctl", "stop", enclave)
        look()
        assert run("systemctl", "is-active", enclave, check=False).stdout == "inactive\n"

        run("python3", "-c", "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/log.socket'); s.sendall(b'from within\\n')")
        wait_for("the log", lambda: "from within" in run("journalctl", "--no-pager", "-t", "containment-chamber-enclave").stdout, 60)


def statements(name):
    return json.loads((ENCLAVE / name).read_text())["Statement"]


def matches(condition, context):
    """What of a condition the templates use, as KMS reads it: a name that is not there fails what is asked for, and fulfils
    what is denied."""
    for operator, tests in condition.items():
        for name, values in tests.items():
            values = [value.lower() for value in (values if isinstance(values, list) else [values])]
            found = context.get(name)
            if operator == "ForAllValues:StringEquals":
                holds = all(value.lower() in values for value in found or [])
            elif operator in ("StringEquals", "StringEqualsIgnoreCase"):
                holds = found is not None and found.lower() in values
            else:
                assert operator in ("StringNotEquals", "StringNotEqualsIgnoreCase")
                holds = found is None or found.lower() not in values
            if not holds:
                return False
    return True


def allowed(name, action, context):
    effects = set()
    for statement in statements(name):
        who = statement["Principal"]["AWS"]
        if who not in ("*", context["aws:PrincipalArn"]):
            continue
        actions = statement["Action"]
        if not any(action == one or one.endswith("*") and action.startswith(one[:-1]) for one in actions):
            continue
        if matches(statement.get("Condition", {}), context):
            effects.add(statement["Effect"])
    return effects == {"Allow"}


def opens_without_operators(name, enclave, approved, running):
    """If the image that runs has what was made for the one that is approved (auto-unseal)."""
    keys = [*enclave["kms:EncryptionContextKeys"], "pcr0"]
    return allowed(name, "kms:Decrypt", enclave | {
        "kms:EncryptionContext:purpose": "auto-unseal", "kms:EncryptionContextKeys": keys, "kms:EncryptionContext:pcr0": approved,
        "kms:RecipientAttestation:ImageSha384": running})


@pytest.mark.parametrize("name", ["kms-key-policy-first.json", "kms-key-policy.json", "kms-key-policy-signed.json"])
def test_P26_T11_a_kms_key_opens_for_the_enclave_alone(name):
    """T4: the instance's credentials without the enclave open nothing."""
    signed = "signed" in name
    enclave = {"aws:PrincipalArn": "@SIGNER_ARN@", "kms:EncryptionContext:app": "containment-chamber",
               "kms:EncryptionContext:chamber": "@CHAMBER_ID@", "kms:EncryptionContext:purpose": "seal-share",
               "kms:EncryptionContextKeys": ["app", "chamber", "purpose", "index"],
               "kms:RecipientAttestation:ImageSha384": "@pcr0@"}
    if signed:
        enclave["kms:RecipientAttestation:PCR8"] = "@pcr8@"
        assert opens_without_operators(name, enclave, "@next_pcr0@", "@next_pcr0@")
        assert not opens_without_operators(name, enclave, "@next_pcr0@", "@pcr0@")
        assert not opens_without_operators(name, enclave, "@pcr0@", "@next_pcr0@")
        assert allowed(name, "kms:Decrypt", enclave | {"kms:RecipientAttestation:ImageSha384": "@next_pcr0@"})
        assert not allowed(name, "kms:Decrypt", {k: v for k, v in enclave.items() if not k.endswith("PCR8")})
        assert not allowed(name, "kms:Decrypt", enclave | {"kms:RecipientAttestation:PCR8": "00" * 48})
    assert allowed(name, "kms:Decrypt", enclave)
    without = {key: value for key, value in enclave.items() if "Recipient" not in key}
    assert not allowed(name, "kms:Decrypt", without)
    assert not allowed(name, "kms:Decrypt", enclave | {"kms:RecipientAttestation:ImageSha384": "00" * 48})
    assert allowed(name, "kms:Decrypt", enclave | {"kms:EncryptionContext:chamber": "another"}) == ("first" in name)  # it has no id yet
    assert allowed(name, "kms:Decrypt", enclave | {"kms:EncryptionContext:purpose": "enclave-root"})
    assert not allowed(name, "kms:Decrypt", enclave | {"kms:EncryptionContext:purpose": "other"})
    assert not allowed(name, "kms:Decrypt", enclave | {"aws:PrincipalArn": "@ADMIN_ARN@"})
    assert not allowed(name, "kms:Decrypt", enclave | {"aws:PrincipalArn": "arn:aws:iam::1:role/other"})
    assert allowed(name, "kms:Encrypt", without)  # KMS attests no encryption
    # The root is shared out once: afterwards nobody makes ciphertexts of another one, for a record of his own (T11).
    assert allowed(name, "kms:Encrypt", without | {"kms:EncryptionContext:purpose": "enclave-root"}) == ("first" in name)
    assert opens_without_operators(name, enclave, "@pcr0@", "@pcr0@")
    assert not opens_without_operators(name, enclave, "00" * 48, "@pcr0@")
    assert not opens_without_operators(name, enclave, "@pcr0@", "00" * 48)
    assert not allowed(name, "kms:Decrypt", enclave | {"kms:EncryptionContext:purpose": "auto-unseal"})  # of no image
    image = {"kms:EncryptionContext:purpose": "auto-unseal", "kms:EncryptionContext:pcr0": "00" * 48,  # of the next one, too
             "kms:EncryptionContextKeys": [*enclave["kms:EncryptionContextKeys"], "pcr0"]}
    assert allowed(name, "kms:Encrypt", without | image)
    assert not allowed(name, "kms:Encrypt", without | {**image, "kms:EncryptionContextKeys": ["app", "other"]})
    assert not allowed(name, "kms:CreateGrant", enclave | {"aws:PrincipalArn": "@ADMIN_ARN@"})
    assert allowed(name, "kms:PutKeyPolicy", without | {"aws:PrincipalArn": "@ADMIN_ARN@"})


def test_T11_the_key_of_a_databases_password_opens_for_the_enclave_alone():
    name = "kms-password-policy.json"
    enclave = {"aws:PrincipalArn": "@SIGNER_ARN@", "kms:EncryptionContext:app": "containment-chamber",
               "kms:EncryptionContext:purpose": "database-password", "kms:EncryptionContextKeys": ["app", "purpose"],
               "kms:RecipientAttestation:ImageSha384": "@pcr0@"}
    without = {key: value for key, value in enclave.items() if "Recipient" not in key}
    assert allowed(name, "kms:Decrypt", enclave)
    assert not allowed(name, "kms:Decrypt", without)
    assert not allowed(name, "kms:Decrypt", enclave | {"kms:RecipientAttestation:ImageSha384": "00" * 48})
    assert allowed(name, "kms:Decrypt", enclave | {"kms:EncryptionContext:purpose": "dynamodb-credentials"})
    assert not allowed(name, "kms:Decrypt", enclave | {"kms:EncryptionContext:purpose": "seal-share"})
    assert not allowed(name, "kms:Decrypt", enclave | {"aws:PrincipalArn": "@ADMIN_ARN@"})
    assert allowed(name, "kms:Encrypt", without | {"aws:PrincipalArn": "@ADMIN_ARN@"})
    assert not allowed(name, "kms:Encrypt", without)
    assert not allowed(name, "kms:CreateGrant", enclave | {"aws:PrincipalArn": "@ADMIN_ARN@"})


def test_the_enclaves_and_its_parents_files_fit_together():
    measured, parent = (ENCLAVE / "config.yaml").read_text(), (ENCLAVE / "enclave-proxy.yaml").read_text()
    inside = dict(re.findall(r"- (\S+:\d+)=vsock:3:(\d+)(?: #.*)?$", measured, flags=re.M))
    outside = {target: port for port, target in re.findall(r"- vsock:any:(\d+)=tcp:(\S+)$", parent, flags=re.M)}
    assert inside and inside == outside
    cid = re.search(r"^CID=(\d+)$", (ENCLAVE / "enclave.env").read_text(), flags=re.M).group(1)
    assert f"enclave_cid: {cid}\n" in parent and f"=vsock:{cid}:9443" in parent
    assert "listen: vsock:any:9443" in measured
    ports = re.findall(rf"- tcp:\S+=vsock:{cid}:(\d+)", parent)
    assert sorted(ports) == sorted(re.findall(r"listen: vsock:any:(\d+)", measured))
    assert "ListenStream=vsock::9001\n" in (ENCLAVE / "containment-chamber-enclave-log.socket").read_text()


def test_the_enclaves_file_is_valid_with_an_owner_and_signs_for_nobody_unasked(workdir):
    def run(command, path):
        return subprocess.run([binary_with_switches(), "config", command, "-c", path], capture_output=True, text=True, check=False)

    result = run("check", ENCLAVE / "config.yaml")
    assert result.returncode != 0 and re.findall(r"\S+\.\S+: an enclave", result.stderr) == ["auth.owner_keys: an enclave"], result.stderr
    text = (ENCLAVE / "config.yaml").read_text()
    row = subprocess.run([binary_with_switches(), "auth", "owner-key", "--to", workdir / "owner.key", "--name", "alice"], capture_output=True,
                         text=True, check=True, stdin=subprocess.DEVNULL).stdout.strip()
    assert "  # owner_keys: [alice=HEX]\n" in text
    (workdir / "config.yaml").write_text(text.replace("# owner_keys: [alice=HEX]", f"owner_keys: [{row}]"))
    for command in ("check", "dump"):
        result = run(command, workdir / "config.yaml")
        assert result.returncode == 0, result.stderr
    for block in ("auth:\n  mode: enforce\n", "tee:\n  platform: nitro\n"):
        assert block in result.stdout
    state = re.search(r"^signer_state:\n((?:  .*\n)+)", result.stdout, flags=re.M).group(1)
    assert "  seal: ceremony\n" in state and "  kms: true\n" in state and "  backend: dynamodb\n" in state
    assert re.search(r"allowed_kms_key_arns: \[.*arn:aws:kms:", state)


def test_what_is_installed_without_the_package(workdir):
    """By `cmake --install`: what the package has, but for documentation and what is a package's own."""
    subprocess.run(["cmake", "--install", build_dir(), "--prefix", workdir / "usr"], capture_output=True, check=True)
    files = {path.relative_to(workdir).as_posix() for path in workdir.rglob("*") if path.is_file()}
    manual = {"usr/share/man/man1/containment-chamber.1"} if "CC_SCDOC:FILEPATH=/" in (build_dir() / "CMakeCache.txt").read_text() else set()
    assert files == {"usr/bin/containment-chamber", "usr/lib/systemd/system/containment-chamber.service", "usr/lib/systemd/system/containment-chamber.socket",
                     "usr/lib/sysusers.d/containment-chamber.conf", "usr/lib/tmpfiles.d/containment-chamber.conf",
                     "usr/share/bash-completion/completions/containment-chamber", "usr/share/zsh/vendor-completions/_containment-chamber", *manual}  # fmt: skip
