"""The subcommand `bench`: a second of load on a signer of its own; what it counts is in the history; nothing is left behind."""
import json
import shutil
import subprocess

import pytest

from daemon import binary_with_switches


def bench(workdir, *arguments, code=0):
    """Runs `bench --dir workdir ARGUMENTS`; returns its result."""
    result = subprocess.run(
        [binary_with_switches(), "bench", "--dir", workdir, *arguments],
        env={"PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == code, result.stdout + result.stderr
    return result


SHORT = ["--keys", "64", "--seconds", "0.5", "--warm", "0.1", "--yardstick", "0.1"]


def test_json_has_what_was_measured(workdir):
    options = ["--load", "closed:8,open:8,slot:8", "--slot-seconds", "0.25", "--repeat", "2", "--json"]
    result = json.loads(bench(workdir, *SHORT, *options).stdout)
    assert result["keys"] == 64 and result["processors"] > 0 and result["flush_us"] > 0
    (signer,) = result["signers"]
    assert signer["signatures"] == signer["records"] > 64
    assert signer["memory_mb"] > 1 and signer["ready_seconds"] > 0
    assert [row["load"] for row in signer["rows"]] == ["closed", "open", "slot"]
    for row in signer["rows"]:
        assert row["failures"] == row["refused"] == 0
        assert row["per_second"] > 0 and len(row["ratios"]) == 2 and 0 < row["raw_share"] <= 1.1
        assert sum(count for _, count in row["histogram_us"]) > 0
        latency = row["latency_us"]
        assert 0 < latency["p50"] <= latency["p99"] <= latency["p999"] <= latency["max"]
        assert set(row["cpu_us"]) == {"supervisor", "front", "core", "vault", "client"}
    assert len(signer["rows"][2]["slot_ms"]) == 2
    assert not list(workdir.iterdir()), "the chamber and its keys were left behind"


def test_a_table_for_people(workdir):
    lines = bench(workdir, *SHORT, "--load", "closed:1/distinct,closed:8/distinct").stdout.splitlines()
    rows = [line.split() for line in lines if line.startswith("closed")]
    assert [row[:4] for row in rows] == [["closed", "1", "0", "distinct"], ["closed", "8", "0", "distinct"]]
    assert "records in the history read again" in lines[-1]


@pytest.mark.parametrize("engine", ["blst", "auto"])
def test_an_engine_that_is_asked_for(workdir, engine):
    result = json.loads(bench(workdir, *SHORT, "--load", "closed:8", "--engine", engine, "--json").stdout)
    (signer,) = result["signers"]
    assert signer["engine"] == engine
    assert signer["signatures"] == signer["records"] > 0


def test_a_signer_that_wants_a_token(workdir):
    """A policy is enforced: what came without the token would be answered 401, and the bench would end with 1."""
    copied = workdir / "program"
    shutil.copy(binary_with_switches(), copied)
    options = ["--load", "closed:8,closed:2x8", "--auth", "--program", copied, "--json"]
    (signer,) = json.loads(bench(workdir, *SHORT, *options).stdout)["signers"]
    assert signer["signatures"] == signer["records"] > 64
    assert all(row["failures"] == 0 for row in signer["rows"])
    assert list(workdir.iterdir()) == [copied], "the chamber, its keys and its token were left behind"


def test_a_program_that_is_not_there(workdir):
    assert "a command on the chamber failed" in bench(workdir, *SHORT, "--program", workdir / "none", code=1).stderr
    assert not list(workdir.iterdir())


def test_a_file_system_in_memory_is_refused(workdir):
    result = bench("/dev/shm", *SHORT, code=1)
    assert "--dir" in result.stderr and not result.stdout
    assert not list(workdir.iterdir())


def test_wrong_usage(workdir):
    bench(workdir, "--keys", "0", code=2)
    bench(workdir, "--engine", "fast", code=2)
    bench(workdir, "--signer-url", "http://localhost:9000", code=2)
