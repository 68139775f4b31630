"""How far long work is: a bar where standard error is a terminal, nothing of it elsewhere, and nothing with --json."""
import json
import re
import shutil

import pytest

import interop
import key_routes
import keystores
from daemon import Daemon, fresh_dir
from terminal import at_terminal
from test_slashing_cli import interchange, validator

VALIDATORS, VOTES = 2000, 9  # with a block each: 20,000 rows
BACK = r"\r(?!\r?\n)"  # what a terminal makes of the end of a line is none


@pytest.fixture(name="stopped", scope="module")
def a_stopped_signer():
    """One without a history, and a file of 20,000 rows beside it."""
    one = Daemon(fresh_dir("test_progress") / "one")
    one.init()
    votes = [(epoch, epoch + 1) for epoch in range(VOTES)]
    (one.path / "in.json").write_text(json.dumps(interchange(*[validator(f"0x{n:096x}", [n], votes) for n in range(1, VALIDATORS + 1)])))
    yield one
    one.end()


def shown(signer, *arguments, code=0):
    """What a terminal shows of a command that runs at it."""
    text, status = at_terminal([str(signer.binary), *map(str, arguments)], [], environment=signer.environment)
    assert status == code, text
    return text


def has_bar(text, what):
    """It is written over, full in the end or later, and wiped out."""
    bars = re.findall(rf"\r{what} *\[[#.]{{40}}\] +\d+ %", text)
    assert bars and re.search(rf"\r {{{len(bars[0]) - 1},}}\r", text[text.rindex(bars[-1]):]), text


def has_none(signer, *arguments):
    """Neither where there is no terminal, nor, on one, with --json."""
    done = signer.command(*arguments)
    assert "\r" not in done.stdout + done.stderr and "\033" not in done.stdout + done.stderr
    assert not re.search(r"\[[#.]+\]|\d %", done.stdout + done.stderr)
    text = shown(signer, *arguments, "--json")
    assert not re.search(BACK, text) and "\033" not in text and "%" not in text, text
    return done


def test_of_a_history_that_goes_in_and_out(stopped):
    config, path = ("-c", stopped.config_path), stopped.path / "in.json"
    text = shown(stopped, "slashing", "import", "--from", path, *config)
    has_bar(text, "checking")
    has_bar(text, "importing")
    assert f"{VALIDATORS} validators: {VALIDATORS} blocks and {VALIDATORS * VOTES} attestations added" in text.splitlines()[-1]
    assert "20000 known before" in has_none(stopped, "slashing", "import", "--from", path, *config).stdout
    has_bar(shown(stopped, "slashing", "export", "--to", stopped.path / "shown.json", *config), "exporting")
    has_none(stopped, "slashing", "export", "--to", stopped.path / "out.json", *config)
    # Where the same terminal shows what was asked for there is none.
    assert not re.search(BACK, shown(stopped, "slashing", "export", "--to", "-", *config))
    has_bar(shown(stopped, "slashing", "verify", *config), "verifying")
    has_none(stopped, "slashing", "verify", *config)
    assert re.search(r"\rpruning: \d+", shown(stopped, "slashing", "prune", "--keep-epochs", 1000, *config))
    has_none(stopped, "slashing", "prune", "--keep-epochs", 1000, *config)


def test_of_a_backup_and_what_is_made_of_it(stopped):
    config = ("-c", stopped.config_path)
    has_bar(shown(stopped, "backup", "--to", stopped.path / "shown", *config), "exporting")
    done = stopped.command("backup", "--to", stopped.path / "backup", *config)
    assert "\r" not in done.stdout + done.stderr
    assert not re.search(BACK, shown(stopped, "backup", "--to", stopped.path / "json", "--json", *config))
    key = stopped.path / "kept.key"
    shutil.copy(stopped.data_dir / "chamber.key", key)
    arguments = ("restore", "--from", stopped.path / "backup", "--chamber-key", key, "--digest", "none", "--epoch", 5000, *config)
    for again in (False, True):
        stopped.data_dir.rename(stopped.path / f"lost{again:d}")
        text = shown(stopped, *arguments, *(["--json"] if again else []))
        if again:
            assert not re.search(BACK, text)
        else:
            has_bar(text, "checking")
            has_bar(text, "restoring")


def test_of_keys_that_are_imported_and_of_the_audit_log(make_daemon):
    signer = make_daemon(config={"anti_slashing": {"new_key_policy": "allow"}})
    signer.init()
    signer.start()
    folder = signer.path / "in"
    for index in range(4):
        keystores.write(folder, f"k{index}", bytes.fromhex(interop.SECRETS[index][2:]), interop.PUBKEYS[index], "password")
    arguments = ("keys", "import", "--from-dir", folder, "--items", 2, "--signer-url", f"unix:{signer.admin_path}")
    text = shown(signer, *arguments)
    has_bar(text, "importing")
    assert text.splitlines()[-1].endswith("4 imported, 0 there already, 0 failed")
    assert "0 imported, 4 there already" in has_none(signer, *arguments).stdout
    assert key_routes.sign(signer, 1) == 200
    assert signer.stop() == 0
    config = ("-c", signer.config_path)
    assert re.search(r"\rexporting: \d+", shown(signer, "audit", "export", "--out", signer.path / "shown.jsonl", *config))
    assert not re.search(BACK, shown(signer, "audit", "export", "--out", signer.path / "json.jsonl", "--json", *config))
    done = signer.command("audit", "export", "--out", signer.path / "out.jsonl", *config)
    assert "\r" not in done.stdout + done.stderr and "exporting" not in done.stderr
    has_none(signer, "audit", "verify", *config)
