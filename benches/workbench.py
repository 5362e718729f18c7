"""All that a run needs: a folder, the database, a certificate, the binaries under test."""

import os
import re
import shutil
import tempfile

import ports
import programs
from database import Database


class Workbench:
    """Removed, with everything that was started on it, when its `with` ends."""

    def __init__(self, pgtenant, pgbouncer):
        self.pgtenant = pgtenant
        self.pgbouncer = pgbouncer
        self.pgtenant_version = version(pgtenant)
        self.pgbouncer_version = version(pgbouncer)
        self.folder = None
        self.database = None
        self._running = []

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="pgtenant-bench-")
        try:
            os.chmod(self.folder, 0o755)
            programs.own(self.folder)
            self._make_certificate()
            self.database = Database(self.folder)
            self.database.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop_proxies()
        if self.database:
            self.database.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        """A file of this run."""
        return os.path.join(self.folder, name)

    def write(self, name, text):
        """Writes a file that the unprivileged user alone may read; its path."""
        path = self.path(name)
        with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
            file.write(text)
        programs.own(path)
        return path

    def start(self, proxy):
        """Starts a proxy under test."""
        running = proxy.start(self)
        self._running.append(running)
        return running

    def stop(self, running):
        """Stops one of them."""
        self._running.remove(running)
        running.stop()

    def stop_proxies(self):
        """Stops those that run."""
        while self._running:
            self._running.pop().stop()

    def launch(self, commands, port, name, login, **options):
        """Starts the processes of a proxy and waits until each of them is ready."""
        running = Running(port, login)
        try:
            for number, command in enumerate(commands, 1):
                log = self.path(f"{name}-{port}-{number}.log")
                with open(log, "w") as file:
                    process = programs.spawn(command, stdout=file, stderr=file, **options)
                running.processes.append(process)
                ports.wait_for(port, process, name, log, listeners=number)
        except BaseException:
            running.stop()
            raise
        return running

    def _make_certificate(self):
        programs.run([programs.find("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                      "-addext", f"subjectAltName=DNS:localhost,IP:{ports.HOST}",
                      "-keyout", self.path("proxy.key"), "-out", self.path("proxy.crt")])
        programs.own(self.path("proxy.key"))
        programs.own(self.path("proxy.crt"))


class Running:
    """A proxy that takes connections. `login(n)` is (user, database) of tenant n."""

    def __init__(self, port, login):
        self.port = port
        self.login = login
        self.metrics = None  # the port where metrics are served, if they are
        self.processes = []

    @property
    def pids(self):
        """Its processes."""
        return [process.pid for process in self.processes]

    def stop(self):
        """Stops it; clients are cut off."""
        for process in self.processes:
            programs.stop(process)


def version(binary):
    """The first version number that a program tells of itself."""
    output = programs.run([binary, "--version"])
    found = re.search(r"\d+(\.\d+)+", output)
    return found.group() if found else "of unknown version"
