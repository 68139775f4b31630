"""What is done to the signers and their stores. A fault is a function of (system, chance): it strikes, holds, heals, and
returns the moment of healing, from which the signers' seconds count (None: now). What the signer promises about it stands
in its row, and in docs/reliability.md."""
import collections
import os
import signal
import subprocess
import time

import daemon as daemon_module
from daemon import children_of, wait_for

# limit: seconds from healing to the next signature, None where the promise is another one.
# lost: records may be gone, by the fault's nature; watermarks must stand in for them.
Fault = collections.namedtuple("Fault", "act promise limit lost weight", defaults=(5.0, False, 2))

AT_ONCE = "Another one takes its place by itself; nothing that was answered is forgotten."


def some_signer(system, chance):
    """One that runs."""
    return chance.choice(system.signers)


def kill_room(name):
    """kill -9 of one room of one signer."""

    def act(system, chance):
        began = time.monotonic()
        some_signer(system, chance).kill_room(name)
        return began

    return act


def pause_room(name):
    """SIGSTOP of one room, for as long as clients wait and longer."""

    def act(system, chance):
        pid = some_signer(system, chance).room(name)
        pause((pid,), chance)

    return act


def pause(pids, chance, longest=3.0):
    """Stands still, and goes on."""
    stopped = [pid for pid in pids if send(pid, signal.SIGSTOP)]
    try:
        time.sleep(chance.uniform(0.1, longest))
    finally:
        for pid in stopped:
            send(pid, signal.SIGCONT)


def copy(source, target):
    """As it is, whoever its files belong to."""
    subprocess.run(["cp", "-a", source, target], check=True)


def send(pid, number):
    """False when the process is gone."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def kill_supervisor(system, chance):
    """The rooms end with it; then it is started again, as by systemd."""
    signer = some_signer(system, chance)
    rooms = [pid for pid, _ in children_of(signer.process.pid)]
    signer.process.kill()
    signer.process.wait(10)
    wait_for("the rooms' end", lambda: all(map(daemon_module.has_ended, rooms)))
    return start(signer)


def start(signer):
    """Healed when somebody starts it, not when it has started."""
    began = time.monotonic()
    signer.start(ready=False)
    return began


def kill_everything(system, chance):
    """Supervisor and rooms at once."""
    signer = some_signer(system, chance)
    signer.kill_all()
    return start(signer)


def stop_and_start(system, chance):
    """SIGTERM: what is under way is answered."""
    signer = some_signer(system, chance)
    assert signer.stop() == 0
    return start(signer)


SIGNER_FAULTS = {
    "kill -9 front": Fault(kill_room("front"), AT_ONCE),
    "kill -9 core": Fault(kill_room("core"), AT_ONCE),
    "kill -9 vault": Fault(kill_room("vault"), "Everything is started again; the history alone knows what was signed."),
    "kill -9 supervisor": Fault(kill_supervisor, "The rooms end with it; a new start goes on."),
    "kill -9 everything": Fault(kill_everything, "A new start goes on from what was recorded."),
    "SIGTERM and start": Fault(stop_and_start, "What is under way is answered, then it ends; a new start goes on."),
    "pause core": Fault(pause_room("core"), "503 or no answer meanwhile; then it goes on."),
    "pause vault": Fault(pause_room("vault"), "503 or no answer meanwhile; then it goes on."),
}


# --- orders to faults.c ----------------------------------------------------------------------------------------------


def order(name, value):
    """Something is wrong with one signer's machine, and then no more."""

    def act(system, chance):
        signer = some_signer(system, chance)
        signer.faults.order(**{name: value(chance)})
        time.sleep(chance.uniform(0.3, 2.5))
        signer.faults.order(**{name: 0})

    return act


def always(_chance):
    """On."""
    return 1


def jump(chance):
    """Seconds: beyond the clients' epochs, before the network's genesis, or by little."""
    return chance.choice((-1, 1)) * chance.choice((5, 3600, 86400 * 100, 86400 * 3650))


def fill_disk(system, chance):
    """Not a block is left for the store, and then there is room again."""
    system.disk.fill()
    time.sleep(chance.uniform(0.3, 2.5))
    system.disk.free()


CLOCK_FAULTS = {
    "clock jump": Fault(order("clock_seconds", jump), "Claims beyond what the clock allows are refused (`FUTURE`) and leave no trace;"
                        " nothing else depends on the wall clock."),
}
DISK_FAULTS = {
    "power cut": Fault(kill_everything, "What was not synced is gone; what was released was synced.", weight=4),
    "disk full": Fault(order("disk_full", always), "503 until there is room; goes on without a restart.", weight=3),
    "disk failing": Fault(order("disk_fails", always), "503 while writes fail; goes on without a restart.", weight=3),
}
SIGNER_FAULTS.update(CLOCK_FAULTS)
