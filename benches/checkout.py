"""Load by one tenant, while server connections of many others rest in the same pool."""

from dataclasses import dataclass

import meter
from failure import Failure
from pgbench import Pgbench
from protocol import Connection

# MiB that a client and its server connection take: most is PostgreSQL's.
EACH = 4


@dataclass(frozen=True)
class Checkout:
    """What `load` gets beside so many tenants that have used a connection and rest."""

    others: int
    load: Pgbench
    mode: str = "simple"

    # A connection that was opened for one sample would rest in the next one too.
    fresh = True

    def sample(self, bench, running, seconds):
        """Has the others come and rest, then runs the load; what was measured."""
        _need(self.others * EACH)
        connections = []
        try:
            for number in range(self.others):
                connections.append(_hold(bench, running, 2 + number))
            # Only now: each found those before it in use, and got one of its own.
            for connection in connections:
                connection.query("COMMIT")
            return self.load.sample(bench, running, seconds)
        finally:
            for connection in connections:
                connection.close()


def _hold(bench, running, tenant):
    """A client of the tenant in a transaction."""
    user, database = running.login(tenant)
    connection = Connection(running.port, user, bench.database.password, database)
    try:
        connection.query("BEGIN")
        connection.query("SELECT entry_type FROM wellness_entries WHERE value = 1")
    except BaseException:
        connection.close()
        raise
    return connection


def _need(mib):
    free = meter.available_mib()
    if free < mib:
        raise Failure(f"needs about {mib:,} MiB of memory, and {free:,} are free")
