"""TCP ports on the loopback address."""

import socket
import sys
import time

from failure import Failure

HOST = "127.0.0.1"


def free():
    """A port that nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


def _listeners(port):
    """How many sockets of the address listen on a port."""
    # In /proc the address is hexadecimal, and 0A is the state of a listener.
    local = f"0100007F:{port:04X}" if sys.byteorder == "little" else f"7F000001:{port:04X}"
    with open("/proc/net/tcp") as sockets:
        fields = [line.split() for line in sockets]
    return sum(socket[1] == local and socket[3] == "0A" for socket in fields)


def wait_for(port, process, name, log, patience=30, listeners=1):
    """Waits until a server that was started takes connections, maybe beside others there."""
    end = time.monotonic() + patience
    while process.poll() is None and time.monotonic() < end:
        if _listeners(port) >= listeners:
            return
        time.sleep(0.02)
    with open(log, errors="replace") as text:
        lines = [line.strip() for line in text if line.strip()]
    raise Failure(f"{name} does not take connections: {lines[-1] if lines else 'its log is empty'}")
