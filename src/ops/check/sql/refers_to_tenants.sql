-- Its rows belong to whom the rows belong that they refer to: the subquery is
-- bound by the policies of that table.
SELECT DISTINCT ON (t.name) 'table ' || t.name, format('it refers to %s, whose rows are tenants'' own', o.name),
       CASE WHEN cardinality(c.conkey) = 1 AND here.attnotnull AND o.relrowsecurity THEN
       format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY; CREATE POLICY tenant_isolation ON %s USING (EXISTS '
              '(SELECT FROM %s AS of_tenant WHERE of_tenant.%I = %s.%I));', t.name, t.name, o.name, there.attname,
              quote_ident(t.relname), here.attname)
       END
FROM relations t JOIN reachable r ON r.relid = t.oid
JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'f'
JOIN protected o ON o.oid = c.confrelid AND o.oid <> t.oid
JOIN pg_attribute here ON here.attrelid = t.oid AND here.attnum = c.conkey[1]
JOIN pg_attribute there ON there.attrelid = o.oid AND there.attnum = c.confkey[1]
WHERE t.relkind IN ('r', 'p') AND NOT t.relrowsecurity AND NOT t.relispartition
  AND t.oid NOT IN (SELECT oid FROM protected) AND o.oid NOT IN (SELECT relid FROM directories)
  AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = t.oid)
  AND EXISTS (SELECT FROM reach mine WHERE mine.relid = o.oid AND mine.may_select)
ORDER BY t.name, here.attnotnull DESC, cardinality(c.conkey), c.oid
