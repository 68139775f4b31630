"""What README promises first: tools/demo shows a signature, a refusal and the metrics; twice."""
import os
import re
import signal
import subprocess
import urllib.request

import pytest
from daemon import SOURCE_DIR, binary_with_switches, release_binary, wait_for


def environment(workdir):
    """What tells the demo where to be."""
    return {
        "PATH": os.environ["PATH"],
        "DEMO_DIR": str(workdir / "demo"),
        "DEMO_BINARY": str(release_binary() or binary_with_switches()),
    }


def demo(workdir):
    """Runs the demo to its end; its output."""
    result = subprocess.run(
        [SOURCE_DIR / "tools/demo"],
        env={**environment(workdir), "DEMO_ONCE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_demo_signs_refuses_and_counts_also_the_second_time(workdir):
    for _ in range(2):
        shown = demo(workdir)
        assert '200 {"signature":"0x' in shown.replace(" ", "").replace("200{", "200 {"), shown
        assert "\n412 " in shown and "rule" in shown, shown
        assert "containment_signing_requests_total" in shown, shown


@pytest.mark.long_form
def test_demo_goes_on_serving_until_ctrl_c_and_its_commands_can_be_typed_again(workdir):
    log = workdir / "demo.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(
            [SOURCE_DIR / "tools/demo"],
            env=environment(workdir),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        wait_for("the end of the show", lambda: process.poll() is not None or "goes on at" in log.read_text(), 60)
        text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text())
        url = re.search(r"goes on at (http://\S+),", text).group(1)
        typed = re.search(r"^\$ (curl .*attestation\.json .*)$", text, flags=re.M).group(1)
        again = subprocess.run(["bash", "-c", typed], capture_output=True, text=True, timeout=30, check=True).stdout
        assert '"signature":"0x' in again, again
        with urllib.request.urlopen(url + "/upcheck", timeout=10) as answer:
            assert answer.status == 200
    finally:
        os.killpg(process.pid, signal.SIGINT)  # a terminal's Ctrl-C
        code = process.wait(60)
    assert code == 130
    try:
        urllib.request.urlopen(url + "/upcheck", timeout=5)
        raise AssertionError("the server outlived its demo")
    except OSError:
        pass
