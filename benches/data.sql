-- The benchmarks' rows: :tenants tenants with one user and :rows entries each.
INSERT INTO organizations (id, name)
SELECT format('%s-0000-4000-8000-%s', lpad(n::text, 8, '0'), lpad(n::text, 12, '0'))::uuid,
       'Tenant ' || n
FROM generate_series(1, :tenants) n;

INSERT INTO users (organization_id, email, password_hash)
SELECT id, 'someone@tenant.example', 'none' FROM organizations;

INSERT INTO wellness_entries (user_id, organization_id, entry_type, value)
SELECT u.id, u.organization_id, 'steps', n
FROM users u, generate_series(1, :rows) n;

CREATE INDEX ON wellness_entries (organization_id, value);

-- What COPY FROM STDIN fills: it cannot fill a table with row-level security.
CREATE UNLOGGED TABLE copied (line text);

GRANT SELECT, INSERT, UPDATE, DELETE ON
    copied, pgbench_accounts, pgbench_branches, pgbench_tellers, pgbench_history
TO wellness_app;

VACUUM (FREEZE, ANALYZE);
