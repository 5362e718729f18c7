DO $pgtenant$
#variable_conflict use_column
DECLARE
    seal record;
BEGIN
    FOR seal IN
        SELECT name, policyname FROM pg_policies
            JOIN pgtenant_locked ON name = format('%I.%I', schemaname, tablename)
        WHERE policyname ~ '^pgtenant_seal(_|$)' AND permissive = 'RESTRICTIVE'
            AND concat(qual, with_check) ~ @seal_pattern@
    LOOP
        EXECUTE format('DROP POLICY %I ON %s', seal.policyname, seal.name);
    END LOOP;
    INSERT INTO pgtenant_report
        SELECT format('unsealed %s%s', name, CASE WHEN EXISTS (
                SELECT FROM pg_policies WHERE format('%I.%I', schemaname, tablename) = name
                    AND permissive = 'PERMISSIVE' AND concat(qual, with_check) ~* @mention@
            ) THEN ': pgtenant harden would seal it again, since its policies read the setting' ELSE '' END)
        FROM pgtenant_locked ORDER BY name;
    DROP TABLE pgtenant_locked;
END
$pgtenant$;
