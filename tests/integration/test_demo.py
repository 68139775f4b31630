"""What README promises first: tools/demo shows a signature, a refusal and the metrics; twice."""
import os
import subprocess

from daemon import SOURCE_DIR, release_binary, binary_with_switches


def demo(workdir):
    """Runs the demo to its end; its output."""
    environment = {
        "PATH": os.environ["PATH"],
        "DEMO_ONCE": "1",
        "DEMO_DIR": str(workdir / "demo"),
        "DEMO_BINARY": str(release_binary() or binary_with_switches()),
    }
    result = subprocess.run(
        [SOURCE_DIR / "tools/demo"],
        env=environment,
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
