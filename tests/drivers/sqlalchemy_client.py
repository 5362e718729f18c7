"""SQLAlchemy 2 as applications use it. Arguments: connection strings of a tenant of
kind setting, of another in the same database, and of one of kind schema."""

import datetime
import select
import sys
import threading
import uuid

import psycopg
import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload, sessionmaker

INNOVATE, SYNERGY, GLOBEX = (url.replace("postgresql://", "postgresql+psycopg://") for url in sys.argv[1:4])
OWN = ["alice@innovate.example"]


class Base(DeclarativeBase):
    pass


class Organization(Base):
    __tablename__ = "organizations"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=sa.FetchedValue())
    name: Mapped[str]


class User(Base):
    __tablename__ = "users"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=sa.FetchedValue())
    organization_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("organizations.id"))
    email: Mapped[str]
    password_hash: Mapped[str]
    entries: Mapped[list["Entry"]] = relationship(back_populates="user")


class Entry(Base):
    __tablename__ = "wellness_entries"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=sa.FetchedValue())
    user_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("users.id"))
    organization_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("organizations.id"))
    entry_type: Mapped[str]
    value: Mapped[int]
    created_at: Mapped[datetime.datetime] = mapped_column(
        sa.DateTime(timezone=True), server_default=sa.FetchedValue()
    )
    user: Mapped[User] = relationship(back_populates="entries")


class Log(Base):
    """A table of the schema kind: the same name in each tenant's schema."""

    __tablename__ = "employee_logs"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, server_default=sa.FetchedValue())
    employee_email: Mapped[str]
    log_type: Mapped[str]
    note: Mapped[str]


def main():
    engine = sa.create_engine(INNOVATE, pool_size=2, max_overflow=2, pool_pre_ping=True)
    for part in [
        crud,
        rollback_and_savepoints,
        bulk,
        isolation_levels,
        streams,
        reflection,
        pre_ping,
        resets,
        refusals,
        tenants_in_turn,
    ]:
        part(engine)
        with Session(engine) as session:
            assert emails(session) == OWN, part.__name__
    engine.dispose()
    schema_kind()


def emails(session):
    return session.scalars(sa.select(User.email)).all()


def count(session, kind):
    return session.scalar(sa.select(sa.func.count()).select_from(Entry).where(Entry.entry_type == kind))


def entry(user, kind, value):
    return Entry(user_id=user.id, organization_id=user.organization_id, entry_type=kind, value=value)


def clear(engine, kind):
    with Session(engine) as session, session.begin():
        session.execute(sa.delete(Entry).where(Entry.entry_type == kind))


def crud(engine):
    make = sessionmaker(engine)
    with make.begin() as session:
        user = session.scalars(sa.select(User)).one()
        made = entry(user, "crud", 1)
        session.add(made)
        session.flush()
        key = made.id
        assert made.created_at.tzinfo is not None
    with make.begin() as session:
        session.get(Entry, key).value = 2
    with make() as session:
        assert session.get(Entry, key).value == 2
        user = session.scalars(sa.select(User).options(selectinload(User.entries))).one()
        assert key in {e.id for e in user.entries} and len(user.entries) == 11
        joined = sa.select(User.email, sa.func.sum(Entry.value)).join(User.entries).group_by(User.email)
        assert session.execute(joined.where(Entry.entry_type == "crud")).all() == [(OWN[0], 2)]
        # Loaded only when it is looked at, which may be on another server connection.
        found = session.get(Entry, key)
        session.commit()
        assert found.user.email == OWN[0]
        session.delete(found)
        session.commit()
        assert session.get(Entry, key) is None


def rollback_and_savepoints(engine):
    with Session(engine) as session:
        user = session.scalars(sa.select(User)).one()
        session.add(entry(user, "saved", 1))
        with session.begin_nested():
            session.add(entry(user, "saved", 2))
        try:
            with session.begin_nested():
                session.add(entry(user, "saved", 3))
                session.flush()
                assert count(session, "saved") == 3
                session.execute(sa.text("SELECT 1/0"))
        except exc.DataError as error:
            assert isinstance(error.orig, psycopg.errors.DivisionByZero)
        assert count(session, "saved") == 2
        session.rollback()
        assert count(session, "saved") == 0
        # An error ends the transaction until it is rolled back.
        try:
            session.execute(sa.text("SELECT no_such_column FROM users"))
            raise AssertionError("no error")
        except exc.ProgrammingError as error:
            assert isinstance(error.orig, psycopg.errors.UndefinedColumn)
        session.rollback()
        assert emails(session) == OWN


def bulk(engine):
    with Session(engine) as session, session.begin():
        user = session.scalars(sa.select(User)).one()
        # RETURNING brings the keys: insertmanyvalues, several statements.
        made = [entry(user, "bulk", n) for n in range(2500)]
        session.add_all(made)
        session.flush()
        assert len({e.id for e in made}) == 2500
        rows = [dict(user_id=user.id, organization_id=user.organization_id, entry_type="bulk", value=n) for n in range(2500)]
        values = session.scalars(sa.insert(Entry).returning(Entry.value, sort_by_parameter_order=False), rows)
        assert sorted(values) == list(range(2500))
    with engine.begin() as connection:
        # No RETURNING: executemany, which psycopg sends as a pipeline.
        connection.execute(sa.insert(Entry.__table__), rows)
        changes = [{"old": n, "new": -n} for n in range(1, 500)]
        table = Entry.__table__
        update = sa.update(table).where(table.c.value == sa.bindparam("old"), table.c.entry_type == "bulk")
        connection.execute(update.values(value=sa.bindparam("new")), changes)
    with Session(engine) as session:
        assert count(session, "bulk") == 7500
        total = sa.select(sa.func.sum(Entry.value)).where(Entry.entry_type == "bulk")
        assert session.scalar(total) == 3 * (sum(range(2500)) - 2 * sum(range(500)))
    clear(engine, "bulk")


def isolation_levels(engine):
    shown = sa.text("SHOW transaction_isolation")
    for level in ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "READ UNCOMMITTED"]:
        other = sa.create_engine(INNOVATE, isolation_level=level)
        with other.connect() as connection:
            assert connection.scalar(shown) == level.lower()
            assert connection.get_isolation_level() == level
        with engine.connect().execution_options(isolation_level=level) as connection:
            assert connection.scalar(shown) == level.lower()
        # Given back with the level that it had.
        with engine.connect() as connection:
            assert connection.scalar(shown) == "read committed"
        other.dispose()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        insert = sa.text(
            "INSERT INTO wellness_entries (user_id, organization_id, entry_type, value)"
            " SELECT id, organization_id, 'auto', 1 FROM users"
        )
        connection.execute(insert)
        connection.rollback()
    with Session(engine) as session:
        assert count(session, "auto") == 1
    clear(engine, "auto")
    options = {"postgresql_readonly": True, "postgresql_deferrable": True, "isolation_level": "SERIALIZABLE"}
    with engine.connect().execution_options(**options) as connection:
        assert connection.scalar(sa.text("SHOW transaction_read_only")) == "on"
        assert connection.scalar(sa.text("SHOW transaction_deferrable")) == "on"
        try:
            connection.execute(insert)
            raise AssertionError("it was read only")
        except exc.InternalError as error:
            assert isinstance(error.orig, psycopg.errors.ReadOnlySqlTransaction)
    # Two snapshots of one moment.
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as still:
        query = sa.text("SELECT count(*) FROM wellness_entries WHERE entry_type = 'seen'")
        assert still.scalar(query) == 0
        with engine.begin() as connection:
            connection.execute(sa.text(insert.text.replace("auto", "seen")))
        assert still.scalar(query) == 0
        still.rollback()
        assert still.scalar(query) == 1
    clear(engine, "seen")


def streams(engine):
    numbers = sa.text("SELECT n FROM generate_series(1, 10000) n")
    with engine.connect() as connection:
        result = connection.execution_options(stream_results=True, max_row_buffer=300).execute(numbers)
        assert sum(result.scalars()) == 50005000
        # Two cursors at once, one left half read.
        one = connection.execution_options(yield_per=70).execute(numbers)
        two = connection.execution_options(yield_per=30).execute(numbers)
        assert [len(two.fetchmany(30)), len(two.fetchmany(30)), one.fetchone()[0]] == [30, 30, 1]
        one.close()
        assert two.fetchmany(30)[0][0] == 61
        two.close()
    with Session(engine) as session:
        read = session.scalars(sa.select(Entry).execution_options(yield_per=3))
        assert len({e.id for e in read}) == 10
    # SQLAlchemy's cursors are not WITH HOLD: no transaction, no cursor.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        try:
            connection.execution_options(stream_results=True).execute(numbers)
            raise AssertionError("a cursor without a transaction")
        except exc.InternalError as error:
            assert isinstance(error.orig, psycopg.errors.NoActiveSqlTransaction)


def reflection(engine):
    inspector = sa.inspect(engine)
    assert set(inspector.get_table_names()) == {"organizations", "users", "wellness_entries"}
    assert inspector.get_schema_names() == ["information_schema", "public"]
    assert inspector.get_view_names() == []
    columns = {c["name"]: c for c in inspector.get_columns("wellness_entries")}
    assert isinstance(columns["value"]["type"], sa.INTEGER)
    assert columns["id"]["default"] == "gen_random_uuid()"
    assert inspector.get_pk_constraint("users")["constrained_columns"] == ["id"]
    referred = {k["referred_table"] for k in inspector.get_foreign_keys("wellness_entries")}
    assert referred == {"users", "organizations"}
    assert [u["column_names"] for u in inspector.get_unique_constraints("users")] == [["organization_id", "email"]]
    assert inspector.get_indexes("users")[0]["unique"]
    assert inspector.get_check_constraints("users") == []
    assert inspector.get_table_comment("users") == {"text": None}
    assert inspector.has_table("users") and not inspector.has_table("nothing")
    assert inspector.get_enums() == []
    metadata = sa.MetaData()
    metadata.reflect(engine)
    users = metadata.tables["users"]
    with engine.connect() as connection:
        assert connection.execute(sa.select(users.c.email)).scalars().all() == OWN


def pre_ping(engine):
    """A connection that the other side has ended is replaced, and nobody sees it."""
    pinging = sa.create_engine(INNOVATE, pool_size=1, max_overflow=0, pool_pre_ping=True)
    with pinging.connect() as connection:
        raw = connection.connection.dbapi_connection
        first = raw.info.backend_pid
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": first}) is True
    # The end has come when there is something to read.
    assert select.select([raw], [], [], 60)[0]
    with pinging.connect() as connection:
        second = connection.connection.dbapi_connection.info.backend_pid
        assert connection.execute(sa.select(User.email)).scalars().all() == OWN
    assert first != second
    pinging.dispose()


def resets(engine):
    zone = sa.text("SHOW TimeZone")
    for reset in ["rollback", "commit", None]:
        other = sa.create_engine(INNOVATE, pool_size=1, max_overflow=0, pool_reset_on_return=reset)
        insert = (
            "INSERT INTO wellness_entries (user_id, organization_id, entry_type, value)"
            " SELECT id, organization_id, 'reset', 1 FROM users"
        )
        raw = other.raw_connection()
        raw.cursor().execute(insert)
        if reset is None:
            raw.rollback()
        raw.close()
        with other.connect() as connection:
            found = connection.scalar(sa.text("SELECT count(*) FROM wellness_entries WHERE entry_type = 'reset'"))
            assert found == (1 if reset == "commit" else 0), reset
        other.dispose()
        clear(engine, "reset")
    # What SQLAlchemy's documentation does for a full reset.
    other = sa.create_engine(INNOVATE, pool_size=1, max_overflow=0, pool_reset_on_return=None)

    @sa.event.listens_for(other, "reset")
    def discard_all(dbapi_connection, _record, _state):
        dbapi_connection.rollback()
        dbapi_connection.autocommit = True
        dbapi_connection.execute("DISCARD ALL")
        dbapi_connection.autocommit = False

    with other.connect() as connection:
        before = connection.scalar(zone)
        connection.execute(sa.text("SET TIME ZONE 'Asia/Tokyo'"))
        connection.commit()
        assert connection.scalar(zone) == "Asia/Tokyo"
    with other.connect() as connection:
        assert connection.scalar(zone) == before
        assert connection.execute(sa.select(User.email)).scalars().all() == OWN
    other.dispose()


def refusals(engine):
    name, other = "session.current_organization_id", "22222222-2222-2222-2222-222222222222"
    with Session(engine) as session:
        for query, rule in [
            (f"SET {name} = '{other}'", "tenant-setting"),
            (f"SELECT set_config('{name}', '{other}', true)", "tenant-setting"),
            ("PREPARE TRANSACTION 'x'", "two-phase"),
        ]:
            try:
                session.execute(sa.text(query))
                raise AssertionError(query)
            except exc.DBAPIError as error:
                assert rule in error.orig.diag.message_detail
            session.rollback()
            assert emails(session) == OWN


def tenants_in_turn(_):
    """More clients of two tenants than there are server connections."""
    engines = [(sa.create_engine(INNOVATE), OWN), (sa.create_engine(SYNERGY), ["bob@synergy.example"])]
    failures = []

    def work(engine, own):
        try:
            for n in range(20):
                with Session(engine) as session:
                    assert emails(session) == own
                    if n % 3 == 0:
                        session.add(entry(session.scalars(sa.select(User)).one(), "turn", n))
                        session.flush()
                        assert count(session, "turn") == 1
                    session.rollback()
        except BaseException as error:
            failures.append(error)
            raise

    threads = [threading.Thread(target=work, args=pair) for pair in engines * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    for engine, _ in engines:
        engine.dispose()


def schema_kind():
    engine = sa.create_engine(GLOBEX, pool_pre_ping=True)
    own = {"erin@globex.example", "frank@globex.example"}
    inspector = sa.inspect(engine)
    assert inspector.default_schema_name == "globex"
    assert set(inspector.get_table_names()) == {"employee_logs", "wellness_metrics"}
    assert "note" in {c["name"] for c in inspector.get_columns("employee_logs")}
    with Session(engine) as session:
        assert set(session.scalars(sa.select(Log.employee_email))) == own
        with session.begin_nested():
            session.add_all(Log(employee_email="x@globex.example", log_type="orm", note=str(n)) for n in range(1200))
        mine = sa.select(sa.func.count()).select_from(Log).where(Log.log_type == "orm")
        assert session.scalar(mine) == 1200
        streamed = session.scalars(sa.select(Log).where(Log.log_type == "orm").execution_options(yield_per=100))
        assert {int(log.note) for log in streamed} == set(range(1200))
        session.rollback()
        assert session.scalar(mine) == 0
        for query in ["SELECT * FROM acme_health.employee_logs", "SET ROLE acme_health_app"]:
            try:
                session.execute(sa.text(query))
                raise AssertionError(query)
            except exc.ProgrammingError as error:
                assert isinstance(error.orig, psycopg.errors.InsufficientPrivilege)
            session.rollback()
    engine.dispose()


main()
