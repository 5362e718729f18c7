"""Finding, starting and stopping other programs."""

import ctypes
import glob
import os
import pwd
import re
import shutil
import signal
import subprocess

from failure import Failure

# Where packages put programs that are not on everybody's PATH.
USUAL = ["/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/sbin", "/usr/local/sbin"]

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def find(name):
    """The path of a program, the newest of several versions."""
    on_path = shutil.which(name)
    if on_path:
        return on_path
    found = [path for folder in USUAL for path in glob.glob(os.path.join(folder, name))]
    if not found:
        raise Failure(f"{name} is not installed; deploy/setup --benches brings it")
    return max(found, key=lambda path: [int(n) for n in re.findall(r"\d+", path)])


def beside(program, name):
    """A program of the same installation."""
    path = os.path.join(os.path.dirname(os.path.realpath(program)), name)
    return path if os.path.exists(path) else find(name)


def account():
    """Whom PostgreSQL and PgBouncer run as: they refuse root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise Failure("PostgreSQL refuses to run as root, and there is no user postgres or nobody")


def own(path):
    """Gives a file to the unprivileged user."""
    user = account()
    if user:
        os.chown(path, user.pw_uid, user.pw_gid)


def die_with_parent():
    """Has the kernel end this process when its parent ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _as(user):
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def spawn(command, unprivileged=False, **options):
    """Starts a program that ends with us, in a session of its own: Ctrl-C is ours."""
    options.setdefault("stdin", subprocess.DEVNULL)
    user = account() if unprivileged else None
    try:
        return subprocess.Popen(
            command, start_new_session=True, preexec_fn=die_with_parent, **_as(user), **options)
    except OSError as error:
        raise Failure(f"{command[0]} cannot be started: {error.strerror}") from None


def run(command, unprivileged=False, text_in=None, **options):
    """Runs a program to its end; its standard output."""
    process = spawn(command, unprivileged, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, text=True, **options)
    try:
        output, errors = process.communicate(text_in)
    except BaseException:
        stop(process)
        raise
    if process.returncode:
        raise Failure(f"{os.path.basename(command[0])} failed: {last_line(errors or output)}")
    return output


def stop(process, how=signal.SIGTERM, patience=3):
    """Stops a program, at the latest after `patience` seconds."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()


def last_line(text):
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
