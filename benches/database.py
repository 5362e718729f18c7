"""A throwaway PostgreSQL server with the benchmarks' data."""

import os
import secrets
import signal
import time

import ports
import programs
import tenants
from failure import Failure

HERE = os.path.dirname(os.path.abspath(__file__))
SCHEMA = os.path.join(HERE, "..", "src", "throwaway", "sql", "setting.sql")
DATA = os.path.join(HERE, "data.sql")

PGBENCH_SCALE = 5

# The tenants' database as it was filled. Nobody connects to it: a database is not
# copied while it has sessions, and proxies under test keep some in the original.
PRISTINE = "pristine"

# The server should be in nobody's way: no disk, no statistics, no vacuum.
SETTINGS = {
    "listen_addresses": ports.HOST, "unix_socket_directories": "", "max_connections": 1300,
    "shared_buffers": "256MB", "fsync": "off", "synchronous_commit": "off",
    "full_page_writes": "off", "max_wal_size": "4GB", "checkpoint_timeout": "1h",
    "autovacuum": "off", "track_activities": "off", "track_counts": "off",
    "update_process_title": "off", "jit": "off", "log_min_messages": "fatal",
}


class Database:
    """One server. `password` is everybody's: the superuser's, the role's, the logins'."""

    def __init__(self, folder):
        self.folder = folder
        self.password = secrets.token_hex(16)
        self.verifier = None
        self.initdb = programs.find("initdb")
        self.psql_path = programs.beside(self.initdb, "psql")
        self.pgbench_path = programs.beside(self.initdb, "pgbench")
        self.port = ports.free()
        self._process = None

    def start(self):
        """Makes the server and its data: about ten seconds."""
        self._initialize()
        self._launch()
        self._fill()

    def stop(self):
        """Stops the server without ceremony."""
        if self._process:
            programs.stop(self._process, signal.SIGQUIT, patience=10)

    def sql(self, sql, database=tenants.DATABASE, **variables):
        """Runs SQL as the superuser; its rows, unaligned."""
        command = [self.psql_path, "-XqAt", "-v", "ON_ERROR_STOP=1", "-h", ports.HOST,
                   "-p", str(self.port), "-U", "postgres", "-d", database, "-f", "-"]
        for name, value in variables.items():
            command += ["-v", f"{name}={value}"]
        return programs.run(command, text_in=sql, env=self.environment()).strip()

    def url(self, database):
        """The superuser's connection string; the password comes from the environment."""
        return f"postgres://postgres@{ports.HOST}:{self.port}/{database}"

    def environment(self, tls=False):
        """The environment of client programs."""
        return dict(os.environ, PGPASSWORD=self.password, PGGSSENCMODE="disable",
                    PGSSLMODE="require" if tls else "disable")

    def copy(self, name):
        """A copy of the tenants' database under another name, once."""
        if not self.sql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
            self.sql(f"CREATE DATABASE {name} TEMPLATE {PRISTINE}", "postgres")
            return True
        return False

    def _initialize(self):
        password_file = os.path.join(self.folder, "superuser.password")
        with open(password_file, "w", opener=_private) as file:
            file.write(self.password + "\n")
        programs.own(password_file)
        programs.run([self.initdb, "-D", self._data(), "-U", "postgres", "-E", "UTF8",
                      "--locale=C", "--auth=scram-sha-256", f"--pwfile={password_file}",
                      "--no-sync"], unprivileged=True, cwd=self.folder)

    def _launch(self):
        command = [programs.beside(self.initdb, "postgres"), "-D", self._data(),
                   "-p", str(self.port)]
        for name, value in SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        log = os.path.join(self.folder, "postgresql.log")
        with open(log, "w") as file:
            self._process = programs.spawn(command, unprivileged=True, cwd=self.folder,
                                           stdout=file, stderr=file)
        ports.wait_for(self.port, self._process, "PostgreSQL", log)
        self._wait_until_it_answers()

    def _wait_until_it_answers(self):
        ready = [programs.beside(self.initdb, "pg_isready"), "-q", "-h", ports.HOST,
                 "-p", str(self.port), "-t", "1"]
        while programs.spawn(ready).wait() != 0:
            if self._process.poll() is not None:
                raise Failure("PostgreSQL ended while it was starting")
            time.sleep(0.05)

    def _fill(self):
        role, database = tenants.APP_ROLE, tenants.DATABASE
        self.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{self.password}'", "postgres")
        self.sql(f"CREATE DATABASE {database}", "postgres")
        self.verifier = self.sql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{role}'")
        self.sql(_text(SCHEMA))
        programs.run([self.pgbench_path, "-i", "-q", "-s", str(PGBENCH_SCALE), "-h", ports.HOST,
                      "-p", str(self.port), "-U", "postgres", database], env=self.environment())
        self.sql(_text(DATA), tenants=tenants.COUNT, rows=tenants.ROWS)
        self.sql(f"CREATE DATABASE {PRISTINE} TEMPLATE {database}", "postgres")

    def _data(self):
        return os.path.join(self.folder, "data")


def _private(path, flags):
    return os.open(path, flags, 0o600)


def _text(path):
    with open(path) as file:
        return file.read()
