"""Copies of what a signer has on its disk, put back and started beside it."""
import os
import shutil
import time

import daemon as daemon_module
from daemon import wait_for
import nemesis
from nemesis import Fault, copy

UNTIL_REFUSED = 20.0
NAMES = ("TIMELINE", "TAMPERED", "ROLLED_BACK", "IDENTITY")


def settled(system):
    """Either it goes on by itself, floors raised where they had to be, or it refuses by name and a person says from where on
    it is safe. The moment from which it should sign again."""
    began = time.monotonic()
    while time.monotonic() < began + UNTIL_REFUSED:
        if any(signer.process.poll() is not None for signer in system.signers):
            break
        if system.signs():
            system.note("went on by itself")
            return began
        time.sleep(0.05)
    return refused(system)


def refused(system):
    """It says no, by name, at a start or while it runs; a person says from where on it is safe. The moment from which it
    should sign again."""
    wait_for("a refusal by name", lambda: names_in(system.signers), UNTIL_REFUSED)
    assert not (system.signers[0].process.poll() is None and system.signs()), "signs without its newest records"
    system.note(f"refused by name ({', '.join(names_in(system.signers))}), repaired")
    return system.repair()


def names_in(signers):
    """Which of the errors that say "this is not the history that I know" stand in the logs since note_logs()."""
    return [name for name in NAMES if any(f'"error":"{name}"' in signer.log_text()[signer.seen_log :] for signer in signers)]


def note_logs(system):
    """From here on names count."""
    for signer in system.signers:
        signer.seen_log = len(signer.log_text())


def spawn(signer):
    """Started: until it answers, or has ended."""
    signer.spawn()
    wait_for("a start, or its refusal", lambda: signer.process.poll() is not None
             or (signer._read_ports() and signer.status_of("/upcheck") == 200), 30)  # pylint: disable=protected-access


def lose_some(system, chance):
    """Waits until clients were given more than a few messages."""
    before = system.released()
    wait_for("records that will be lost", lambda: system.released() > before + chance.randrange(2, 60), 30)


def history_files(signer):
    """The history, without what only this replica knows (its mirror), which a backup of the database would not have."""
    return [path for path in (signer.data_dir / "history.sqlite", signer.data_dir / "history.sqlite-wal") if path.exists()]


def older_file(system, chance):
    """The signer is stopped, and its history is one of a while ago."""
    signer = system.signers[0]
    kept = system.path / "kept"
    signer.stop()
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir()
    for path in history_files(signer):
        copy(path, kept)
    signer.start(ready=False)
    lose_some(system, chance)
    signer.kill_all()
    for path in history_files(signer):
        path.unlink()
    for path in kept.iterdir():
        copy(path, signer.data_dir)
    note_logs(system)
    spawn(signer)
    return refused(system)


def replaced_file(system, chance):
    """Another file stands where the history was, while it is used; then the right one is put back."""
    signer = system.signers[0]
    path = signer.data_dir / "history.sqlite"
    aside = signer.data_dir / "history.aside"
    os.rename(path, aside)
    copy(aside, path)
    time.sleep(chance.uniform(0.3, 2))
    os.rename(aside, path)


def torn_mirror(system, chance):
    """The power fails before the newest bytes of the mirror have reached the disk, which nobody waits for."""
    signer = system.signers[0]
    signer.kill_all()
    mirror = signer.data_dir / "history.mirror"
    os.truncate(mirror, max(0, mirror.stat().st_size - chance.randrange(1, 300)))
    return nemesis.start(signer)


ROLLED_BACK = "Refused by name at the start, until `repair-watermark`."
FILE_FAULTS = {
    "older copy of the history put back while stopped": Fault(older_file, ROLLED_BACK, lost=True, weight=3),
    "power cut that tears the mirror": Fault(torn_mirror, "What the mirror lacks is not compared; no alarm.", weight=2),
    "history replaced while running": Fault(replaced_file, "503 until the right file is back.", weight=2),
}


def clone(system, chance):
    """A copy of a running replica's data directory is started beside it, and asked as well."""
    original = system.signers[0]
    twin = daemon_module.Daemon(original.path.with_name("clone"), binary=original.binary, environment=original.environment)
    shutil.rmtree(twin.data_dir, ignore_errors=True)
    copy(original.data_dir, twin.data_dir)
    twin.config = {**original.config, "server": dict(original.config["server"])}
    twin.put_data_in(twin.data_dir)
    note_logs(system)
    try:
        spawn(twin)
        if twin.process.poll() is None:
            system.signers.append(twin)
            time.sleep(chance.uniform(1, 3))
            system.signers.remove(twin)
    finally:
        twin.end()
    return settled(system)


CLONE_FAULTS = {
    "cloned data directory": Fault(clone, "Either of the two may refuse by name (`IDENTITY`); never a slashable pair. The clone is"
                                   " ended, the other goes on, or does after `repair-watermark`.", lost=True, weight=2),
}
