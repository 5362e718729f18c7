"""Load by pgbench, and what it tells."""

import glob
import os
import re
import selectors
import subprocess
import time
from dataclasses import dataclass

import meter
import ports
import programs
import samples
import tenants
from failure import Failure

# Of a line of `pgbench -P 1`: the rate, and since version 15 what failed.
PROGRESS = re.compile(r"progress: [\d.]+ s, ([\d.]+) tps(?:.*, (\d+) failed)?")

ENDLESS = "3600"  # seconds


@dataclass(frozen=True)
class Pgbench:
    """What pgbench is to do. `:org` in the script is the tenant's id."""

    script: str
    mode: str = "simple"
    clients: int = 16
    tls: bool = False
    connect: bool = False  # a new connection for each transaction
    tenants: tuple = (1,)  # more than one: a process of pgbench for each of them
    steady: bool = True  # measure between seconds, not from start to end: see `_window`
    latency: bool = False
    threads: int = 2  # of each process
    login: str = ""  # the user name, if not the tenant's first

    fresh = False  # a proxy serves all samples of a case

    def sample(self, bench, running, seconds):
        """Runs it before a proxy; what was measured."""
        if not self.steady:
            return self._sample_whole(bench, running, seconds)
        if self.latency:
            # To its end: pgbench writes the last part of its log there.
            extra = ["-P", "1", "-T", str(seconds + 2), "-l",
                     f"--log-prefix={bench.path('latency')}"]
        else:
            extra = ["-P", "1", "-T", ENDLESS]
        processes = self._start(bench, running, extra)
        try:
            sample = _window(processes, running.pids, seconds)
            if self.latency:
                for process in processes:
                    _finish(process)
                sample.update(_latencies(bench))
        finally:
            for process in processes:
                programs.stop(process)
        return sample

    def _sample_whole(self, bench, running, seconds):
        before = meter.cpu_seconds(running.pids)
        process, = self._start(bench, running, ["-T", str(seconds)])
        try:
            output = _finish(process)
        finally:
            programs.stop(process)
        return _whole(output, meter.cpu_seconds(running.pids) - before)

    def start_flood(self, bench, running):
        """Starts it without an end, and returns when it works; the process."""
        process, = self._start(bench, running, ["-P", "1", "-T", ENDLESS])
        for line in process.stderr:
            if PROGRESS.match(line):
                # Nobody reads more of it: at one line a second its pipe will not fill.
                return process
        _finish(process)
        raise Failure("pgbench ended before it began")

    def _start(self, bench, running, extra):
        script = bench.write("script.sql", self.script)
        processes = []
        try:
            for number in self.tenants:
                processes.append(self._spawn(bench, running, number, script, extra))
        except BaseException:
            for process in processes:
                programs.stop(process)
            raise
        return processes

    def _spawn(self, bench, running, tenant, script, extra):
        user, database = running.login(tenant)
        user = self.login or user
        each = self.clients // len(self.tenants)
        threads = min(each, self.threads)
        org = tenants.tenant_id(tenant)
        command = [bench.database.pgbench_path, "-n", "-h", ports.HOST, "-p", str(running.port),
                   "-U", user, "-M", self.mode, "-c", str(each), "-j", str(threads),
                   # Simple mode puts the value into the text, where it needs quotes.
                   "-D", f"org='{org}'" if self.mode == "simple" else f"org={org}",
                   "-f", script, *extra, database]
        if self.connect:
            command.insert(1, "-C")
        return programs.spawn(command, env=bench.database.environment(self.tls), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _window(processes, pids, seconds):
    """Measures from the first to a later report of pgbench.

    What comes before the first second is left out: connecting, which under TLS
    costs more than many transactions, and filling caches.
    """
    reports = {process: [] for process in processes}
    started = ended = None
    with selectors.DefaultSelector() as waiting:
        for process in processes:
            waiting.register(process.stderr, selectors.EVENT_READ, process)
        while ended is None:
            for key, _ in waiting.select():
                now = time.monotonic(), meter.cpu_seconds(pids)
                text = os.read(key.fd, 4096).decode()
                if not text:
                    _finish(key.data)
                    raise Failure("pgbench ended too early")
                if "error" in text:
                    raise Failure(f"pgbench: {_error(text)}")
                reports[key.data] += [(float(rate), int(failed or 0))
                                      for rate, failed in PROGRESS.findall(text)]
                counts = [len(lines) for lines in reports.values()]
                if started is None and min(counts) >= 1:
                    started = now
                if min(counts) >= 2 and max(counts) > seconds:
                    ended = ended or now
    # The first line of each is the second that warms up.
    lines = [lines[1:] for lines in reports.values()]
    rate = sum(sum(rate for rate, _ in own) / len(own) for own in lines)
    cpu = (ended[1] - started[1]) / (ended[0] - started[0]) if ended[0] > started[0] else 0
    if not rate or not cpu:
        raise Failure("nothing was done while it was measured")
    failed = sum(failed for own in lines for _, failed in own)
    return {"tps": rate, "cpu_us": cpu / rate * 1e6, "failed": failed}


def _whole(output, cpu):
    done = _number(r"actually processed: (\d+)", output)
    if not done:
        raise Failure("not one transaction was done")
    return {"tps": _number(r"tps = ([\d.]+)", output), "cpu_us": cpu / done * 1e6,
            "failed": _number(r"failed transactions: (\d+)", output)}


def _finish(process):
    """The output of a pgbench that comes to its end."""
    output, errors = process.communicate()
    if process.returncode:
        raise Failure(f"pgbench: {_error(errors)}")
    return output


def _error(text):
    """The line that says what went wrong."""
    said = [line for line in text.splitlines() if "error" in line.lower()]
    return said[0] if said else programs.last_line(text)


def _latencies(bench):
    """The median and the 99th percentile, without the first second."""
    rows = []
    for path in glob.glob(bench.path("latency.*")):
        with open(path) as log:
            rows += [line.split() for line in log]
        os.remove(path)
    first = min((int(row[4]) for row in rows), default=0)
    # A word in place of the time says that it failed or was skipped.
    times = sorted(int(row[2]) / 1000 for row in rows
                   if int(row[4]) > first and row[2].isdigit())
    if not times:
        raise Failure("nothing was done while it was measured")
    return {"p50": samples.percentile(times, 50), "p99": samples.percentile(times, 99)}


def _number(pattern, text):
    found = re.search(pattern, text)
    return float(found[1]) if found else 0
