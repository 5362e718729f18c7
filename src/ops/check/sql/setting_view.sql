SELECT 'view ' || v.name, 'it calls set_config', format('REVOKE ALL ON %s %s;', v.name, r.from_whom)
FROM unsealed, relations v JOIN reachable r ON r.relid = v.oid
WHERE unsealed.holds AND v.relkind = 'v' AND pg_get_viewdef(v.oid) ~* '\mset_config\M\s*\('
