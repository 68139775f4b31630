"""tests/newcomer: README's own commands lead from a clone to a signature. CC_FULL=1 compiles; else what a build has made
stands in, and the time that Ninja noted of it counts."""
import os
import subprocess

import pytest
from daemon import SOURCE_DIR, binary_with_switches, fresh_dir, release_binary
from forms import FULL



def newcomer(name, *arguments, path=""):
    command = [SOURCE_DIR / "tests/newcomer", "--dir", fresh_dir(name), *arguments]
    environment = {**os.environ, "PATH": path + os.environ["PATH"]}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200, check=False)


@pytest.mark.timeout(1200)
def test_from_a_clone_to_a_signature_by_README_alone():
    """A short name: sockets lie below the clone."""
    result = newcomer("newcomer", *([] if FULL else ["--built", release_binary() or binary_with_switches()]))
    print(result.stdout)
    assert result.returncode == 0, result.stdout + result.stderr
    steps = [line.split("  ", 1)[1].strip() for line in result.stdout.splitlines() if " s  " in line]
    for part in ("git clone", "make run", "make build && sudo cmake --install", "containment-chamber config example", "containment-chamber init",
                 "containment-chamber slashing import", "containment-chamber server", "a validator client's request", "in all, of 600", *([] if FULL else ["the build that was there already"])):  # fmt: skip
        assert any(part in step for step in steps), (part, result.stdout)


def test_a_command_that_fails_is_named(workdir):
    make = workdir / "make"
    make.write_text("#!/bin/sh\necho no rule for $*\nexit 3\n")
    make.chmod(0o755)
    result = newcomer("newcomer-x", path=f"{workdir}:")
    assert result.returncode == 1 and "newcomer: make run: 3\nno rule for run" in result.stderr, result.stdout + result.stderr
