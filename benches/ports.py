"""TCP ports on the loopback address."""

import socket
import time

from failure import Failure

HOST = "127.0.0.1"


def free():
    """A port that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


def wait_for(port, process, name, log, patience=30):
    """Waits until a server that was started takes connections."""
    end = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < end:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    with open(log, errors="replace") as text:
        lines = [line.strip() for line in text if line.strip()]
    raise Failure(f"{name} does not take connections: {lines[-1] if lines else 'its log is empty'}")
