"""Load by whoever watches: scrapes of the metrics."""

import http.client
import threading
import time
from dataclasses import dataclass

import meter
import ports
import samples
from failure import Failure
from pgbench import Pgbench
from protocol import Connection

# What Prometheus asks for.
HEADERS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}


@dataclass(frozen=True)
class Scrape:
    """Scrapes one after the other, while a client of each of so many tenants is there."""

    tenants: int
    mode: str = "simple"

    # Whoever has been there once has series.
    fresh = True

    def sample(self, bench, running, seconds):
        """Connects the clients, then scrapes; what was measured."""
        connections = []
        try:
            _visit(bench, running, self.tenants, connections.append)
            fetch(running)
            return _repeat(running, seconds)
        finally:
            for connection in connections:
                connection.close()


@dataclass(frozen=True)
class Scraped:
    """What `load` gets while somebody scrapes a proxy where so many tenants have been."""

    load: Pgbench
    tenants: int
    every: float = 0  # seconds; 0: nobody scrapes
    mode: str = "simple"

    fresh = True

    def sample(self, bench, running, seconds):
        """Runs the load beside the scrapes; what was measured of the load."""
        _visit(bench, running, self.tenants, lambda connection: connection.close())
        if not self.every:
            return self.load.sample(bench, running, seconds)
        ended, problems = threading.Event(), []
        scraper = threading.Thread(target=_scrape, args=(running, self.every, ended, problems))
        scraper.start()
        try:
            return self.load.sample(bench, running, seconds)
        finally:
            ended.set()
            scraper.join()
            if problems:
                raise Failure(f"a scrape failed: {problems[0]}")


def fetch(running):
    """Scrapes once; the length of the answer."""
    connection = http.client.HTTPConnection(ports.HOST, running.metrics, timeout=60)
    try:
        connection.request("GET", "/metrics", headers=HEADERS)
        answer = connection.getresponse()
        size = 0
        buffer = bytearray(1 << 20)
        while part := answer.readinto(buffer):
            size += part
        if answer.status != 200:
            raise Failure(f"/metrics answers {answer.status}")
        return size
    finally:
        connection.close()


def _visit(bench, running, count, then):
    """Has each of so many tenants run a statement, and does `then` with its client."""
    for number in range(1, count + 1):
        user, database = running.login(number)
        connection = Connection(running.port, user, bench.database.password, database)
        try:
            connection.query("SELECT 1")
        finally:
            then(connection)


def _repeat(running, seconds):
    times, size = [], 0
    started, before = time.monotonic(), meter.cpu_seconds(running.pids)
    while time.monotonic() < started + seconds:
        begun = time.monotonic()
        size = fetch(running)
        times.append((time.monotonic() - begun) * 1000)
    cpu = meter.cpu_seconds(running.pids) - before
    times.sort()
    return {"p50": samples.percentile(times, 50), "p99": samples.percentile(times, 99),
            "cpu_us": cpu / len(times) * 1e6, "mib": size / (1 << 20), "failed": 0}


def _scrape(running, every, ended, problems):
    """Scrapes until it has ended, or until something goes wrong."""
    try:
        while not ended.wait(every):
            fetch(running)
    except (Failure, OSError, http.client.HTTPException) as problem:
        problems.append(problem)
