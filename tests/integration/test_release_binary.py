"""What a release binary must be: hardened, and without any switch that only tests may have."""
import re
import subprocess

import pytest

from daemon import binary_with_switches, release_binary

SWITCHES = [b"CC_TEST_POINT", b"CC_TEST_SLOW", b"CC_TEST_INJECT", b"test point"]


@pytest.fixture(name="release")
def release_fixture():
    """The release binary; left out in a developer's tree that has none."""
    if release_binary() is None:
        pytest.skip("left out: no release binary (CC_RELEASE_BINARY)")
    return release_binary()


def test_a_release_binary_has_no_test_switch(release):
    released, tested = release.read_bytes(), binary_with_switches().read_bytes()
    for switch in SWITCHES:
        assert switch in tested, "the control: the other binary has it"
        assert switch not in released, switch


def test_a_release_binary_is_hardened(release):
    def readelf(option):
        return subprocess.run(["readelf", "-W", option, release], capture_output=True, text=True, check=True).stdout

    assert "DYN (Position-Independent" in readelf("-h")
    segments, dynamic, symbols = readelf("-l"), readelf("-d"), readelf("--dyn-syms")
    assert "GNU_RELRO" in segments
    assert "BIND_NOW" in dynamic or re.search(r"FLAGS_1.*NOW", dynamic)
    stack = next(line for line in segments.splitlines() if "GNU_STACK" in line)
    assert " RWE " not in stack
    assert "__stack_chk_fail" in symbols
    assert "_chk@" in symbols, "no fortified call"
    assert "RPATH" not in dynamic and "RUNPATH" not in dynamic


def test_a_release_binary_ignores_the_switches(release, make_daemon):
    daemon = make_daemon(binary=release, environment={"CC_TEST_POINT": "RECEIVED:1", "CC_TEST_INJECT": "front:connect"})
    daemon.init()
    daemon.start()
    rooms = daemon.rooms()
    assert daemon.sign("0x" + "ab" * 48, {"type": "RANDAO_REVEAL"})[0] in (400, 404)
    assert daemon.get("/upcheck")[0] == 200
    assert daemon.rooms() == rooms
