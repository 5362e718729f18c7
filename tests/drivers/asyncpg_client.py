"""asyncpg as applications use it. Argument: a connection string."""

import asyncio
import sys

import asyncpg

URL = sys.argv[1]
OWN = ["alice@innovate.example"]


async def main():
    async with asyncpg.create_pool(URL, min_size=2, max_size=4) as pool:
        for part in [pooled, prepared, transactions, cursors, copy, own_settings, refusals, cancel, own_sessions, settings_by_parameter]:
            await part(pool)
            async with pool.acquire() as connection:
                assert await emails(connection) == OWN, part.__name__
    connection = await asyncpg.connect(URL, statement_cache_size=0, server_settings={"application_name": "direct"})
    assert await emails(connection) == OWN
    assert await connection.fetchval("SHOW application_name") == "direct"
    await connection.close()


async def own_sessions(pool):
    busy = await asyncpg.connect(URL)
    for _ in range(2):
        pid = await busy.fetchval("SELECT pg_backend_pid()")
        assert pid == busy.get_server_pid()
    async with pool.acquire() as connection:
        assert await connection.fetchval("SELECT pg_cancel_backend($1)", 1) is False
        async with connection.transaction():
            assert await connection.fetchval("SELECT pg_backend_pid()") == connection.get_server_pid()
        assert await connection.fetchval("SELECT pg_terminate_backend($1)", pid) is True
    try:
        # It may not have come yet.
        while True:
            await busy.fetchval("SELECT pg_sleep(0.01)")
    except (asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError, asyncpg.InterfaceError):
        pass


async def settings_by_parameter(pool):
    query = "SELECT set_config($1, $2, $3)"
    async with pool.acquire() as connection:
        for value in ["3s", "4s"]:
            assert await connection.fetchval(query, "lock_timeout", value, False) == value
            assert await connection.fetchval("SHOW lock_timeout") == value
        for name in ["session.current_organization_id", "role"]:
            try:
                await connection.fetchval(query, name, "x", False)
                raise AssertionError(name)
            except asyncpg.InsufficientPrivilegeError:
                pass
        assert await connection.fetchval("SHOW lock_timeout") == "4s"


async def emails(connection):
    return [row["email"] for row in await connection.fetch("SELECT email FROM users")]


async def pooled(pool):
    """Each release sends the reset query."""

    async def one(n):
        async with pool.acquire() as connection:
            return await connection.fetchval("SELECT $1::int * 2", n)

    assert await asyncio.gather(*[one(n) for n in range(100)]) == [n * 2 for n in range(100)]


async def prepared(pool):
    async with pool.acquire() as connection:
        # More statements than its cache holds, each several times.
        for n in range(300):
            assert await connection.fetchval(f"SELECT $1::int + {n % 150}", 1) == 1 + n % 150
        statement = await connection.prepare("SELECT email, $1::text AS given FROM users")
        assert [p.name for p in statement.get_parameters()] == ["text"]
        assert [a.name for a in statement.get_attributes()] == ["email", "given"]
        for given in ["a", "é€𝄞"]:
            assert (await statement.fetchrow(given))["given"] == given
        await connection.executemany("SELECT $1::int", [(n,) for n in range(1000)])
        # Another uses the server connection in between.
        async with pool.acquire() as other:
            assert await other.fetchval("SELECT 1") == 1
        assert (await statement.fetchrow("again"))["given"] == "again"


async def transactions(pool):
    async with pool.acquire() as connection:
        before = await count(connection)
        transaction = connection.transaction()
        await transaction.start()
        await insert(connection)
        assert await count(connection) == before + 1
        await transaction.rollback()
        assert await count(connection) == before
        async with connection.transaction(isolation="serializable"):
            await insert(connection)
            try:
                async with connection.transaction():
                    await insert(connection)
                    await connection.fetchval("SELECT 1/0")
            except asyncpg.DivisionByZeroError:
                pass
        assert await count(connection) == before + 1


async def cursors(pool):
    async with pool.acquire() as connection:
        async with connection.transaction():
            total = 0
            async for row in connection.cursor("SELECT n FROM generate_series(1, $1::int) n", 1000, prefetch=99):
                total += row["n"]
            assert total == 500500


async def copy(pool):
    async with pool.acquire() as connection:
        copied = "SELECT count(*) FROM organizations WHERE name LIKE 'copied %'"
        records = [(f"copied {n}",) for n in range(2000)]
        try:
            async with connection.transaction():
                # Row-level security and COPY FROM do not go together; this
                # table has none.
                await connection.copy_records_to_table("organizations", columns=["name"], records=records)
                assert await connection.fetchval(copied) == 2000
                raise KeyError
        except KeyError:
            pass
        assert await connection.fetchval(copied) == 0
        got = []

        async def take(data):
            got.append(data)

        await connection.copy_from_query("SELECT email FROM users", output=take)
        assert b"".join(got) == b"alice@innovate.example\n", got


async def own_settings(pool):
    async with pool.acquire() as connection:
        await connection.execute("SET TIME ZONE 'Asia/Tokyo'")
        assert await connection.fetchval("SHOW TimeZone") == "Asia/Tokyo"
    connections = [await pool.acquire() for _ in range(4)]
    for connection in connections:
        # The reset query has undone it.
        assert await connection.fetchval("SHOW TimeZone") != "Asia/Tokyo"
        await pool.release(connection)


async def refusals(pool):
    async with pool.acquire() as connection:
        name, other = "session.current_organization_id", "22222222-2222-2222-2222-222222222222"
        for query, values in [
            (f"SET {name} = '{other}'", []),
            ("SELECT set_config($1, $2, false)", [name, other]),
            ("LISTEN channel", []),
        ]:
            try:
                await connection.fetch(query, *values)
                raise AssertionError(query)
            except asyncpg.InsufficientPrivilegeError as error:
                assert error.hint, error
            assert await emails(connection) == OWN


async def cancel(pool):
    async with pool.acquire() as connection:
        try:
            await connection.fetchval("SELECT pg_sleep(60)", timeout=0.3)
            raise AssertionError("no timeout")
        except asyncio.TimeoutError:
            pass
        assert await connection.fetchval("SELECT 42") == 42


async def count(connection):
    return await connection.fetchval("SELECT count(*) FROM wellness_entries")


async def insert(connection):
    await connection.execute(
        "INSERT INTO wellness_entries (user_id, organization_id, entry_type, value)"
        " SELECT id, organization_id, $1, $2 FROM users",
        "inserted",
        7,
    )


asyncio.run(main())
