SELECT r.rolsuper, r.rolbypassrls,
    CASE WHEN NOT r.rolsuper THEN (
        SELECT c.oid::pg_catalog.regclass::text
        FROM (SELECT DISTINCT polrelid FROM pg_catalog.pg_policy) p
        JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
        WHERE c.relrowsecurity AND NOT c.relforcerowsecurity
            AND pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE')
        LIMIT 1) END,
    (SELECT pg_catalog.string_agg(s.name, ',') FROM pg_catalog.unnest(@settings@) AS s (name)
     WHERE EXISTS (
        SELECT FROM pg_catalog.pg_policy p
        JOIN pg_catalog.pg_class c ON c.oid = p.polrelid,
        LATERAL (SELECT pg_catalog.concat(pg_catalog.pg_get_expr(p.polqual, p.polrelid),
            pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)) AS text) e
        WHERE p.polname ~ '^pgtenant_seal(_|$)' AND NOT p.polpermissive AND c.relrowsecurity
            AND (0::pg_catalog.oid = ANY (p.polroles) OR EXISTS (
                SELECT FROM pg_catalog.unnest(p.polroles) AS o (role)
                WHERE o.role <> 0::pg_catalog.oid AND pg_catalog.pg_has_role(r.oid, o.role, 'USAGE')))
            AND e.text ~ 'pgtenant\.tenant'
            AND pg_catalog.strpos(e.text, pg_catalog.quote_literal(s.name)) > 0))
FROM pg_catalog.pg_roles r WHERE r.rolname = CURRENT_USER
