"""The tenants that the benchmarks work with: numbered from 1.

Where a case asks for more than these, the others have logins and no rows.
"""

COUNT = 100
ROWS = 1000  # of wellness_entries, for each

SETTING = "session.current_organization_id"
DATABASE = "wellness_corp_db"
APP_ROLE = "wellness_app"


def tenant_id(number):
    """The tenant's id in the database."""
    return f"{number:08d}-0000-4000-8000-{number:012d}"


def login(number):
    """The tenant's user name at pgtenant."""
    return f"tenant_{number}"


def other_login(number):
    """Another one of the same tenant, where there is one."""
    return f"{login(number)}_bi"
