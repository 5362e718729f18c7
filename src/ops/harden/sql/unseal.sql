-- Seals of this setting: of the tables that are named, or of all.
CREATE TEMPORARY TABLE pgtenant_locked ON COMMIT DROP AS
    SELECT DISTINCT format('%I.%I', schemaname, tablename) AS name,
        format('%I.%I', schemaname, tablename)::regclass::oid AS oid
    FROM pg_policies
    WHERE policyname ~ '^pgtenant_seal(_|$)' AND permissive = 'RESTRICTIVE'
        AND concat(qual, with_check) ~ @seal_pattern@
        AND (@unseal@ IS NULL OR format('%I.%I', schemaname, tablename)::regclass = ANY (@unseal@::regclass[]));
DO $pgtenant$
DECLARE
    missing text;
BEGIN
    SELECT name INTO missing FROM unnest(@unseal@) AS name
        WHERE name::regclass NOT IN (SELECT oid FROM pgtenant_locked);
    IF FOUND THEN
        RAISE EXCEPTION 'table % is not sealed', missing USING ERRCODE = 'undefined_object',
            HINT = 'Nothing has been changed.';
    END IF;
END
$pgtenant$;
