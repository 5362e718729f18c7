"""Django 5 where `pool.pin = "reject"`. Argument: a connection string."""

import sys
from urllib.parse import parse_qsl, urlsplit

import django
import psycopg
from django.conf import settings

URL = urlsplit(sys.argv[1])
OWN = ["alice@innovate.example"]
DATABASE = {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": URL.hostname,
    "PORT": URL.port,
    "USER": URL.username,
    "PASSWORD": URL.password,
    "NAME": URL.path[1:],
    "OPTIONS": dict(parse_qsl(URL.query)),
}
settings.configure(DATABASES={"default": DATABASE, "without": DATABASE | {"DISABLE_SERVER_SIDE_CURSORS": True}})
django.setup()

from django.db import connections, models, transaction  # noqa: E402
from django.db.utils import Error  # noqa: E402


class User(models.Model):
    id = models.UUIDField(primary_key=True)
    email = models.TextField()

    class Meta:
        app_label = "wellness"
        db_table = "users"
        managed = False


def emails(name):
    return [user.email for user in User.objects.using(name).iterator(chunk_size=10)]


try:
    emails("default")
    raise AssertionError("a cursor WITH HOLD")
except Error as error:
    assert isinstance(error.__cause__, psycopg.errors.FeatureNotSupported), repr(error.__cause__)
    assert error.__cause__.diag.message_hint, error
with transaction.atomic():
    assert emails("default") == OWN
assert emails("without") == OWN
connections.close_all()
