-- Seals of this setting that are there already.
DO $pgtenant$
DECLARE
    seal record;
BEGIN
    FOR seal IN
        SELECT schemaname, tablename, policyname FROM pg_policies
        WHERE policyname ~ '^pgtenant_seal(_|$)' AND permissive = 'RESTRICTIVE'
            AND concat(qual, with_check)
                ~ ('pgtenant\.tenant(_of_token)?\(' || @quoted_literal_pattern@ || '::text\)')
    LOOP
        EXECUTE format('DROP POLICY %I ON %I.%I',
            seal.policyname, seal.schemaname, seal.tablename);
    END LOOP;
END
$pgtenant$;
