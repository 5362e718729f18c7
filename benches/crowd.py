"""Load by clients of many tenants, connected in turn.

pgbench can be neither: a process of it logs in as one user, and its threads connect
at the same time. A crowd's clients are shared out among a few processes, each of which
does what a thread of pgbench does: send a statement, read the answer, send the next.
It sends the same messages, and costs about a quarter more than pgbench.
"""

import mmap
import os
import random
import re
import select
import signal
import struct
import time
from dataclasses import dataclass

import meter
import programs
import tenants
from failure import Failure
from protocol import CHUNK, Connection

# All that is understood of pgbench's scripts: this, and statements of one line.
SET = re.compile(r"\\set (\w+) random\((\d+), (\d+)\)")
VARIABLE = re.compile(r":(\w+)")

# How an answer ends: ReadyForQuery, but for the state of the transaction.
READY = b"Z\0\0\0\5"

# The severity of an error, as the first field of its message.
ERRORS = (b"SERROR\0", b"SFATAL\0")


def processes():
    """How many processes or threads make the load: half of the cores is PostgreSQL's."""
    return max(2, (os.cpu_count() or 1) // 2)


@dataclass(frozen=True)
class Crowd:
    """So many clients at work, with one tenant of `tenants` after the other."""

    script: str
    mode: str = "simple"  # or "prepared"
    clients: int = 96
    tls: bool = False
    tenants: tuple = (1,)
    idle: int = 0  # clients that are there and do nothing
    every: int = 1  # which of all clients work: the first of so many that come in turn

    # Who comes to which worker depends on who is there already.
    fresh = True

    def sample(self, bench, running, seconds):
        """Connects them before a proxy and sets them to work; what was measured."""
        connections = []
        try:
            for number in range(self.clients + self.idle):
                connections.append(self._connect(bench, running, number))
            working = connections[::self.every][:self.clients]
            with _Drivers(working, self.script, self.mode) as drivers:
                drivers.wait(1)  # filling caches
                return _measure(drivers, running.pids, seconds)
        finally:
            for connection, _ in connections:
                connection.close()

    def _connect(self, bench, running, number):
        """A connection, and the tenant that it is of."""
        tenant = self.tenants[number % len(self.tenants)]
        user, database = running.login(tenant)
        connection = Connection(running.port, user, bench.database.password, database, self.tls)
        connection.socket.settimeout(None)
        return connection, tenant


def _measure(drivers, pids, seconds):
    started, (done, failed) = time.monotonic(), drivers.counts()
    threads = meter.thread_seconds(pids)
    cpu = meter.cpu_seconds(pids)
    drivers.wait(seconds)
    cpu = meter.cpu_seconds(pids) - cpu
    now_done, now_failed = drivers.counts()
    duration = time.monotonic() - started
    done, failed = now_done - done, now_failed - failed
    if not done or not cpu:
        raise Failure("nothing was done while it was measured")
    busiest = max(now - threads.get(thread, 0)
                  for thread, now in meter.thread_seconds(pids).items())
    return {"tps": done / duration, "cpu_us": cpu / done * 1e6, "failed": failed,
            "busiest": busiest / cpu * 100}


class _Drivers:
    """Processes that work as clients until the `with` ends."""

    def __init__(self, clients, script, mode):
        self._count = min(processes(), len(clients))
        # Transactions and failures of each process.
        self._memory = mmap.mmap(-1, 16 * self._count)
        self._counters = memoryview(self._memory).cast("Q")
        self._failures, self._report = os.pipe()
        self._pids = []
        self._clients, self._script, self._mode = clients, script, mode

    def __enter__(self):
        for number in range(self._count):
            pid = os.fork()
            if pid == 0:
                self._drive(number)
            self._pids.append(pid)
        return self

    def __exit__(self, *_):
        for pid in self._pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(self._failures)
        os.close(self._report)

    def wait(self, seconds):
        """Lets them work for so long; raises what goes wrong meanwhile."""
        if select.select([self._failures], [], [], seconds)[0]:
            said = os.read(self._failures, select.PIPE_BUF).decode(errors="replace")
            raise Failure(f"a client stopped: {said.splitlines()[0]}")

    def counts(self):
        """(transactions, failures) so far."""
        return sum(self._counters[::2]), sum(self._counters[1::2])

    def _drive(self, number):
        """The life of one of the processes; does not return."""
        try:
            os.setsid()  # Ctrl-C is our parent's
            programs.die_with_parent()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            random.seed()
            script = _parse(self._script)
            own = self._clients[number::self._count]
            _work([_Client(connection, tenant, script, self._mode)
                   for connection, tenant in own], self._counters[2 * number:])
        except BaseException as error:  # nothing may reach the parent's code
            os.write(self._report, f"{error!s:.500}\n".encode())
        finally:
            os._exit(1)


def _work(clients, counters):
    """Runs the script with each of the clients, over and over."""
    ready, of = select.epoll(), {}
    for client in clients:
        of[client.file] = client
        ready.register(client.file, select.EPOLLIN)
        client.send()
    while True:
        for file, _ in ready.poll():
            client = of[file]
            if not client.receive():
                counters[1] += 1
            elif client.at_end():
                counters[0] += 1
            client.send()


class _Client:
    """One client: the statements of its script, and where it is in them."""

    def __init__(self, connection, tenant, script, mode):
        self.file = connection.socket.fileno()
        self._socket = connection.socket
        self._variables = {"org": tenants.tenant_id(tenant)}
        self._ranges, statements = script
        self._next = 0
        if mode == "simple":
            self._messages = [_Query(sql) for sql in statements]
        else:
            self._messages = [_Prepared(connection, number, sql)
                              for number, sql in enumerate(statements)]

    def send(self):
        """Sends the next statement."""
        if self._next == 0:
            for name, low, size in self._ranges:
                self._variables[name] = low + int(random.random() * size)
        self._socket.sendall(self._messages[self._next].text(self._variables))
        self._next = (self._next + 1) % len(self._messages)

    def receive(self):
        """Reads the whole answer; whether it is none of an error."""
        answer = self._socket.recv(CHUNK)
        while answer[-6:-1] != READY:
            more = self._socket.recv(CHUNK)
            if not more:
                raise Failure("the proxy closed the connection")
            answer += more
        return not any(error in answer for error in ERRORS)

    def at_end(self):
        """Whether the script has been done."""
        return self._next == 0


class _Query:
    """A statement of the simple protocol: values are in its text."""

    def __init__(self, sql):
        self._pieces = VARIABLE.split(sql)

    def text(self, variables):
        """The message."""
        pieces = self._pieces.copy()
        for place in range(1, len(pieces), 2):
            value = variables[pieces[place]]
            pieces[place] = str(value) if isinstance(value, int) else f"'{value}'"
        sql = "".join(pieces).encode()
        return b"Q" + struct.pack("!I", len(sql) + 5) + sql + b"\0"


class _Prepared:
    """A prepared statement: values are parameters, as text."""

    def __init__(self, connection, number, sql):
        pieces = VARIABLE.split(sql)
        self._names = pieces[1::2]
        pieces[1::2] = [f"${place + 1}" for place in range(len(self._names))]
        name = f"P_{number}\0".encode()
        parse = name + "".join(pieces).encode() + b"\0\0\0"
        connection.send(b"P", parse)
        connection.send(b"S", b"")
        connection.wait_for(b"Z")
        self._head = b"\0" + name + struct.pack("!HH", 0, len(self._names))
        # One format for all results; Describe, Execute, Sync as libpq sends them.
        self._tail = struct.pack("!HH", 1, 0)
        self._rest = b"D\0\0\0\6P\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\4"

    def text(self, variables):
        """The messages."""
        body = self._head
        for name in self._names:
            value = str(variables[name]).encode()
            body += struct.pack("!I", len(value)) + value
        return b"B" + struct.pack("!I", len(body) + 8) + body + self._tail + self._rest


def _parse(script):
    """(variables with their ranges, statements) of a script of pgbench."""
    ranges, statements = [], []
    for line in script.splitlines():
        found = SET.fullmatch(line)
        if found:
            low, high = int(found[2]), int(found[3])
            ranges.append((found[1], low, high - low + 1))
        elif line.startswith("\\") or not line.endswith(";"):
            raise Failure(f"a line that a crowd does not understand: {line}")
        else:
            statements.append(line.rstrip(";"))
    return ranges, statements
