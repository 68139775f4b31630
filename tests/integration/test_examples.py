"""What the documentation tells a reader to type works as written: README's, access.md's and tls.md's commands, policies."""
import json
import os
import re
import shlex
import subprocess

import interop
import messages
from daemon import SOURCE_DIR, binary_with_switches, release_binary, wait_for


def shell_blocks(name):
    """The lines of the ```sh blocks of a page."""
    text = (SOURCE_DIR / name).read_text()
    return [line for block in re.findall(r"```sh\n(.*?)```", text, flags=re.S) for line in block.splitlines()]


def documented_commands():
    """README's `containment-chamber …` lines, without their comments."""
    lines = [line.split("#")[0].strip() for line in shell_blocks("README.md")]
    return [line for line in lines if line.startswith("containment-chamber ")]


def test_readme_names_commands_that_make_knows():
    makefile = (SOURCE_DIR / "Makefile").read_text()
    named = [line.split()[1] for line in shell_blocks("README.md") if line.startswith("make ")]
    assert set(named) >= {"run", "test"}
    for target in named:
        assert re.search(rf"^{target}:", makefile, flags=re.M), target


def test_readme_usage_runs_as_written(workdir, make_daemon):
    """config example, init, slashing import, server: in this order, with README's own arguments. (bench: test_bench.py)"""
    commands = documented_commands()
    assert [shlex.split(c)[1] for c in commands] == ["config", "init", "slashing", "server", "bench"]
    helper = make_daemon(keys=interop.SECRETS[:1])  # for its directories and its client; never started itself
    helper.init()
    helper.command("slashing", "export", "-c", helper.config_path, "--to", workdir / "interchange.json")
    bin_dir = workdir / "bin"
    bin_dir.mkdir()
    (bin_dir / "containment-chamber").symlink_to(release_binary() or binary_with_switches())
    environment = {
        "PATH": f"{bin_dir}:{os.environ['PATH']}",
        "CONTAINMENT_DATA_DIR": str(workdir / "data"),
        "CONTAINMENT_SERVER__LISTEN_PORT": "0",
        "CONTAINMENT_METRICS__LISTEN_PORT": "0",
        "CONTAINMENT_NETWORK": "minimal",
        "CONTAINMENT_GENESIS_VALIDATORS_ROOT": messages.MINIMAL_GENESIS_ROOT,
    }

    def run(command):
        result = subprocess.run(["bash", "-c", command], cwd=workdir, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 0, f"{command}: {result.returncode}\n{result.stdout}{result.stderr}"

    for command in commands[:3]:
        run(command)
    server = subprocess.Popen(["bash", "-c", "exec " + commands[3]], cwd=workdir, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for("the ports file", lambda: server.poll() is None and (workdir / "data/ports").exists())
    finally:
        server.terminate()
        assert server.wait(60) == 0


def runnable_blocks(name):
    """A page's blocks that are marked runnable, by name."""
    return dict(re.findall(r"<!-- runnable: (\w+) -->\n```sh\n(.*?)```", (SOURCE_DIR / name).read_text(), flags=re.S))


class Reader:
    """Types what a page says, in one directory, about one signer."""

    def __init__(self, workdir, daemon):
        self.workdir = workdir
        self.daemon = daemon
        daemon.init()
        (workdir / "bin").mkdir()
        (workdir / "bin/containment-chamber").symlink_to(daemon.binary)
        (workdir / "config.yaml").symlink_to(daemon.config_path)

    def restart(self, **sections):
        if self.daemon.process:
            assert self.daemon.stop() == 0
        self.daemon.config.update(sections)
        self.daemon.write_config()
        self.daemon.start()

    def run(self, block):
        ports = dict(re.findall(r"^([a-z-]+)=(\d+)$", (self.daemon.data_dir / "ports").read_text(), flags=re.M)) if self.daemon.process else {}
        environment = {
            "PATH": f"{self.workdir / 'bin'}:{os.environ['PATH']}",
            "SIGNER_URL": f"http://127.0.0.1:{self.daemon.http_port}",
            "METRICS_URL": f"http://127.0.0.1:{self.daemon.metrics_port}",
            "TLS_PORT": ports.get("https-port", ""),
        }
        result = subprocess.run(["bash", "-euc", block], cwd=self.workdir, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert result.returncode == 0, f"{block}: {result.returncode}\n{result.stdout}{result.stderr}"
        return result.stdout


def test_access_walk_through_runs_as_written(workdir, make_daemon):
    """From an open signer to a closed one, with access.md's own commands; what it says of each mode is looked at."""
    blocks = runnable_blocks("docs/access.md")
    assert list(blocks) == ["prepare", "use", "report", "revoke"]
    daemon = make_daemon(keys=interop.SECRETS[:1])
    reader = Reader(workdir, daemon)
    reader.restart(auth={"mode": "open"})
    assert "vc-1" in reader.run(blocks["prepare"])
    for secret in ("management.key", "vc-1.token"):
        assert (workdir / secret).stat().st_mode & 0o777 == 0o600
    assert reader.run(blocks["use"]).count(interop.PUBKEYS[0]) == 2
    reader.restart(auth={"mode": "report"})
    assert daemon.sign(interop.PUBKEYS[0], messages.randao(5))[0] == 200
    assert 'would_deny_total{reason="no_token"} 1' in reader.run(blocks["report"])
    reader.restart(auth={"mode": "enforce"})
    token = {"Authorization": "Bearer " + (workdir / "vc-1.token").read_text().strip()}
    assert daemon.sign(interop.PUBKEYS[0], messages.randao(5))[0] == 401
    assert daemon.sign(interop.PUBKEYS[0], messages.randao(5), token)[0] == 200
    code, _, body = daemon.sign(interop.PUBKEYS[0], messages.voluntary_exit(3), token)
    assert (code, json.loads(body)["rule"]) == (403, "vc/2")
    reader.run(blocks["revoke"])
    assert daemon.sign(interop.PUBKEYS[0], messages.randao(5), token)[0] == 401


def test_tls_with_a_certificate_that_signs_itself(workdir, make_daemon):
    """tls.md's commands, with what access.md's made."""
    blocks = runnable_blocks("docs/tls.md")
    assert list(blocks) == ["make", "ask"]
    reader = Reader(workdir, make_daemon(keys=interop.SECRETS[:1]))
    reader.run(blocks["make"])
    reader.restart()
    reader.run(runnable_blocks("docs/access.md")["prepare"])
    reader.restart(tls={"mode": "file", "listen_port": 0, "file": {"cert_path": str(workdir / "tls.crt"), "key_path": str(workdir / "tls.key")}})
    said = reader.run(blocks["ask"])
    assert interop.PUBKEYS[0] in said and "vc-1" in said


def test_policies_of_access_md_are_taken(make_daemon):
    """Every policy that the page shows whole."""
    text = (SOURCE_DIR / "docs/access.md").read_text()
    shown = [json.loads(block) for block in re.findall(r"^```json\n(.*?)```", text, flags=re.S | re.M) if "…" not in block]
    daemon = make_daemon()
    daemon.init()
    daemon.start()
    key = daemon.path / "management.key"
    key.touch(mode=0o600)
    key.write_text(daemon.command("auth", "bootstrap", "-c", daemon.config_path).stdout)
    assert len(shown) == 2
    for policy in shown:
        path = daemon.path / "policy.json"
        path.write_text(json.dumps(policy))
        daemon.command("auth", "policy", "put", policy["name"], "--from", path,
                       "--signer-url", f"http://127.0.0.1:{daemon.http_port}", "--auth-token", f"file:{key}")  # fmt: skip
