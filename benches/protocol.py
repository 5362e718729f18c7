"""A small client of the PostgreSQL protocol, for what pgbench cannot do.

It logs in with SCRAM-SHA-256 (RFC 5802), with or without TLS, and knows simple
queries and COPY.
"""

import base64
import functools
import hashlib
import hmac
import os
import socket
import ssl
import struct

import ports
from failure import Failure

SSL_REQUEST = struct.pack("!II", 8, 80877103)
CHUNK = 1 << 20


class Connection:
    """A session that is logged in."""

    def __init__(self, port, user, password, database, tls=False):
        self.socket = socket.create_connection((ports.HOST, port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if tls:
                self._start_tls()
            self._log_in(user, password, database)
        except BaseException:
            self.socket.close()
            raise

    def query(self, sql):
        """Runs a simple query; what it returns is thrown away."""
        self.send(b"Q", sql.encode() + b"\0")
        self.wait_for(b"Z")

    def wait_for(self, kind):
        """Reads messages up to one of a kind; its body. An error raises."""
        while True:
            got, body = self._receive()
            if got == b"E":
                raise Failure(f"the proxy said: {_error_message(body)}")
            if got == kind:
                return body

    def send(self, kind, body):
        """Sends one message."""
        self.socket.sendall(kind + struct.pack("!I", len(body) + 4) + body)

    def close(self):
        """Closes without a word."""
        self.socket.close()

    def _start_tls(self):
        self.socket.sendall(SSL_REQUEST)
        if self.socket.recv(1) != b"S":
            raise Failure("the proxy does not offer TLS")
        self.socket = _tls_context().wrap_socket(self.socket)

    def _log_in(self, user, password, database):
        pairs = {"user": user, "database": database, "client_encoding": "UTF8"}
        body = b"".join(f"{key}\0{value}\0".encode() for key, value in pairs.items())
        body = struct.pack("!I", 196608) + body + b"\0"
        self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
        self._authenticate(password)
        self.wait_for(b"Z")

    def _authenticate(self, password):
        self._expect(10)
        nonce = base64.b64encode(os.urandom(18)).decode()
        client_first = f"n=,r={nonce}"
        initial = f"n,,{client_first}".encode()
        self.send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(initial)) + initial)
        server_first = self._expect(11).decode()
        parts = dict(part.split("=", 1) for part in server_first.split(","))
        bare = f"c=biws,r={parts['r']}"
        proof = _proof(password, parts, f"{client_first},{server_first},{bare}")
        self.send(b"p", f"{bare},p={proof}".encode())
        self._expect(12)
        self._expect(0)

    def _expect(self, authentication):
        body = self.wait_for(b"R")
        if struct.unpack("!I", body[:4])[0] != authentication:
            raise Failure("the proxy does not log in with SCRAM-SHA-256")
        return body[4:]

    def _receive(self):
        kind, length = struct.unpack("!cI", self._read(5))
        return kind, self._read(length - 4)

    def _read(self, size):
        parts = []
        while size:
            part = self.socket.recv(min(size, CHUNK))
            if not part:
                raise Failure("the proxy closed the connection")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


@functools.cache
def _tls_context():
    """As libpq with sslmode=require: the certificate is not verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _proof(password, server, message):
    client_key, stored_key = _keys(password, server["s"], int(server["i"]))
    signature = hmac.digest(stored_key, message.encode(), "sha256")
    return base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()


@functools.lru_cache
def _keys(password, salt, iterations):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return client_key, hashlib.sha256(client_key).digest()


def _error_message(body):
    fields = {field[:1]: field[1:] for field in body.split(b"\0") if field}
    return fields.get(b"M", b"an error").decode(errors="replace")
