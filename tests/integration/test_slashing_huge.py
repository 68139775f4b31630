"""Files of many validators: streamed, in bounded memory, refused whole when something is wrong with them."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

import interop
import messages
from forms import FULL
import pytest

COUNT = 100_000 if FULL else 2_000
RSS_MAX_KIB = 64 << 10
ROOT = "0x" + "4f" * 32


def one(number):
    votes = ",".join(f'{{"source_epoch":"{e}","target_epoch":"{e + 1}","signing_root":"{ROOT}"}}' for e in range(3))
    return (f'{{"pubkey":"0x{number:096x}","signed_blocks":[{{"slot":"{number}","signing_root":"{ROOT}"}}],'
            f'"signed_attestations":[{votes}]}}')


def write_file(path, last=None, end="]}\n"):
    """COUNT validators; `last` in place of the last one, `end` in place of the end."""
    with open(path, "w", encoding="ascii") as out:
        out.write(f'{{"metadata":{{"interchange_format_version":"5","genesis_validators_root":"{messages.MINIMAL_GENESIS_ROOT}"}},"data":[\n')
        for number in range(1, COUNT + 1):
            out.write(("" if number == 1 else ",\n") + (last if last and number == COUNT else one(number)))
        out.write(end)
    return path


def peak_of(pid, peak):
    """VmHWM in KiB, or `peak` when the process has none any more. (What wait4() tells includes the memory of who forked it.)"""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), flags=re.M)
    except (FileNotFoundError, ProcessLookupError):
        return peak
    return max(peak, int(found[1])) if found else peak


def measured(daemon, *arguments):
    """The command's exit code, output and errors, its peak of resident memory in KiB, and its seconds."""
    began, peak = time.monotonic(), 0
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = subprocess.Popen([str(daemon.binary), "slashing", *map(str, arguments)], stdout=out, stderr=err)
        while process.poll() is None:
            peak = peak_of(process.pid, peak)
            time.sleep(0.005)  # between two looks
        seconds = time.monotonic() - began
        out.seek(0)
        err.seek(0)
        return process.returncode, out.read(), err.read(), peak, seconds


@pytest.fixture(name="huge")
def _huge(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1])
    daemon.init()
    return daemon


def test_a_huge_file_goes_in_and_out_in_bounded_memory(huge):
    path, out = write_file(huge.path / "in.json"), huge.path / "out.json"
    code, stdout, stderr, peak, seconds = measured(huge, "import", "--from", path, "-c", huge.config_path)
    assert code == 0 and f"{COUNT} validators: {COUNT} blocks and {3 * COUNT} attestations added" in stdout, stderr
    print(f"import of {COUNT}: {seconds:.1f} s, {peak} KiB")
    assert peak < RSS_MAX_KIB and (seconds < 60 or not FULL)
    code, _, stderr, peak, seconds = measured(huge, "export", "--to", out, "-c", huge.config_path)
    print(f"export of {COUNT}: {seconds:.1f} s, {peak} KiB")
    assert code == 0 and f"{COUNT} validators exported" in stderr and peak < RSS_MAX_KIB
    assert json.loads(out.read_text())["data"] == json.loads(path.read_text())["data"]
    # Again: nothing is new.
    code, stdout, _, _, _ = measured(huge, "import", "--from", out, "-c", huge.config_path)
    assert code == 0 and f"0 blocks and 0 attestations added, {4 * COUNT} known before" in stdout


def test_a_huge_file_on_a_running_signer(huge):
    socket = f"/tmp/cc-huge-{os.getpid()}.sock"
    huge.config["server"]["unix_socket"] = socket
    huge.write_config()
    huge.start()
    path, out = write_file(huge.path / "in.json"), huge.path / "out.json"
    code, stdout, stderr, peak, _ = measured(huge, "import", "--from", path, "--signer-url", f"unix:{socket}")
    assert code == 0 and f"{COUNT} validators: {COUNT} blocks" in stdout, stderr
    assert peak < RSS_MAX_KIB
    code, _, stderr, peak, _ = measured(huge, "export", "--to", out, "--signer-url", f"unix:{socket}")
    assert code == 0 and f"{COUNT + 1} validators exported" in stderr and peak < RSS_MAX_KIB
    assert len(json.loads(out.read_text())["data"]) == COUNT + 1
    assert huge.stop() == 0


@pytest.mark.parametrize("name, last, end, code, said", [
    ("malformed", one(5).replace('"slot":"5"', '"slot":"five"'), "]}", 3, "is not a decimal number"),
    ("truncated", None, "", 3, "ends too early"),
    ("twice", one(5)[:-1] + ',"pubkey":"0x12"}', "]}", 3, "comes twice"),
], ids=["malformed", "truncated", "twice"])  # fmt: skip
def test_a_huge_file_with_a_fault_at_its_end_is_refused_whole(huge, name, last, end, code, said):
    path = write_file(huge.path / f"{name}.json", last, end)
    got, stdout, stderr, peak, _ = measured(huge, "import", "--from", path, "-c", huge.config_path)
    assert got == code and said in stderr and "Nothing was imported" in stderr, (got, stdout, stderr)
    assert peak < RSS_MAX_KIB
    result = huge.command("slashing", "status", "--json", "-c", huge.config_path)
    assert json.loads(result.stdout)["validators"] == 0


def test_one_validator_that_contradicts_itself_among_many_is_reduced(huge):
    bad = one(5).replace(f"0x{5:096x}", f"0x{COUNT:096x}").replace('"source_epoch":"2"', '"source_epoch":"0"').replace('"source_epoch":"1"', '"source_epoch":"2"')
    path = write_file(huge.path / "in.json", bad)
    code, stdout, stderr, _, _ = measured(huge, "import", "--from", path, "-c", huge.config_path)
    assert code == 0 and "; 1 validators contradict themselves" in stdout and f"note: 0x{COUNT:096x}" in stderr, (stdout, stderr)
