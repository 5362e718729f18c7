"""Load by large transfers over one connection, where a client must cost little."""

import struct
import time
from dataclasses import dataclass

import meter
from failure import Failure
from protocol import CHUNK, Connection

# What psql sends of COPY FROM STDIN in one message.
COPY_MESSAGE = 8192

READY = b"Z\0\0\0\5"


@dataclass(frozen=True)
class Transfer:
    """One statement, over and over. The rows must not hold what ends a result."""

    sql: str
    copy_in: int = 0  # bytes that the client sends
    tls: bool = False
    mode: str = "simple"

    fresh = False  # a proxy serves all samples of a case

    def sample(self, bench, running, seconds):
        """Runs it before a proxy; what was measured."""
        bench.database.sql("TRUNCATE copied")
        user, database = running.login(1)
        connection = Connection(running.port, user, bench.database.password, database, self.tls)
        try:
            once = self._copy_in() if self.copy_in else self._fetch
            once(connection)
            return _repeat(lambda: once(connection), running.pids, seconds)
        finally:
            connection.close()

    def _fetch(self, connection):
        connection.send(b"Q", self.sql.encode() + b"\0")
        _drain(connection.socket)

    def _copy_in(self):
        line = b"x" * 99 + b"\n"
        text = line * (self.copy_in // len(line))
        messages = bytearray()
        for start in range(0, len(text), COPY_MESSAGE):
            part = text[start:start + COPY_MESSAGE]
            messages += b"d" + struct.pack("!I", len(part) + 4) + part
        messages += b"c" + struct.pack("!I", 4)

        def once(connection):
            connection.send(b"Q", self.sql.encode() + b"\0")
            connection.wait_for(b"G")
            connection.socket.sendall(messages)
            connection.wait_for(b"Z")
        return once


def _drain(socket):
    """Reads up to ReadyForQuery without looking at what comes before it."""
    buffer, tail, kind = bytearray(CHUNK), b"", None
    while not tail.startswith(READY):
        size = socket.recv_into(buffer)
        if not size:
            raise Failure("the proxy closed the connection")
        kind = kind or buffer[:1]
        tail = (tail + buffer[max(size - 6, 0):size])[-6:]
    if kind == b"E":
        raise Failure("the statement was refused")


def _repeat(once, pids, seconds):
    started, before, done = time.monotonic(), meter.cpu_seconds(pids), 0
    while time.monotonic() < started + seconds:
        once()
        done += 1
    cpu, duration = meter.cpu_seconds(pids) - before, time.monotonic() - started
    return {"tps": done / duration, "cpu_us": cpu / done * 1e6, "failed": 0}
