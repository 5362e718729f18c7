"""Load by clients that are there and do nothing."""

import resource
from dataclasses import dataclass

import meter
from failure import Failure
from protocol import Connection

# Clients that come before the first look: they fill pool and caches.
FIRST = 20

# Files that we need beside a connection for each client.
SPARE_FILES = 100


@dataclass(frozen=True)
class Idle:
    """So many clients, each of which has run a query."""

    clients: int
    tls: bool = False
    mode: str = "simple"

    # Memory that clients have left behind would be used again.
    fresh = True

    def sample(self, bench, running, _seconds):
        """Connects them before a proxy; what was measured."""
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if limit < FIRST + self.clients + SPARE_FILES:
            raise Failure(f"needs more open files than the {limit} that are allowed (ulimit -n)")
        connections = []
        try:
            self._connect(bench, running, FIRST, connections)
            before = meter.settled_kib(running.pids)
            self._connect(bench, running, self.clients, connections)
            after = meter.settled_kib(running.pids)
            failed = sum(not _works(connection) for connection in connections)
        finally:
            for connection in connections:
                connection.close()
        return {"kib": (after - before) / self.clients, "failed": failed}

    def _connect(self, bench, running, count, connections):
        user, database = running.login(1)
        for _ in range(count):
            connection = Connection(running.port, user, bench.database.password, database,
                                    self.tls)
            connections.append(connection)
            connection.query("SELECT 1")


def _works(connection):
    try:
        connection.query("SELECT 1")
    except (Failure, OSError):
        return False
    return True
