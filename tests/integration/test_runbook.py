"""docs/runbook-history.md: the commands that are marked runnable run as written; the tests that docs/slashing.md names exist."""
import json
import os
import re
import subprocess

import interop
import messages
import pytest
import yaml
from daemon import SOURCE_DIR, binary_with_switches, release_binary
from test_slashing_cli import KEY, interchange, validator
from test_slashing_live import _live  # noqa: F401  pylint: disable=unused-import

PAGE = (SOURCE_DIR / "docs/runbook-history.md").read_text()
BLOCKS = dict(re.findall(r"<!-- runnable: (\w+) -->\n *```sh\n(.*?)```", PAGE, flags=re.S))


def run(workdir, name, **environment):
    """Runs the block with README's means: the program on the PATH, nothing else."""
    bin_dir = workdir / "bin"
    bin_dir.mkdir(exist_ok=True)
    program = bin_dir / "containment-chamber"
    if not program.exists():
        program.symlink_to(release_binary() or binary_with_switches())
    result = subprocess.run(["bash", "-euc", BLOCKS[name]], cwd=workdir, capture_output=True, text=True, timeout=120, check=False,
                            env={"PATH": f"{bin_dir}:{os.environ['PATH']}", **environment})  # fmt: skip
    assert result.returncode == 0, f"{name}: {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout + result.stderr


def configure(workdir, *names):
    for name in names:
        (workdir / f"{name}.yaml").write_text(yaml.safe_dump({
            "data_dir": str(workdir / name), "network": "minimal", "genesis_validators_root": messages.MINIMAL_GENESIS_ROOT,
        }))  # fmt: skip


def fill(make_daemon, path):
    """A history with something in it, made as any other."""
    daemon = make_daemon()
    daemon.init()
    source = daemon.path / "in.json"
    source.write_text(json.dumps(interchange(validator(KEY, [7, 9], [(1, 2), (2, 3)]))))
    daemon.command("slashing", "import", "-c", daemon.config_path, "--from", source)
    if path:
        daemon.command("slashing", "export", "-c", daemon.config_path, "--to", path)
    return daemon


def test_every_runnable_block_is_run_here():
    assert set(BLOCKS) == {"running", "restored", "lost", "moved", "handed"}


def test_a_running_signer(workdir, live):
    daemon = live()
    run(workdir, "running", SIGNER_URL=f"unix:{daemon.admin_path}")
    assert {v["pubkey"] for v in json.loads((workdir / "history.json").read_text())["data"]} == set(interop.PUBKEYS[:2])


def test_a_restored_backup(workdir, make_daemon):
    daemon = fill(make_daemon, None)
    (workdir / "config.yaml").symlink_to(daemon.config_path)
    assert "1 validators sign nothing up to epoch 400000" in run(workdir, "restored")


def test_a_lost_disk(workdir, make_daemon):
    fill(make_daemon, workdir / "history.json")
    configure(workdir, "new")
    said = run(workdir, "lost")
    assert "2 blocks and 2 attestations added" in said and "sign nothing up to epoch 400000" in said


def test_moved_keys_and_a_hand_over(workdir, make_daemon):
    daemon = fill(make_daemon, None)
    (workdir / "old.yaml").symlink_to(daemon.config_path)
    configure(workdir, "new")
    assert "2 blocks and 2 attestations added" in run(workdir, "moved")
    said = run(workdir, "handed")
    assert "nothing from epoch 400000" in said and "nothing up to epoch 399999" in said


@pytest.mark.parametrize("page", ["slashing.md", "runbook-history.md"])
def test_tests_that_are_named_exist(page):
    named = set(re.findall(r"`(test_\w+)`", (SOURCE_DIR / "docs" / page).read_text()))
    sources = [path.read_text() for pattern in ("**/*.c", "**/*.py") for path in (SOURCE_DIR / "tests").glob(pattern) if "build" not in path.parts]
    missing = {name for name in named if not any(re.search(rf"\b{name}\b", text) for text in sources)}
    assert not missing, missing
