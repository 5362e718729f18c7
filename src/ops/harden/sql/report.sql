-- What is sealed now, and what is not.
DO $pgtenant$
#variable_conflict use_column
DECLARE
    target record;
BEGIN
    FOR target IN
        SELECT c.oid, c.oid::regclass::text AS name, c.relowner, c.relrowsecurity,
            c.relforcerowsecurity, c.oid = ANY (sealed) AS is_sealed,
            c.oid::regclass::text IN (SELECT name FROM pgtenant_kept) AS is_kept,
            (SELECT min(f.oid::regprocedure::text) FROM pg_policy p
                JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
                    AND d.refclassid = 'pg_proc'::regclass
                JOIN pg_proc f ON f.oid = d.refobjid
                WHERE p.polrelid = c.oid AND p.polpermissive
                    AND CASE WHEN f.prokind = 'f' THEN strpos(lower(pg_get_functiondef(f.oid)), @setting@) > 0 END
            ) AS reader
        FROM pg_class c, (SELECT array_agg(polrelid) AS sealed FROM pg_policy p
            WHERE polname ~ '^pgtenant_seal(_|$)' AND NOT polpermissive
                AND concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)) ~ @seal_pattern@) s
        WHERE c.relkind IN ('r', 'p')
            AND (c.oid = ANY (sealed)
                OR c.oid::regclass::text IN (SELECT name FROM pgtenant_learnt)
                OR (c.relrowsecurity
                    AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive)
                    AND (has_any_column_privilege(@role@, c.oid, 'SELECT, INSERT, UPDATE')
                        OR has_table_privilege(@role@, c.oid, 'DELETE'))))
        ORDER BY name
    LOOP
        IF NOT target.relrowsecurity THEN
            INSERT INTO pgtenant_report VALUES (format(
                'WARNING: %s is NOT sealed: row-level security is not enabled on it', target.name));
        ELSIF coalesce(target.is_sealed, false) THEN
            IF pg_has_role(@role@, target.relowner, 'MEMBER') THEN
                INSERT INTO pgtenant_report VALUES (format('WARNING: role %s owns %s: it can drop the seal%s',
                    @role@, target.name, CASE WHEN target.relforcerowsecurity THEN ''
                        ELSE ', and row-level security does not apply to it' END));
            END IF;
            INSERT INTO pgtenant_report VALUES (format('sealed %s%s', target.name,
                CASE WHEN target.is_kept THEN ' (as it was before)' ELSE '' END));
        ELSE
            INSERT INTO pgtenant_report VALUES (format('WARNING: %s is NOT sealed: its policies %s; '
                'where a column of it holds the tenant, add --table %s=COLUMN', target.name,
                coalesce('read the setting through the function ' || target.reader,
                    'do not read the setting by themselves'), target.name));
        END IF;
    END LOOP;
    DROP TABLE pgtenant_locked, pgtenant_kept, pgtenant_learnt, pgtenant_named, pgtenant_sealed;
END
$pgtenant$;
