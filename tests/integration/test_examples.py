"""What the documentation tells a reader to type works as written: README's commands, the example configuration."""
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


def test_links_between_pages_lead_somewhere():
    pages = [*SOURCE_DIR.glob("*.md"), *(SOURCE_DIR / "docs").glob("*.md")]
    dead = []
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / target).exists():
                dead.append(f"{page.name}: {target}")
    assert not dead, dead
