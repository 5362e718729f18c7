"""The SQL of the cases, as scripts of pgbench."""

import database
from tenants import SETTING

SELECT_1 = "SELECT 1;\n"

# One row by the index that leads with organization_id. In simple mode the text
# is another one each time.
_SELECT = """SELECT entry_type, created_at FROM wellness_entries WHERE value = :v % 1000 + 1;
"""
_PICK = "\\set v random(1, 2000000000)\n"

SELECT = _PICK + _SELECT
TEN = (_PICK + _SELECT) * 10
SLOW = "SELECT pg_sleep(0.02);\n"

_SET = f"SELECT set_config('{SETTING}', :org, true)"

# Both statements in one Query message, which makes them one transaction.
SCOPED_IN_ONE = f"{_PICK}{_SET}\\; {_SELECT}"

TPC_B = f"""\\set aid random(1, {100_000 * database.PGBENCH_SCALE})
\\set bid random(1, {database.PGBENCH_SCALE})
\\set tid random(1, {10 * database.PGBENCH_SCALE})
\\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime)
VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
"""

COPY_OUT = "COPY (SELECT repeat('x', 99) FROM generate_series(1, 100000)) TO STDOUT"
COPY_IN = "COPY copied FROM STDIN"


def rows(count, size):
    """A result of so many rows of so many bytes."""
    return f"SELECT repeat('x', {size}) FROM generate_series(1, {count})"


def transaction(script):
    """The script in a transaction."""
    return f"BEGIN;\n{script}COMMIT;\n"


def scoped(script):
    """The script in a transaction that sets the tenant first."""
    return transaction(f"{_SET};\n{script}")
