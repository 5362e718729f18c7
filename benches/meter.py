"""What a process has used so far, from /proc."""

import os
import time

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time of all threads."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_kib(pid):
    """Resident memory."""
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def settled_kib(pid, patience=10):
    """Resident memory when it has not changed by 1 % for a second."""
    last, end = resident_kib(pid), time.monotonic() + patience
    while time.monotonic() < end:
        time.sleep(1)
        now = resident_kib(pid)
        if abs(now - last) <= last / 100:
            return now
        last = now
    return last
