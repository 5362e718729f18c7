"""psycopg as Datadog uses it: autocommit, by names. Argument: a connection string."""

import sys
from datetime import datetime

import psycopg
from psycopg.rows import dict_row

with psycopg.connect(sys.argv[1], autocommit=True, row_factory=dict_row) as connection:
    assert "1.23.1" in connection.execute("SHOW VERSION;").fetchone()["version"]
    lists = connection.execute("SHOW LISTS").fetchall()
    assert all(isinstance(row["items"], int) for row in lists)
    config = {row["key"]: row["value"] for row in connection.execute("SHOW CONFIG")}
    assert int(config["max_client_conn"]) == 1000, config
    for row in connection.execute("SHOW SERVERS").fetchall():
        shown = " ".join(row["connect_time"].split(" ")[:2])
        datetime.strptime(shown, "%Y-%m-%d %H:%M:%S")
    connection.execute("SET statement_timeout = 1000")
    try:
        connection.execute("BEGIN")
    except psycopg.Error as error:
        assert "SHOW HELP" in str(error)
    else:
        raise AssertionError("BEGIN is no command")
