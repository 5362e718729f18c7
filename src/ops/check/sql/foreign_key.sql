SELECT 'constraint ' || quote_ident(c.conname) || ' on ' || t.name,
       format('it refers to %s without %s', o.name, quote_ident(t.attname)),
       CASE WHEN cardinality(c.conkey) = 1 AND t.atttypid = o.atttypid AND (c.confdeltype NOT IN ('n', 'd')
                 OR current_setting('server_version_num')::int >= 150000) THEN
       CASE WHEN EXISTS (SELECT FROM pg_constraint u WHERE u.conrelid = o.oid AND u.contype IN ('u', 'p')
                           AND u.conkey = ARRAY[o.attnum, c.confkey[1]])
            THEN '' ELSE format('ALTER TABLE %s ADD UNIQUE (%I, %I); ', o.name, o.attname, there.attname) END
       || format('ALTER TABLE %s DROP CONSTRAINT %I, ADD FOREIGN KEY (%I, %I) REFERENCES %s (%I, %I)%s%s%s;',
              t.name, c.conname, t.attname, here.attname, o.name, o.attname, there.attname,
              CASE c.confdeltype WHEN 'c' THEN ' ON DELETE CASCADE' WHEN 'r' THEN ' ON DELETE RESTRICT'
                   WHEN 'n' THEN format(' ON DELETE SET NULL (%I)', here.attname)
                   WHEN 'd' THEN format(' ON DELETE SET DEFAULT (%I)', here.attname) ELSE '' END,
              CASE c.confupdtype WHEN 'c' THEN ' ON UPDATE CASCADE' WHEN 'r' THEN ' ON UPDATE RESTRICT' ELSE '' END,
              CASE WHEN c.condeferrable THEN ' DEFERRABLE' ELSE '' END
              || CASE WHEN c.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END)
       END
FROM tenant_tables t
JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'f' AND c.conparentid = 0
JOIN tenant_tables o ON o.oid = c.confrelid
LEFT JOIN pg_attribute here ON here.attrelid = t.oid AND here.attnum = c.conkey[1]
LEFT JOIN pg_attribute there ON there.attrelid = o.oid AND there.attnum = c.confkey[1]
WHERE t.attnum <> ALL (c.conkey)
  AND NOT EXISTS (SELECT FROM directories d WHERE d.relid IN (o.oid, t.oid))
  AND EXISTS (SELECT FROM reach r WHERE r.relid = t.oid AND (r.may_insert OR r.may_update))
