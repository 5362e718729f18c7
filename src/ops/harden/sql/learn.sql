-- Which tables are to be sealed: those whose policies read the setting, those that
-- were named, and those that are sealed already.
CREATE TEMPORARY TABLE pgtenant_sealed ON COMMIT DROP AS
    SELECT p.polrelid AS oid, p.polrelid::regclass::text AS name, p.polname AS policyname,
        e.qual, e.with_check, obj_description(p.oid, 'pg_policy') AS remark
    FROM pg_policy p, LATERAL (SELECT pg_get_expr(p.polqual, p.polrelid) AS qual,
        pg_get_expr(p.polwithcheck, p.polrelid) AS with_check) e
    WHERE p.polname ~ '^pgtenant_seal(_|$)' AND NOT p.polpermissive
        AND concat(e.qual, e.with_check) ~ @seal_pattern@;
-- Columns that hold the tenant, as they were named: now, or when their table was
-- sealed before (which a remark on the policy says).
CREATE TEMPORARY TABLE pgtenant_named (oid oid, attnum smallint) ON COMMIT DROP;
CREATE TEMPORARY TABLE pgtenant_learnt ON COMMIT DROP AS
    SELECT format('%I.%I', schemaname, tablename) AS name, roles, command,
        regexp_replace(regexp_replace(expression,
            '\(' || @mention@ || '\)::(uuid|bigint|integer|smallint|text)(?=\)|$| )',
            '(SELECT (' || @call@ || ')::\1)', 'gi'),
            @mention@, '(SELECT ' || @call@ || ')', 'gi') AS condition
    FROM pg_policies, LATERAL (VALUES
        ('SELECT', qual), ('UPDATE', qual), ('DELETE', qual),
        ('INSERT CHECK', coalesce(with_check, qual)), ('UPDATE CHECK', coalesce(with_check, qual))
    ) AS rule (command, expression)
    WHERE permissive = 'PERMISSIVE' AND expression ~* @mention@
        AND (cmd = 'ALL' OR starts_with(command, cmd));
DO $pgtenant$
#variable_conflict use_column
DECLARE
    extra constant text[] := @extra@;
BEGIN
    FOR i IN 1 .. cardinality(extra) / 2 LOOP
        INSERT INTO pgtenant_named SELECT attrelid, attnum FROM pg_attribute
            WHERE attrelid = extra[2 * i - 1]::regclass AND attname = extra[2 * i] AND attnum > 0;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'table % has no column %', extra[2 * i - 1], extra[2 * i];
        END IF;
    END LOOP;
    INSERT INTO pgtenant_named
        SELECT DISTINCT s.oid, number::smallint FROM pgtenant_sealed s,
            unnest(string_to_array(substring(s.remark FROM '^pgtenant: named column ([0-9,]{1,40})$'), ',')) AS number
        WHERE s.oid NOT IN (SELECT n.oid FROM pgtenant_named n);
    INSERT INTO pgtenant_learnt
        SELECT n.oid::regclass::text, '{public}', command,
            format('(%I = (SELECT (%s)::%s))', attname, @call@, format_type(atttypid, NULL))
        FROM pgtenant_named n JOIN pg_attribute a ON attrelid = n.oid AND a.attnum = n.attnum,
            unnest(ARRAY['SELECT', 'UPDATE', 'DELETE', 'INSERT CHECK', 'UPDATE CHECK']) AS command
        WHERE NOT attisdropped;
END
$pgtenant$;
-- A condition that can only hold for a tenant need not ask for one.
UPDATE pgtenant_learnt SET condition = format('((SELECT %s) IS NOT NULL AND %s)', @call@, condition)
    WHERE condition !~ ('^\(*[a-z_"][^ ()]* = \(SELECT \(?' || @accessor_pattern@
        || '\([^()]*\)\)?(::[a-z]+)?\)\)*$');
-- What is sealed in a way that is not learnt stays so, for this kind of seal.
CREATE TEMPORARY TABLE pgtenant_kept ON COMMIT DROP AS
    SELECT name, policyname, qual, with_check,
        regexp_replace(qual, @seal_pattern@, @call@, 'g') AS new_qual,
        regexp_replace(with_check, @seal_pattern@, @call@, 'g') AS new_check
    FROM pgtenant_sealed WHERE name NOT IN (SELECT name FROM pgtenant_learnt);
CREATE TEMPORARY TABLE pgtenant_locked ON COMMIT DROP AS
    SELECT name FROM pgtenant_learnt JOIN pg_class c ON c.oid = name::regclass WHERE relrowsecurity
    UNION
    SELECT name FROM pgtenant_kept WHERE (new_qual, new_check) IS DISTINCT FROM (qual, with_check);
