SELECT 'table ' || p.name,
       concat_ws(' and ', CASE WHEN r.may_trigger THEN 'TRIGGER' END,
                          CASE WHEN r.may_refer THEN 'REFERENCES' END) || ' to ' || r.ident
       || coalesce((SELECT min(v.through) FROM revokes v WHERE v.role = r.role AND v.class = 'pg_class'::regclass
                      AND v.object = p.oid AND v.privilege IN ('TRIGGER', 'REFERENCES') AND v.through <> ''), ''),
       (SELECT string_agg(format(v.template, v.privilege || ' ON ' || p.name), ' ' ORDER BY v.privilege DESC)
        FROM revokes v WHERE v.role = r.role AND v.class = 'pg_class'::regclass
          AND v.object = p.oid AND v.privilege IN ('TRIGGER', 'REFERENCES'))
FROM protected p JOIN reach r ON r.relid = p.oid
WHERE (r.may_trigger OR r.may_refer) AND p.relkind IN ('r', 'p')
  AND NOT pg_has_role(r.role, p.relowner, 'USAGE')
