-- What a database needs to be the tenant directory of pgtenant, for the tables
-- of the example: the table of organizations stays as it is. Run it as the owner
-- of that table, in its database, with the role's password in a variable:
--   psql -v password=… -f directory.sql wellness_corp_db
BEGIN;

-- The application's role has no need to write the directory. Where it may do so, a
-- tenant can remove another one (`pgtenant check`: PGT203).
-- REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON public.organizations FROM wellness_app;

-- The role that pgtenant reads the directory as. It can read the two views below
-- and nothing else of this; tenants' own roles can read neither.
CREATE ROLE tenant_directory LOGIN PASSWORD :'password';

CREATE SCHEMA tenant_directory;
GRANT USAGE ON SCHEMA tenant_directory TO tenant_directory;

-- What pgtenant is to know of an organization beside its id and name. One that has
-- no row here is active and has no limits of its own.
CREATE TABLE tenant_directory.overrides (
    organization_id uuid PRIMARY KEY REFERENCES public.organizations (id) ON DELETE CASCADE,
    state text CHECK (state IN ('active', 'read-only', 'suspended')),
    max_clients integer CHECK (max_clients > 0),
    pool_size integer CHECK (pool_size > 0),
    statement_timeout text,
    allowed cidr[] CHECK (allowed <> '{}')
);

-- Who may log in. The verifier is made with `pgtenant verifier`; the password
-- cannot be computed from it.
CREATE TABLE tenant_directory.accounts (
    login text PRIMARY KEY,
    organization_id uuid NOT NULL REFERENCES public.organizations (id) ON DELETE CASCADE,
    verifier text NOT NULL CHECK (verifier LIKE 'SCRAM-SHA-256$%'),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Columns are named like the keys of [[tenants]] and [[logins]]. The oldest row
-- comes first: it holds what a later one claims too.
CREATE VIEW tenant_directory.tenants AS
    SELECT id, name, state, max_clients, pool_size, statement_timeout, allowed
    FROM public.organizations LEFT JOIN tenant_directory.overrides ON organization_id = id
    ORDER BY created_at, id;
CREATE VIEW tenant_directory.logins AS
    SELECT login AS "user", organization_id AS tenant, verifier AS scram
    FROM tenant_directory.accounts
    ORDER BY created_at, login;
GRANT SELECT ON tenant_directory.tenants, tenant_directory.logins TO tenant_directory;

-- Tells pgtenant of each change, once it is committed.
CREATE FUNCTION tenant_directory.tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('pgtenant_directory', '');
    RETURN NULL;
END $$;
CREATE TRIGGER tell_tenant_directory
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON public.organizations
    FOR EACH STATEMENT EXECUTE FUNCTION tenant_directory.tell();
CREATE TRIGGER tell_tenant_directory
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenant_directory.overrides
    FOR EACH STATEMENT EXECUTE FUNCTION tenant_directory.tell();
CREATE TRIGGER tell_tenant_directory
    AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON tenant_directory.accounts
    FOR EACH STATEMENT EXECUTE FUNCTION tenant_directory.tell();

COMMIT;
