"""psycopg 3 as applications use it. Argument: a connection string."""

import sys

import psycopg
from psycopg import errors, sql

URL = sys.argv[1]
OWN = [("alice@innovate.example",)]
EMAILS = "SELECT email FROM users"


def main():
    for part in [
        simple,
        parameters,
        prepared,
        prepared_elsewhere,
        transactions,
        pipeline,
        failing_pipeline,
        copy,
        server_cursors,
        own_settings,
        refusals,
        cancel,
        own_sessions,
        settings_by_parameter,
        encrypted,
    ]:
        with psycopg.connect(URL) as connection:
            part(connection)
            connection.rollback()
            assert connection.execute(EMAILS).fetchall() == OWN, part.__name__


def simple(connection):
    cursor = psycopg.ClientCursor(connection)
    assert cursor.execute("SELECT %s::int + 1, %s", [41, "it's"]).fetchone() == (42, "it's")
    cursor.execute("SELECT 1; SELECT 2; SELECT 3")
    results = []
    while True:
        results.append(cursor.fetchone()[0])
        if not cursor.nextset():
            break
    assert results == [1, 2, 3]


def parameters(connection):
    for binary in [False, True]:
        cursor = connection.cursor(binary=binary)
        row = cursor.execute(
            "SELECT %s::int, %s::text, %s::float8, %s::bytea, %s::int[], %s::text",
            [1, "é€𝄞", 1.5, b"\0\xff", [1, 2], None],
        ).fetchone()
        assert row == (1, "é€𝄞", 1.5, b"\0\xff", [1, 2], None), row
    assert len(connection.execute("SELECT repeat('x', 3000000)").fetchone()[0]) == 3000000
    assert connection.execute("SELECT length(%s)", ["y" * 3000000]).fetchone() == (3000000,)


def prepared(connection):
    connection.prepare_threshold = 0
    connection.prepared_max = 3
    for n in range(20):
        query = f"SELECT email, %s::int AS c{n % 5} FROM users"
        assert connection.execute(query, [n]).fetchall() == [("alice@innovate.example", n)]
        connection.commit()
    connection.execute("DEALLOCATE ALL")
    connection.commit()
    assert connection.execute(EMAILS, prepare=True).fetchall() == OWN


def prepared_elsewhere(connection):
    """Statements stay their clients' while transactions change connections."""
    others = [psycopg.connect(URL, prepare_threshold=0) for _ in range(5)]
    for n in range(10):
        for k, other in enumerate(others):
            assert other.execute("SELECT %s::int * 10", [k]).fetchone() == (k * 10,)
            if (n + k) % 3 == 0:
                other.commit()
    for other in others:
        other.close()


def transactions(connection):
    before = count(connection)
    insert(connection)
    assert count(connection) == before + 1
    connection.rollback()
    assert count(connection) == before
    with connection.transaction():
        insert(connection)
        try:
            with connection.transaction():
                insert(connection)
                connection.execute("SELECT 1/0")
        except errors.DivisionByZero:
            pass
        assert count(connection) == before + 1
    connection.commit()
    assert count(connection) == before + 1
    connection.commit()
    connection.autocommit = True
    insert(connection)
    assert count(connection) == before + 2


def pipeline(connection):
    connection.autocommit = True
    before = count(connection)
    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int", [n]) for n in range(300)]
        with connection.transaction():
            insert(connection)
        cursors += [connection.execute("SELECT %s::int", [n]) for n in range(300, 600)]
    assert [c.fetchone()[0] for c in cursors] == list(range(600))
    assert count(connection) == before + 1


def failing_pipeline(connection):
    """The error is known before most of the pipeline has been sent."""
    connection.autocommit = True
    before = count(connection)
    for large in ["x", "x" * 200000]:
        try:
            with connection.pipeline() as pipe:
                insert(connection)
                connection.execute("SELECT 1/0")
                for _ in range(50):
                    connection.execute("SELECT length(%s)", [large])
                pipe.sync()
            raise AssertionError("the error is lost")
        except errors.DivisionByZero:
            pass
        assert count(connection) == before
    try:
        with connection.pipeline():
            insert(connection)
            connection.execute("SET session.current_organization_id = 'x'")
        raise AssertionError("a refusal is lost")
    except errors.InsufficientPrivilege:
        pass
    assert count(connection) == before


def copy(connection):
    # Row-level security and COPY FROM do not go together; this table has none.
    columns = "organizations (name)"
    copied = "SELECT count(*) FROM organizations WHERE name LIKE 'copied %'"
    with connection.cursor().copy(f"COPY {columns} FROM STDIN") as out:
        for n in range(5000):
            out.write_row([f"copied {n:05}"])
    assert connection.execute(copied).fetchone() == (5000,)
    with connection.cursor().copy(
        "COPY (SELECT name FROM organizations WHERE name LIKE 'copied %' ORDER BY 1) TO STDOUT (FORMAT BINARY)"
    ) as data:
        data.set_types(["text"])
        rows = [row[0] for row in data.rows()]
    assert rows == [f"copied {n:05}" for n in range(5000)]
    connection.rollback()
    # It fails in the midst of the data.
    try:
        with connection.cursor().copy("COPY organizations (id) FROM STDIN") as out:
            for n in range(100000):
                out.write(b"no uuid\n")
        raise AssertionError("the data were taken")
    except errors.InvalidTextRepresentation:
        pass
    connection.rollback()
    try:
        with connection.cursor().copy(f"COPY {columns} FROM STDIN") as out:
            out.write_row(["copied"])
            raise KeyError
    except KeyError:
        pass
    connection.rollback()
    assert connection.execute(copied).fetchone() == (0,)
    try:
        connection.cursor().copy("COPY wellness_entries FROM STDIN").__enter__()
        raise AssertionError("PostgreSQL has learnt it")
    except errors.FeatureNotSupported:
        pass


def server_cursors(connection):
    with connection.cursor(name="numbers") as cursor:
        cursor.execute("SELECT * FROM generate_series(1, 10000)")
        cursor.itersize = 777
        assert sum(row[0] for row in cursor) == 50005000
    with connection.cursor(name="back", scrollable=True) as cursor:
        cursor.execute("SELECT * FROM generate_series(1, 100)")
        cursor.scroll(50)
        assert cursor.fetchone() == (51,)
        cursor.scroll(-2)
        assert cursor.fetchone() == (50,)
    connection.commit()
    with connection.cursor(name="held", withhold=True) as cursor:
        cursor.execute("SELECT * FROM generate_series(1, 100)")
        connection.commit()
        assert len(cursor.fetchall()) == 100


def own_settings(connection):
    connection.execute("SET TIME ZONE 'Asia/Tokyo'")
    connection.execute("SET application_name = 'mine'")
    connection.commit()
    assert connection.info.parameter_status("TimeZone") == "Asia/Tokyo"
    with psycopg.connect(URL, options="-c statement_timeout=7s") as other:
        assert other.execute("SHOW TimeZone").fetchone() != ("Asia/Tokyo",)
        assert other.execute("SHOW statement_timeout").fetchone() == ("7s",)
    assert connection.execute("SHOW TimeZone").fetchone() == ("Asia/Tokyo",)
    connection.commit()
    connection.autocommit = True
    connection.execute("DISCARD ALL")
    assert connection.execute("SHOW application_name").fetchone() == ("",)


def refusals(connection):
    connection.autocommit = True
    for query in [
        "SET session.current_organization_id = '22222222-2222-2222-2222-222222222222'",
        "SELECT set_config('session.current_organization_id', '22222222-2222-2222-2222-222222222222', false)",
        "SET ROLE postgres",
    ]:
        for cursor in [connection.cursor(), psycopg.ClientCursor(connection)]:
            try:
                cursor.execute(query)
                raise AssertionError(query)
            except errors.InsufficientPrivilege as error:
                assert error.diag.message_hint, error
        assert connection.execute(EMAILS).fetchall() == OWN
    name = sql.Identifier("session.current_organization_id")
    try:
        connection.execute(sql.SQL("SET {} = 'x'").format(name))
        raise AssertionError("a quoted name")
    except errors.Error:
        pass


def cancel(connection):
    import threading

    timer = threading.Timer(0.2, connection.cancel)
    timer.start()
    try:
        # If the request comes before the statement it has no effect.
        for _ in range(100):
            connection.execute("SELECT pg_sleep(0.5)")
        raise AssertionError("the request to cancel had no effect")
    except errors.QueryCanceled:
        pass
    timer.join()


def own_sessions(connection):
    """What Superset does: it reads the process id, and ends the session by it."""
    import threading

    cancel_query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid='{}'"
    for client_side in [True, False]:
        with psycopg.connect(URL) as busy:
            cursor = psycopg.ClientCursor(busy) if client_side else busy.cursor()
            pid = cursor.execute("SELECT pg_backend_pid()").fetchone()[0]
            assert pid == busy.info.backend_pid
            failure = []

            def run():
                try:
                    cursor.execute("SELECT pg_sleep(600)")
                except errors.AdminShutdown as error:
                    failure.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            # It does not matter whether it has begun.
            with psycopg.connect(URL) as other:
                if client_side:
                    ended = psycopg.ClientCursor(other).execute(cancel_query.format(pid))
                else:
                    ended = other.execute("SELECT pg_terminate_backend(%s)", [pid])
                assert ended.fetchone() == (True,)
            thread.join()
            assert failure
    connection.autocommit = True
    for prepare in [True, False]:
        for binary in [True, False]:
            cursor = connection.cursor(binary=binary)
            assert cursor.execute("SELECT pg_cancel_backend(%s::int)", [1], prepare=prepare).fetchone() == (False,)
            own = cursor.execute("SELECT pg_backend_pid()", prepare=prepare).fetchone()
            assert own == (connection.info.backend_pid,)


def settings_by_parameter(connection):
    query = "SELECT set_config(%s, %s, false)"
    for prepare in [False, True]:
        for value in ["3s", "4s"]:
            connection.execute(query, ["lock_timeout", value], prepare=prepare)
            connection.commit()
            assert connection.execute("SHOW lock_timeout").fetchone() == (value,)
        try:
            connection.execute(query, ["session.current_organization_id", "x"], prepare=prepare)
            raise AssertionError("the tenant was set")
        except errors.InsufficientPrivilege as error:
            assert "tenant-setting" in error.diag.message_detail
        connection.rollback()
        assert connection.execute("SHOW lock_timeout").fetchone() == ("4s",)


def encrypted(connection):
    assert connection.pgconn.ssl_in_use
    assert connection.info.parameter_status("client_encoding") == "UTF8"


def count(connection):
    return connection.execute("SELECT count(*) FROM wellness_entries").fetchone()[0]


def insert(connection):
    connection.execute(
        "INSERT INTO wellness_entries (user_id, organization_id, entry_type, value)"
        " SELECT id, organization_id, %s, %s FROM users",
        ["inserted", 7],
    )


main()
