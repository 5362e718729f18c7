SELECT 'table ' || p.name,
       concat_ws(' and ', CASE WHEN r.may_trigger THEN 'TRIGGER' END,
                          CASE WHEN r.may_refer THEN 'REFERENCES' END) || ' to ' || r.ident,
       format('REVOKE TRIGGER, REFERENCES ON %s %s;', p.name, r.from_whom)
FROM protected p JOIN reach r ON r.relid = p.oid
WHERE (r.may_trigger OR r.may_refer) AND p.relkind IN ('r', 'p')
  AND NOT pg_has_role(r.role, p.relowner, 'USAGE')
