-- Tenants' own roles where they share tables, with their tenants.
members AS (
    SELECT r.oid, r.rolname, quote_ident(r.rolname) AS ident, m.tenant
    FROM given, unnest(given.tenant_roles, given.tenants) AS m (role, tenant)
    JOIN pg_roles r ON r.rolname = m.role
),
-- What of the tenant's setting is stored, by role (0: for all): of two that of this
-- database counts.
stored AS (
    SELECT DISTINCT ON (s.setrole) s.setrole, s.setdatabase,
           substr(c.entry, strpos(c.entry, '=') + 1) AS value
    FROM given, pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase,
         unnest(s.setconfig) AS c (entry)
    WHERE given.setting <> '' AND lower(split_part(c.entry, '=', 1)) = given.setting
      AND (s.setdatabase = 0 OR d.datname = current_database())
    ORDER BY s.setrole, s.setdatabase <> 0 DESC
),
