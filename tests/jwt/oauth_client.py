"""OAUTHBEARER with libpq 18, the one that psycopg brings: its hook gets the token.

Arguments: a connection string, the issuer, a token that holds, one that does not.
"""

import ctypes
import glob
import os
import sys

import psycopg
import psycopg_binary

URL, ISSUER, GOOD, BAD = sys.argv[1:]
PQAUTHDATA_OAUTH_BEARER_TOKEN = 1


class Request(ctypes.Structure):
    """PGoauthBearerRequest of libpq-fe.h."""

    _fields_ = [
        ("openid_configuration", ctypes.c_char_p),
        ("scope", ctypes.c_char_p),
        ("run", ctypes.c_void_p),
        ("cleanup", ctypes.c_void_p),
        ("token", ctypes.c_char_p),
        ("user", ctypes.c_void_p),
    ]


HOOK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(Request))
asked = []
token = GOOD.encode()


@HOOK
def hook(kind, connection, request):
    if kind != PQAUTHDATA_OAUTH_BEARER_TOKEN:
        return 0
    asked.append((request.contents.openid_configuration, request.contents.scope))
    request.contents.token = token
    return 1


def connect():
    return psycopg.connect(
        URL,
        oauth_issuer=ISSUER,
        oauth_client_id="psycopg",
        require_auth="oauth",
    )


def main():
    global token
    folder = os.path.join(os.path.dirname(psycopg_binary.__file__), os.pardir, "psycopg_binary.libs")
    (path,) = glob.glob(os.path.join(folder, "libpq-*.so*"))
    libpq = ctypes.CDLL(path)
    assert libpq.PQlibVersion() >= 180000, libpq.PQlibVersion()
    libpq.PQsetAuthDataHook(hook)

    with connect() as connection:
        emails = connection.execute("SELECT email FROM users").fetchall()
        assert emails == [("alice@innovate.example",)], emails
    # What the proxy tells is what the hook is told.
    discovery = ISSUER.encode() + b"/.well-known/openid-configuration"
    assert asked == [(discovery, b"openid org")], asked

    token = BAD.encode()
    try:
        connect()
    except psycopg.OperationalError as error:
        assert 'password authentication failed for user "ann"' in str(error), error
    else:
        raise AssertionError("a token that does not hold was accepted")


main()
