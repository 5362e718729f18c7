"""Django 5 as applications use it. Arguments: connection strings of a tenant of kind
setting, of another in the same database, and of one of kind schema."""

import io
import sys
from urllib.parse import parse_qsl, urlsplit

import django
import psycopg
from django.apps import AppConfig
from django.conf import settings

OWN = ["alice@innovate.example"]


def database(url, **options):
    """An entry of DATABASES."""
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": parts.hostname,
        "PORT": parts.port,
        "USER": parts.username,
        "PASSWORD": parts.password,
        "NAME": parts.path[1:],
        "CONN_MAX_AGE": options.pop("max_age", 600),
        "CONN_HEALTH_CHECKS": True,
        "TIME_ZONE": options.pop("zone", None),
        "OPTIONS": dict(parse_qsl(parts.query)) | options,
    }


class Wellness(AppConfig):
    name = "__main__"
    label = "wellness"
    path = "."


INNOVATE, SYNERGY, GLOBEX = sys.argv[1:4]
settings.configure(
    USE_TZ=True,
    TIME_ZONE="Europe/Vienna",
    INSTALLED_APPS=["__main__.Wellness"],
    DATABASES={
        # Parameters are put into the text by psycopg …
        "default": database(INNOVATE),
        # … or sent beside it, with server-side cursors of the same kind.
        "bound": database(INNOVATE, server_side_binding=True),
        "tokyo": database(INNOVATE, max_age=0, zone="Asia/Tokyo", isolation_level=psycopg.IsolationLevel.SERIALIZABLE),
        "synergy": database(SYNERGY),
        "globex": database(GLOBEX),
    },
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections, models, transaction  # noqa: E402
from django.db.utils import DataError, ProgrammingError  # noqa: E402
from django.db.models import Avg, Count, F, Q, Sum  # noqa: E402
from django.db.models.functions import Now, TruncDate  # noqa: E402


class Model(models.Model):
    id = models.UUIDField(primary_key=True, db_default=models.Func(function="gen_random_uuid"))

    class Meta:
        abstract = True
        managed = False


class Organization(Model):
    name = models.TextField()

    class Meta(Model.Meta):
        abstract = False
        db_table = "organizations"


class User(Model):
    organization = models.ForeignKey(Organization, models.CASCADE)
    email = models.TextField()
    password_hash = models.TextField()

    class Meta(Model.Meta):
        abstract = False
        db_table = "users"


class Entry(Model):
    user = models.ForeignKey(User, models.CASCADE, related_name="entries")
    organization = models.ForeignKey(Organization, models.CASCADE)
    entry_type = models.TextField()
    value = models.IntegerField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta(Model.Meta):
        abstract = False
        db_table = "wellness_entries"


class Log(Model):
    """A table of the schema kind."""

    employee_email = models.TextField()
    log_type = models.TextField()
    note = models.TextField()

    class Meta(Model.Meta):
        abstract = False
        db_table = "employee_logs"


def main():
    for name in ["default", "bound"]:
        for part in [crud, queries, bulk, atomic, iterators, time_zone, connecting, raw_sql, refusals, inspect]:
            part(name)
            assert emails(name) == OWN, part.__name__
    own_options()
    tenants_in_turn()
    schema_kind()
    connections.close_all()


def emails(name):
    return list(User.objects.using(name).values_list("email", flat=True))


def entry(name, kind, value):
    user = User.objects.using(name).get()
    return Entry(user=user, organization_id=user.organization_id, entry_type=kind, value=value)


def of_kind(name, kind):
    return Entry.objects.using(name).filter(entry_type=kind)


def crud(name):
    made = entry(name, "crud", 1)
    made.save(using=name)
    found = Entry.objects.using(name).select_related("user").get(pk=made.pk)
    assert (found.user.email, found.value) == (OWN[0], 1)
    found.value = F("value") + 1
    found.save()
    found.refresh_from_db()
    assert found.value == 2
    assert of_kind(name, "crud").update(value=F("value") * 10) == 1
    again, created = Entry.objects.using(name).update_or_create(pk=made.pk, defaults={"value": 3})
    assert (again.value, created) == (3, False)
    again.delete()
    assert not of_kind(name, "crud").exists()


def queries(name):
    user = User.objects.using(name).annotate(n=Count("entries")).prefetch_related("entries").get()
    assert user.n == 10 == len(user.entries.all())
    steps = Q(entry_type="steps") & Q(value__gte=9000)
    total = Entry.objects.using(name).filter(steps).aggregate(sum=Sum("value"), mean=Avg("value"))
    assert total == {"sum": 31770, "mean": 10590}
    days = Entry.objects.using(name).annotate(day=TruncDate("created_at")).values("day").annotate(n=Count("id"))
    assert sum(day["n"] for day in days) == 10
    largest = Entry.objects.using(name).order_by("-value").values_list("value", flat=True)[:2]
    assert list(largest) == [12051, 10342]
    assert Entry.objects.using(name).filter(value__in=[7, 8, 6]).count() == 4
    assert "Scan" in User.objects.using(name).explain()
    with transaction.atomic(using=name):
        assert User.objects.using(name).select_for_update().get().email == OWN[0]


def bulk(name):
    user = User.objects.using(name).get()
    fields = {"user": user, "organization_id": user.organization_id, "entry_type": "bulk"}
    Entry.objects.using(name).bulk_create([Entry(value=n, **fields) for n in range(1200)], batch_size=500)
    made = list(of_kind(name, "bulk"))
    assert len({e.pk for e in made}) == 1200
    for e in made[:100]:
        e.value += 10000
    assert Entry.objects.using(name).bulk_update(made[:100], ["value"], batch_size=40) == 100
    assert of_kind(name, "bulk").aggregate(n=Sum("value"))["n"] == sum(range(1200)) + 100 * 10000
    assert of_kind(name, "bulk").delete()[0] == 1200


def atomic(name):
    try:
        with transaction.atomic(using=name):
            entry(name, "atomic", 1).save(using=name)
            try:
                with transaction.atomic(using=name):
                    entry(name, "atomic", 2).save(using=name)
                    with connections[name].cursor() as cursor:
                        cursor.execute("SELECT 1/0")
            except DataError:
                pass
            with transaction.atomic(using=name):
                entry(name, "atomic", 3).save(using=name)
            mark = transaction.savepoint(using=name)
            entry(name, "atomic", 4).save(using=name)
            transaction.savepoint_rollback(mark, using=name)
            values = of_kind(name, "atomic").order_by("value").values_list("value", flat=True)
            assert list(values) == [1, 3]
            raise KeyError
    except KeyError:
        pass
    assert not of_kind(name, "atomic").exists()
    done = []
    with transaction.atomic(using=name):
        transaction.on_commit(lambda: done.append(emails(name)), using=name)
        entry(name, "atomic", 5).save(using=name)
    assert done == [OWN]
    assert of_kind(name, "atomic").delete()[0] == 1


def iterators(name):
    user = User.objects.using(name).get()
    fields = {"user": user, "organization_id": user.organization_id, "entry_type": "many"}
    Entry.objects.using(name).bulk_create(Entry(value=n, **fields) for n in range(500))
    many = of_kind(name, "many").order_by("value")
    with transaction.atomic(using=name):
        assert [e.value for e in many.iterator(chunk_size=70)] == list(range(500))
    # Outside of a transaction Django declares the cursor WITH HOLD; other statements,
    # and other cursors, come in between.
    read = many.iterator(chunk_size=70)
    assert [next(read).value for _ in range(100)] == list(range(100))
    other = many.reverse().iterator(chunk_size=3)
    assert [next(other).value for _ in range(7)] == list(range(499, 492, -1))
    with transaction.atomic(using=name):
        assert emails(name) == OWN
    assert [e.value for e in read] == list(range(100, 500))
    other.close()
    assert many.count() == 500
    assert many.delete()[0] == 500


def time_zone(name):
    with connections[name].cursor() as cursor:
        cursor.execute("SHOW TimeZone")
        assert cursor.fetchone() == ("UTC",)
    assert Entry.objects.using(name).first().created_at.utcoffset().total_seconds() == 0


def connecting(name):
    connection = connections[name]
    connection.ensure_connection()
    first = connection.connection.info.backend_pid
    connection.close()
    assert connection.connection is None and not connection.is_usable()
    connection.ensure_connection()
    assert connection.is_usable()
    assert connection.connection.info.backend_pid != first
    # At the end of a request: CONN_MAX_AGE has not passed.
    connection.close_if_unusable_or_obsolete()
    assert connection.connection is not None
    assert connection.connection.pgconn.ssl_in_use
    # Ended from without, it is found unusable and made anew.
    with psycopg.connect(INNOVATE, autocommit=True) as other:
        pid = connection.connection.info.backend_pid
        assert other.execute("SELECT pg_terminate_backend(%s)", [pid]).fetchone() == (True,)
    psycopg.waiting.wait_selector(ended(), connection.connection.fileno())
    connection.errors_occurred = True
    connection.close_if_unusable_or_obsolete()
    assert connection.connection is None
    assert emails(name) == OWN


def ended():
    """Waits until there is something to read."""
    yield psycopg.waiting.Wait.R


def raw_sql(name):
    with connections[name].cursor() as cursor:
        cursor.execute("SELECT %s::int + %s::int, %s::text", [1, 2, "é€𝄞"])
        assert cursor.fetchone() == (3, "é€𝄞")
        cursor.executemany("SELECT %s::int", [(n,) for n in range(50)])
    rows = User.objects.using(name).raw("SELECT * FROM users WHERE email LIKE %s", ["%"])
    assert [row.email for row in rows] == OWN


def refusals(name):
    tenant, other = "session.current_organization_id", "22222222-2222-2222-2222-222222222222"
    for query, values in [
        (f"SET {tenant} = '{other}'", None),
        (f"SELECT set_config('{tenant}', %s, false)", [other]),
        ("SELECT set_config(%s::text, %s::text, false)", [tenant, other]),
    ]:
        try:
            with transaction.atomic(using=name), connections[name].cursor() as cursor:
                cursor.execute(query, values)
            raise AssertionError(query)
        except ProgrammingError as error:
            assert isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege)
            assert "tenant-setting" in error.__cause__.diag.message_detail
        assert emails(name) == OWN


def inspect(name):
    output = io.StringIO()
    call_command("inspectdb", database=name, stdout=output)
    text = output.getvalue()
    for part in [
        "class Users(models.Model)",
        "organization = models.ForeignKey(Organizations, models.DO_NOTHING)",
        "unique_together = (('organization', 'email'),)",
        "db_table = 'wellness_entries'",
    ]:
        assert part in text, text
    assert "Unable to inspect" not in text, text


def own_options():
    name = "tokyo"
    for _ in range(2):
        with transaction.atomic(using=name), connections[name].cursor() as cursor:
            for setting, value in [("TimeZone", "Asia/Tokyo"), ("transaction_isolation", "serializable")]:
                cursor.execute(f"SHOW {setting}")
                assert cursor.fetchone() == (value,)
        assert Entry.objects.using(name).first().created_at.utcoffset().total_seconds() == 9 * 3600
        # CONN_MAX_AGE = 0: closed at the end of the request.
        connections[name].close_if_unusable_or_obsolete()
        assert connections[name].connection is None


def tenants_in_turn():
    for n in range(20):
        assert emails("default") == OWN
        assert emails("synergy") == ["bob@synergy.example"]
        with transaction.atomic(using="synergy"):
            entry("synergy", "turn", n).save(using="synergy")
            assert not of_kind("default", "turn").exists()
            assert of_kind("synergy", "turn").count() == 1
            transaction.set_rollback(True, using="synergy")


def schema_kind():
    logs = Log.objects.using("globex")
    own = {"erin@globex.example", "frank@globex.example"}
    assert set(logs.exclude(log_type="orm").values_list("employee_email", flat=True)) >= own
    with transaction.atomic(using="globex"):
        logs.bulk_create(Log(employee_email="x@globex.example", log_type="django", note=str(n)) for n in range(300))
        mine = logs.filter(log_type="django")
        assert {int(log.note) for log in mine.iterator(chunk_size=50)} == set(range(300))
        transaction.set_rollback(True, using="globex")
    assert not logs.filter(log_type="django").exists()
    output = io.StringIO()
    call_command("inspectdb", database="globex", stdout=output)
    assert "db_table = 'employee_logs'" in output.getvalue()
    assert "companies" not in output.getvalue()
    try:
        with connections["globex"].cursor() as cursor:
            cursor.execute("SELECT * FROM acme_health.employee_logs")
        raise AssertionError("another tenant's table")
    except ProgrammingError as error:
        assert isinstance(error.__cause__, psycopg.errors.InsufficientPrivilege)


main()
