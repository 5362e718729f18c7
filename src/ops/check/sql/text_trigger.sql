SELECT DISTINCT format('trigger %I on %s', g.tgname, t.name), format('%s: %s', f.name, f.how), NULL::text
FROM unsealed, pg_trigger g
JOIN relations t ON t.oid = g.tgrelid
JOIN text_runners f ON f.oid = g.tgfoid
JOIN reach r ON r.relid = t.oid AND (r.may_insert OR r.may_update OR r.may_delete)
WHERE unsealed.holds AND NOT g.tgisinternal AND g.tgenabled <> 'D' AND NOT f.is_quoted
