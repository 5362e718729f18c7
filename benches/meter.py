"""What processes have used so far, from /proc. A proxy may be several of them."""

import os
import time

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids):
    """User and system time of all their threads, those that have ended too."""
    return sum(_cpu(f"/proc/{pid}/stat") for pid in pids)


def thread_seconds(pids):
    """User and system time by the thread's id."""
    return {thread: _cpu(f"/proc/{pid}/task/{thread}/stat")
            for pid in pids for thread in os.listdir(f"/proc/{pid}/task")}


def resident_kib(pids):
    """Resident memory of all."""
    return sum(_kib(f"/proc/{pid}/status", "VmRSS:") for pid in pids)


def settled_kib(pids, patience=10):
    """Resident memory when it has not changed by 1 % for a second."""
    last, end = resident_kib(pids), time.monotonic() + patience
    while time.monotonic() < end:
        time.sleep(1)
        now = resident_kib(pids)
        if abs(now - last) <= last / 100:
            return now
        last = now
    return last


def available_mib():
    """Memory that may still be used without swapping."""
    return _kib("/proc/meminfo", "MemAvailable:") // 1024


def _cpu(path):
    try:
        with open(path) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
    except FileNotFoundError:
        return 0  # it has ended
    return (int(fields[11]) + int(fields[12])) / TICKS


def _kib(path, field):
    with open(path) as lines:
        for line in lines:
            if line.startswith(field):
                return int(line.split()[1])
    return 0
