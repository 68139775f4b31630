"""What a Daemon costs: processor time and memory of all its processes."""
import hashlib
import os
import pathlib

CURVE_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
TICK = os.sysconf("SC_CLK_TCK")


def secret_of(index):
    """Secret key `index` of the consensus specifications' interop keys, as hex."""
    digest = hashlib.sha256(index.to_bytes(32, "little")).digest()
    return f"0x{int.from_bytes(digest, 'little') % CURVE_ORDER:064x}"


def pids(daemon):
    """{"supervisor": pid, "front": pid, ...} of what stays; a loader comes and goes."""
    rooms = {name: pid for name, pid in daemon.rooms().items() if name != "loader"}
    return {"supervisor": daemon.process.pid, **rooms}


def _times(pid):
    """User and system time of a process and of the children that it has reaped, in seconds."""
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    fields = [int(f) for f in stat[stat.rindex(")") + 2 :].split()[11:15]]
    return (fields[0] + fields[1]) / TICK, (fields[2] + fields[3]) / TICK


def cpu_seconds(daemon):
    """{"front": seconds so far, ..., "ended": of all rooms that have ended}"""
    found = {name: _times(pid)[0] for name, pid in pids(daemon).items()}
    found["ended"] = _times(daemon.process.pid)[1]
    return found


def pss_mb(daemon):
    """{"front": PSS in MB, ...}: pages that processes share are counted once, in parts."""
    return _memory_mb(daemon, "Pss")


def own_mb(daemon):
    """{"front": anonymous memory in MB, ...}: what another program's start or end doesn't change, as it does the share of its pages."""
    return _memory_mb(daemon, "Anonymous")


def _memory_mb(daemon, field):
    found = {}
    for name, pid in pids(daemon).items():
        rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        found[name] = int(rollup.split(f"\n{field}:")[1].split()[0]) * 1024 / 1e6
    return found
