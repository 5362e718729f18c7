"""psycopg as Datadog uses it: autocommit, by names. Argument: a connection string."""

import sys
from datetime import datetime

import psycopg
from psycopg.rows import dict_row

NUMBERS = {
    "STATS": "total_xact_count total_query_count total_received total_sent total_query_time "
    "total_xact_time total_wait_time avg_xact_count avg_query_count avg_wait_time avg_recv "
    "avg_sent avg_xact_time avg_query_time",
    "POOLS": "cl_active cl_waiting sv_active sv_idle sv_used sv_tested sv_login maxwait maxwait_us",
    "DATABASES": "pool_size max_connections current_connections",
    "CLIENTS": "wait wait_us",
    "SERVERS": "wait wait_us",
}
TAGS = {
    "STATS": "database",
    "POOLS": "database user pool_mode",
    "DATABASES": "name host port database force_user pool_mode",
    "CLIENTS": "type user database state addr port local_addr local_port ptr link remote_pid "
    "tls application_name",
    "SERVERS": "type user database state addr port",
}

with psycopg.connect(sys.argv[1], autocommit=True, row_factory=dict_row) as connection:
    assert "1.23.1" in connection.execute("SHOW VERSION;").fetchone()["version"]
    lists = connection.execute("SHOW LISTS").fetchall()
    assert all(isinstance(row["items"], int) for row in lists)
    config = {row["key"]: row["value"] for row in connection.execute("SHOW CONFIG")}
    assert int(config["max_client_conn"]) == 1000, config
    for word, names in NUMBERS.items():
        rows = connection.execute(f"SHOW {word}").fetchall()
        assert rows, word
        for row in rows:
            assert "key" not in row, "else it is taken for SHOW CONFIG"
            assert all(float(row[name]) >= 0 for name in names.split()), (word, row)
            assert all(row[name] is not None for name in TAGS[word].split()), (word, row)
            for time in (row[key] for key in ("connect_time", "request_time") if key in row):
                shown = " ".join(time.split(" ")[:2])
                datetime.strptime(shown, "%Y-%m-%d %H:%M:%S")
    connection.execute("SET statement_timeout = 1000")
    try:
        connection.execute("BEGIN")
    except psycopg.Error as error:
        assert "SHOW HELP" in str(error)
    else:
        raise AssertionError("BEGIN is no command")
