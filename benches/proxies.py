"""The proxies under test, each with the configuration that it runs with."""

from dataclasses import dataclass

import ports
import programs
import tenants

# Of both: more than the most clients of any case.
MAX_CLIENTS = 12_000

# The first PgBouncer that knows prepared statements in transaction mode.
PGBOUNCER_WITH_PREPARED = (1, 21)

# A database of PgBouncer's that has one tenant's setting at every connection.
ONE_TENANT = "one_tenant"


@dataclass(frozen=True)
class PgBouncer:
    """PgBouncer in transaction mode.

    A process of it has one thread. Several share a port, where the kernel spreads
    new clients among them by chance, and each has its part of the pool.
    """

    pool_size: int = 20
    processes: int = 1
    one_tenant: bool = False  # the setting is there already: clients send the query alone

    def lacks(self, bench, mode):
        """Why it cannot take part in a case; None if it can."""
        if mode == "prepared" and not has_prepared(bench.pgbouncer_version):
            return f"PgBouncer {bench.pgbouncer_version} has no prepared statements in " \
                   "transaction mode (1.21 and newer have)"
        return None

    def start(self, bench):
        port = ports.free()
        users = bench.write(f"users-{port}.txt",
                            f'"{tenants.APP_ROLE}" "{bench.database.verifier}"\n')
        config = bench.write(f"pgbouncer-{port}.ini", self._config(bench, port, users))
        return bench.launch([[bench.pgbouncer, "-q", config]] * self.processes, port,
                            "PgBouncer", self._login, unprivileged=True, cwd=bench.folder)

    def _login(self, _tenant):
        return tenants.APP_ROLE, ONE_TENANT if self.one_tenant else tenants.DATABASE

    def _config(self, bench, port, users):
        # A login of its own, as pgtenant has: with the keys that clients log in with,
        # servers' logins failed now and then ("wrong password type").
        server = f"host={ports.HOST} port={bench.database.port} dbname={tenants.DATABASE} " \
                 f"user={tenants.APP_ROLE} password={bench.database.password}"
        setting = f"SET {tenants.SETTING} = ''{tenants.tenant_id(1)}''"
        lines = f"""
[databases]
{tenants.DATABASE} = {server}
{ONE_TENANT} = {server} connect_query='{setting}'
[pgbouncer]
listen_addr = {ports.HOST}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
so_reuseport = {int(self.processes > 1)}
default_pool_size = {max(1, self.pool_size // self.processes)}
max_client_conn = {MAX_CLIENTS}
client_tls_sslmode = allow
client_tls_cert_file = {bench.path("proxy.crt")}
client_tls_key_file = {bench.path("proxy.key")}
server_tls_sslmode = disable
log_connections = 0
log_disconnections = 0
log_stats = 0
"""
        if has_prepared(bench.pgbouncer_version):
            lines += "max_prepared_statements = 200\n"
        return lines


@dataclass(frozen=True)
class Pgtenant:
    """pgtenant with the guard's defaults."""

    pool_size: int = 20
    size_per_tenant: int = 0  # 0: as many as the pool has, as with PgBouncer
    workers: int = 1
    seal: str = "off"
    tenants: int = tenants.COUNT
    series: int = 0  # most tenants with metrics of their own; 0: metrics are not served
    audit: str = ""  # which statements are recorded; "": there is no audit log
    profile: str = ""  # keys of the profile of tenant 1's other login; "": it has none

    def lacks(self, _bench, _mode):
        return None

    def start(self, bench):
        port = ports.free()
        metrics = ports.free() if self.series else None
        config = bench.write(f"pgtenant-{port}.toml", self._config(bench, port, metrics))
        if self.seal != "off" and bench.database.copy(self._database()):
            programs.run([bench.pgtenant, "harden", "--config", config, "--apply",
                          bench.database.url(self._database())],
                         env=bench.database.environment())
        running = bench.launch([[bench.pgtenant, "run", "--config", config]], port, "pgtenant",
                               self._login)
        running.metrics = metrics
        return running

    def _login(self, tenant):
        return tenants.login(tenant), self._database()

    def _database(self):
        return tenants.DATABASE if self.seal == "off" else f"sealed_by_{self.seal}"

    def _config(self, bench, port, metrics):
        parts = [f"""
[listen]
address = "{ports.HOST}:{port}"
max_clients = {MAX_CLIENTS}
workers = {self.workers}
drain_timeout = "1s"
[tls]
mode = "allow"
certificate = "proxy.crt"
key = "proxy.key"
[servers.main]
host = "{ports.HOST}"
port = {bench.database.port}
tls = "off"
user = "{tenants.APP_ROLE}"
password = "{bench.database.password}"
[pool]
size = {self.pool_size}
size_per_tenant = {self.size_per_tenant or self.pool_size}
idle_timeout = "1h"
[isolation.wellness]
kind = "setting"
server = "main"
database = "{self._database()}"
setting = "{tenants.SETTING}"
{self._seal(bench)}
{self._admin(metrics)}
{self._audit(port)}
[log]
filter = "warn"
"""]
        for number in range(1, self.tenants + 1):
            parts.append(f"""
[[tenants]]
id = "{tenants.tenant_id(number)}"
[[logins]]
user = "{tenants.login(number)}"
tenant = "{tenants.tenant_id(number)}"
scram = "{bench.database.verifier}"
""")
        parts.append(self._other_login(bench))
        return "".join(parts)

    def _other_login(self, bench):
        login = f"""
[[logins]]
user = "{tenants.other_login(1)}"
tenant = "{tenants.tenant_id(1)}"
scram = "{bench.database.verifier}"
"""
        if not self.profile:
            return login
        return f'{login}profile = "bi"\n[profiles.bi]\n{self.profile}\n'

    def _seal(self, bench):
        if self.seal == "off":
            return ""
        bench.write("seal.key", "a key for benchmarks alone, of more than 32 bytes\n")
        return f'seal = "{self.seal}"\nseal_key_file = "seal.key"'

    def _admin(self, metrics):
        if not metrics:
            return ""
        return f'[admin]\naddress = "{ports.HOST}:{metrics}"\ntls = "off"\n' \
               f'public = ["/metrics"]\ntenant_series = {self.series}'

    def _audit(self, port):
        if not self.audit:
            return ""
        return f'[audit]\nfile = "audit-{port}.jsonl"\nstatements = "{self.audit}"'


def has_prepared(version):
    """Whether this PgBouncer has max_prepared_statements."""
    numbers = tuple(int(n) for n in version.split(".")[:2] if n.isdigit())
    return numbers >= PGBOUNCER_WITH_PREPARED
