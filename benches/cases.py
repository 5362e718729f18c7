"""What is measured: the table of cases.

The first contestant of a case is the one that the others are compared with, where
they do not name another.
"""

import os

from dataclasses import dataclass

import crowd
import scripts
import tenants
from checkout import Checkout
from crowd import Crowd
from flood import Flood
from idle import Idle
from pgbench import Pgbench
from proxies import PgBouncer, Pgtenant
from scrape import Scrape, Scraped
from transfer import Transfer


@dataclass(frozen=True)
class Metric:
    """One column of figures: `key` in the samples."""

    key: str
    title: str


@dataclass(frozen=True)
class Contestant:
    """A proxy and what it is given to do."""

    name: str
    proxy: object
    load: object
    against: str = ""  # the contestant that it is compared with; "": the first


@dataclass(frozen=True)
class Case:
    """Contestants that are run in turn."""

    name: str
    contestants: list
    most_rounds: int = 1000
    slow: bool = False  # left out by --quick


@dataclass(frozen=True)
class Group:
    """Cases of one question, with the same metrics; the first metric leads."""

    title: str
    note: str
    metrics: list
    cases: list


CPU = Metric("cpu_us", "proxy CPU µs/transaction")
CPU_CONNECTION = Metric("cpu_us", "proxy CPU µs/connection")
CPU_TRANSFER = Metric("cpu_us", "proxy CPU µs/transfer")
RATE = Metric("tps", "transactions/s")
CONNECTIONS = Metric("tps", "connections/s")
TRANSFERS = Metric("tps", "transfers/s")
P50 = Metric("p50", "p50 ms")
P99 = Metric("p99", "p99 ms")
MEMORY = Metric("kib", "KiB/client")
CPU_SCRAPE = Metric("cpu_us", "proxy CPU µs/scrape")
ANSWER = Metric("mib", "MiB/answer")
BUSIEST = Metric("busiest", "busiest thread's % of CPU")

# Numbers of workers, as far as the machine has cores for them.
WORKERS = [n for n in (1, 2, 4, 8, 16) if n <= max(2, os.cpu_count() or 1)]


def same(name, load, **options):
    """Both proxies get the same messages: PgBouncer has the tenant's setting already."""
    return Case(name, [
        Contestant("PgBouncer", PgBouncer(one_tenant=True), load),
        Contestant("pgtenant", Pgtenant(), load),
    ], **options)


def select(mode="simple", clients=16, tls=False, script=scripts.SELECT):
    """A single statement through both; latency where there is or is no queue at all."""
    what = "SELECT 1" if script == scripts.SELECT_1 else "tenant SELECT"
    name = f"{what}, {mode}, {'TLS, ' if tls else ''}{clients} client{'s'[:clients > 1]}"
    return same(name, Pgbench(script, mode, clients, tls, latency=clients != 16))


def scoped(mode="simple", clients=16, tls=False):
    """A request of one tenant: what users of each proxy must send for it."""
    four = Pgbench(scripts.scoped(scripts.SELECT), mode, clients, tls)
    contestants = [Contestant("PgBouncer, 4 statements", PgBouncer(), four)]
    if mode == "simple":
        one = Pgbench(scripts.SCOPED_IN_ONE, mode, clients, tls)
        contestants.append(Contestant("PgBouncer, 1 message", PgBouncer(), one))
    alone = Pgbench(scripts.SELECT, mode, clients, tls)
    contestants.append(Contestant("pgtenant", Pgtenant(), alone))
    return Case(f"{mode}, {'TLS, ' if tls else ''}{clients} clients", contestants)


def ten(mode):
    """A longer transaction of one tenant."""
    own = Pgbench(scripts.transaction(scripts.TEN), mode)
    told = Pgbench(scripts.scoped(scripts.TEN), mode)
    return Case(f"BEGIN, 10 tenant SELECTs, COMMIT, {mode}", [
        Contestant("PgBouncer", PgBouncer(one_tenant=True), own),
        Contestant("PgBouncer, and set_config", PgBouncer(), told),
        Contestant("pgtenant", Pgtenant(), own),
    ])


def switching(mode):
    """Each transaction finds a server connection that was another tenant's."""
    clients = {"mode": mode, "clients": 16, "tenants": tuple(range(1, 17))}
    four = Pgbench(scripts.scoped(scripts.SELECT), **clients)
    alone = Pgbench(scripts.SELECT, **clients)
    return Case(f"16 tenants on 4 server connections, {mode}", [
        Contestant("PgBouncer, 4 statements", PgBouncer(pool_size=4), four),
        Contestant("pgtenant", Pgtenant(pool_size=4), alone),
    ])


def many_tenants():
    """100 clients of one tenant, and of 100 tenants."""
    hundred, one = tuple(range(1, 101)), (1,) * 100
    four = scripts.scoped(scripts.SELECT)
    return Case("100 clients on 20 server connections, simple", [
        Contestant("PgBouncer, 4 statements", PgBouncer(),
                   Pgbench(four, clients=100, tenants=hundred)),
        Contestant("pgtenant, 100 tenants", Pgtenant(),
                   Pgbench(scripts.SELECT, clients=100, tenants=hundred)),
        Contestant("pgtenant, 1 tenant", Pgtenant(),
                   Pgbench(scripts.SELECT, clients=100, tenants=one)),
    ])


def seal(mode, clients=16):
    """What the seal costs."""
    load = Pgbench(scripts.SELECT, mode, clients, latency=True)
    return Case(f"tenant SELECT, {mode}, {clients} client{'s'[:clients > 1]}", [
        Contestant(f"seal = {kind}", Pgtenant(seal=kind), load)
        for kind in ("off", "carrier", "token")
    ])


def idle(clients, tls, slow=False):
    """Memory of clients that do nothing."""
    return same(f"{clients:,} clients{', TLS' if tls else ''}", Idle(clients, tls),
                most_rounds=3, slow=slow)


def flood(name, script):
    """One client of tenant 2, while tenant 1 has 200 that do `script`."""
    def load(of):
        victim = Pgbench(of(scripts.SELECT), clients=1, tenants=(2,), latency=True)
        return Flood(victim, Pgbench(of(script), clients=200) if script else None)
    return Case(name, [
        Contestant("PgBouncer, one role", PgBouncer(), load(scripts.scoped)),
        Contestant("pgtenant, size_per_tenant 20", Pgtenant(), load(str)),
        Contestant("pgtenant, size_per_tenant 15", Pgtenant(size_per_tenant=15), load(str)),
    ])


def flood_within(name, script):
    """One client of tenant 1, while another login of the tenant has 200 that do `script`."""
    victim = Pgbench(scripts.SELECT, clients=1, latency=True)
    others = Pgbench(script, clients=200, login=tenants.other_login(1)) if script else None
    load = Flood(victim, others)
    return Case(name, [
        Contestant("pgtenant, no profile", Pgtenant(), load),
        Contestant("pgtenant, pool_size 5", Pgtenant(profile="pool_size = 5"), load),
    ])


def workers(mode, many=False, tls=False):
    """What more workers bring, to one tenant and to one for each client."""
    if many:
        loads = [Crowd(script, mode, 96, tls, tuple(range(1, 97)))
                 for script in (scripts.scoped(scripts.SELECT), scripts.SELECT)]
    else:
        loads = [Pgbench(scripts.SELECT, mode, 96, tls, threads=crowd.processes())] * 2
    bouncer = {n: Contestant(f"PgBouncer x {n}", PgBouncer(48, n, one_tenant=not many), loads[0],
                             against=f"pgtenant, workers = {n}") for n in WORKERS}
    own = {n: Contestant(f"pgtenant, workers = {n}", Pgtenant(48, workers=n), loads[1])
           for n in WORKERS}
    of = "96 tenants" if many else "one tenant"
    return Case(f"{mode}, {'TLS, ' if tls else ''}96 clients of {of}",
                [*own.values(), *bouncer.values()])


def checkout(mode):
    """What a connection costs that is found among many that rest."""
    proxy, load = Pgtenant(1_100, workers=2, tenants=1_001), Pgbench(scripts.SELECT, mode)
    return Case(f"tenant SELECT, {mode}, 16 clients", [
        Contestant(f"pgtenant, {others:,} others rest", proxy, Checkout(others, load))
        for others in (10, 1_000)
    ], slow=True)


def uneven(mode):
    """32 busy clients: an equal part of each worker's clients, and all that one worker has."""
    count, some = WORKERS[-1], {"mode": mode, "clients": 32, "idle": 32 * (WORKERS[-1] - 1)}
    proxy = Pgtenant(48, workers=count)
    return Case(f"tenant SELECT, {mode}, 32 of {32 * count} clients, {count} workers", [
        Contestant("pgtenant, evenly spread", proxy, Crowd(scripts.SELECT, **some)),
        Contestant("pgtenant, all at one worker", proxy,
                   Crowd(scripts.SELECT, every=count, **some)),
    ])


def audit(name, load):
    """What the audit log costs, in a file."""
    return Case(name, [
        Contestant(f'statements = "{kind}"', Pgtenant(audit=kind), load)
        for kind in ("none", "write", "all")
    ])


def scrape(count):
    """A scrape, where each tenant has series of its own and a client."""
    return Case(f"{count:,} tenants", [
        Contestant("pgtenant", Pgtenant(tenants=count, series=count), Scrape(count)),
    ], slow=count > 1_000)


def scraped(mode, clients=16):
    """What a client gets while metrics of 1,000 tenants are scraped, and while they are not."""
    load = Pgbench(scripts.SELECT, mode, clients, latency=True)
    proxy = Pgtenant(tenants=1_000, series=1_000)
    return Case(f"tenant SELECT, {mode}, {clients} client{'s'[:clients > 1]}", [
        Contestant("never scraped", proxy, Scraped(load, 1_000)),
        Contestant("scraped once a second", proxy, Scraped(load, 1_000, every=1)),
    ])


GROUPS = [
    Group("The same statements",
          "One statement a transaction, the same messages to both. PgBouncer serves one tenant\n"
          "only: its server connections have the tenant's setting from the start.",
          [CPU, RATE, P50, P99], [
              select("simple", script=scripts.SELECT_1),
              select("extended", script=scripts.SELECT_1),
              select("prepared", script=scripts.SELECT_1),
              select("simple"),
              select("extended"),
              select("prepared"),
              select("simple", tls=True),
              select("extended", tls=True),
              select("prepared", tls=True),
              select("simple", clients=1),
              select("simple", clients=200),
              select("prepared", clients=200),
              select("simple", clients=200, tls=True),
          ]),
    Group("A request of one tenant",
          "Many tenants share the proxy. PgBouncer's users send BEGIN, SELECT set_config(...),\n"
          "the query, COMMIT; at best set_config and the query in one message. pgtenant's send\n"
          "the query.",
          [CPU, RATE], [
              scoped("simple"),
              scoped("extended"),
              scoped("prepared"),
              scoped("simple", tls=True),
              scoped("simple", clients=200),
          ]),
    Group("Longer transactions", "16 clients; a transaction is the whole of it.",
          [CPU, RATE], [
              same("TPC-B, simple", Pgbench(scripts.TPC_B)),
              same("TPC-B, prepared", Pgbench(scripts.TPC_B, "prepared")),
              ten("simple"),
              ten("extended"),
          ]),
    Group("Large transfers", "Rows of 100 bytes where nothing else is said.",
          [CPU_TRANSFER, TRANSFERS], [
              same("1 MB result, 1 client", Transfer(scripts.rows(10_000, 100))),
              same("5 MB result, 4 clients",
                   Pgbench(scripts.rows(50_000, 100) + ";", clients=4, steady=False)),
              same("5 MB result, 4 clients, TLS",
                   Pgbench(scripts.rows(50_000, 100) + ";", clients=4, tls=True, steady=False)),
              same("100 MB result, rows of 100 kB, 1 client",
                   Transfer(scripts.rows(1_000, 100_000))),
              same("COPY TO STDOUT, 10 MB", Transfer(scripts.COPY_OUT)),
              same("COPY FROM STDIN, 10 MB", Transfer(scripts.COPY_IN, copy_in=10_000_000)),
          ]),
    Group("Sharing server connections",
          "Clients of many tenants take turns on few server connections; one process of\n"
          "pgbench for each client.",
          [CPU, RATE], [switching("simple"), switching("extended"), many_tenants()]),
    Group("The seal", "pgtenant compared with itself.",
          [CPU, RATE, P50, P99], [seal("simple"), seal("prepared"), seal("simple", 1)]),
    Group("Connecting", "Each transaction connects with SCRAM, runs SELECT 1 and leaves; "
                        "16 clients.",
          [CPU_CONNECTION, CONNECTIONS], [
              same("plain", Pgbench(scripts.SELECT_1, connect=True)),
              same("TLS", Pgbench(scripts.SELECT_1, connect=True, tls=True)),
          ]),
    Group("Memory of idle clients",
          "Growth of the proxy's resident memory. Failed: clients that could not run a query\n"
          "afterwards.",
          [MEMORY], [
              idle(1_000, tls=False),
              idle(1_000, tls=True),
              idle(10_000, tls=False, slow=True),
              idle(10_000, tls=True, slow=True),
          ]),
    Group("Fairness",
          "What one client of tenant B gets while 200 clients of tenant A work on the 20 server\n"
          "connections. PgBouncer cannot tell them apart: they are one role and one pool.\n"
          "size_per_tenant is 15 by default, of 20.",
          [P99, P50, RATE], [
              flood("B alone", None),
              flood("A floods with its SELECT", scripts.SELECT),
              flood("A floods with statements of 20 ms", scripts.SLOW),
          ]),
    Group("Fairness within a tenant",
          "A client of a tenant's application, while the tenant's BI tool, with a login of its own,\n"
          "floods with 200 clients. 20 server connections, which the tenant may all have: pgtenant\n"
          "compared with itself, the BI tool without and with a profile.",
          [P99, P50, RATE], [
              flood_within("The application alone", None),
              flood_within("Its BI tool floods with its SELECT", scripts.SELECT),
              flood_within("Its BI tool floods with statements of 20 ms", scripts.SLOW),
          ]),
    Group("Workers",
          "48 server connections. The rate leads here: a worker needs a free core. pgtenant is\n"
          "compared with itself with one worker, and n processes of PgBouncer with n workers of\n"
          "pgtenant. Of one tenant both get the query alone; of 96 tenants PgBouncer's clients\n"
          "set the tenant themselves.",
          [RATE, CPU], [
              workers("simple"),
              workers("prepared"),
              workers("prepared", tls=True),
              workers("simple", many=True),
              workers("prepared", many=True),
              workers("prepared", many=True, tls=True),
          ]),
    Group("Connections of others",
          "pgtenant compared with itself: a pool in which each of some or many other tenants has\n"
          "left an idle server connection. Its clients stay, and do nothing.",
          [CPU, RATE], [checkout("simple"), checkout("prepared")]),
    Group("Uneven clients",
          "pgtenant compared with itself. A new client goes to the worker with the fewest, which\n"
          "does not know yet which of them will be busy.",
          [RATE, CPU, BUSIEST], [uneven("simple"), uneven("prepared")]),
    Group("The audit log",
          "pgtenant compared with itself. The file is on the disk of temporary files; the log's\n"
          "own thread is part of the CPU time.",
          [CPU, RATE, P50, P99], [
              audit("tenant SELECT, simple", Pgbench(scripts.SELECT, latency=True)),
              audit("tenant SELECT, prepared", Pgbench(scripts.SELECT, "prepared", latency=True)),
              audit("TPC-B, prepared", Pgbench(scripts.TPC_B, "prepared", latency=True)),
          ]),
    Group("Scrapes", "One after the other, of tenants that have run a statement and stay.",
          [P50, P99, CPU_SCRAPE, ANSWER], [scrape(1_000), scrape(10_000)]),
    Group("While metrics are scraped",
          "pgtenant compared with itself, where 1,000 tenants have run a statement. Prometheus\n"
          "scrapes every 15 seconds: a fifteenth of what one scrape a second costs.",
          [CPU, RATE, P50, P99], [scraped("simple"), scraped("prepared"), scraped("simple", 1)]),
]
