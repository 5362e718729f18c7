SELECT DISTINCT 'materialized view ' || v.name,
       'it holds rows of ' || string_agg(DISTINCT t.name, ', '),
       format('REVOKE ALL ON %s %s;', v.name, r.from_whom)
FROM relations v
JOIN reachable r ON r.relid = v.oid
JOIN view_uses u ON u.view = v.oid
JOIN protected t ON t.oid = u.used
WHERE v.relkind = 'm'
GROUP BY v.name, r.from_whom
