-- A restrictive policy on every table whose policies read the setting: the same
-- conditions once more, with the sealed tenant in the setting's place. A row must
-- fulfil both.
--
-- It compares *rows* with the sealed tenant, not the setting with it: a query can
-- change the setting after it was compared. For the same reason it stands in a
-- CASE: from "row = setting" and "row = tenant" the planner would conclude that
-- checking "setting = tenant" once and "row = setting" for each row is enough.
-- The tenant stands in a subquery, so that it is computed once a query.
DO $pgtenant$
#variable_conflict use_column
<<policies>>
DECLARE
    setting constant text := @setting@;
    mention constant text := 'current_setting\(' || @quoted_literal_pattern@
        || '::text(?:, (?:true|false))?\)';
    accessor constant text := @accessor@ || '(' || quote_literal(@setting@) || '::text)';
    -- A condition that can only hold for a tenant: no need to ask for one.
    plain constant text := '^\(*[a-z_"][^ ()]* = \(SELECT \(?' || @accessor_pattern@
        || '\([^()]*\)\)?(::[a-z]+)?\)\)*$';
    extra constant text[] := @extra@;
    sealed integer := 0;
    target record;
    command text;
    condition text;
    conditions text[];
    everything text;
    roles text;
    ignored text;
BEGIN
    CREATE TEMPORARY TABLE pgtenant_learnt ON COMMIT DROP AS
        SELECT format('%I.%I', schemaname, tablename) AS name, roles, command,
            regexp_replace(regexp_replace(expression,
                '\(' || mention || '\)::(uuid|bigint|integer|smallint|text)(?=\)|$| )',
                '(SELECT (' || accessor || ')::\1)', 'gi'),
                mention, '(SELECT ' || accessor || ')', 'gi') AS condition
        FROM pg_policies, LATERAL (VALUES
            ('SELECT', qual), ('UPDATE', qual), ('DELETE', qual),
            ('INSERT CHECK', coalesce(with_check, qual)), ('UPDATE CHECK', coalesce(with_check, qual))
        ) AS rule (command, expression)
        WHERE permissive = 'PERMISSIVE' AND expression ~* mention
            AND (cmd = 'ALL' OR starts_with(command, cmd));
    -- Tables that were named, with the column that holds the tenant.
    FOR i IN 1 .. cardinality(extra) / 2 LOOP
        INSERT INTO pgtenant_learnt
            SELECT (extra[2 * i - 1]::regclass)::text, '{public}', command,
                format('(%I = (SELECT (%s)::%s))', attname, accessor, format_type(atttypid, NULL))
            FROM pg_attribute, unnest(ARRAY[
                'SELECT', 'UPDATE', 'DELETE', 'INSERT CHECK', 'UPDATE CHECK']) AS command
            WHERE attrelid = extra[2 * i - 1]::regclass AND attname = extra[2 * i];
        IF NOT FOUND THEN
            RAISE EXCEPTION 'table % has no column %', extra[2 * i - 1], extra[2 * i];
        END IF;
    END LOOP;
    UPDATE pgtenant_learnt l SET condition = format('((SELECT %s) IS NOT NULL AND %s)', accessor, l.condition)
        WHERE l.condition !~ plain;
    FOR target IN
        SELECT name, c.oid, c.relowner, relrowsecurity, relforcerowsecurity
        FROM (SELECT DISTINCT name FROM pgtenant_learnt) l JOIN pg_class c ON c.oid = name::regclass
        ORDER BY name
    LOOP
        IF NOT target.relrowsecurity THEN
            INSERT INTO pgtenant_report VALUES (format(
                'WARNING: %s is NOT sealed: row-level security is not enabled on it', target.name));
            CONTINUE;
        END IF;
        IF pg_has_role(@role@, target.relowner, 'MEMBER') THEN
            INSERT INTO pgtenant_report VALUES (format('WARNING: role %s owns %s: it can drop the seal%s',
                @role@, target.name, CASE WHEN target.relforcerowsecurity THEN ''
                    ELSE ', and row-level security does not apply to it' END));
        END IF;
        SELECT string_agg(quote_ident(policyname), ', ') INTO ignored FROM pg_policies
            WHERE format('%I.%I', schemaname, tablename) = target.name
                AND permissive = 'PERMISSIVE' AND concat(qual, with_check) !~* mention;
        IF ignored IS NOT NULL THEN
            INSERT INTO pgtenant_report VALUES (format(
                'WARNING: on %s, rows that only these policies show are hidden by the seal: %s',
                target.name, ignored));
        END IF;
        SELECT string_agg(DISTINCT l.condition, ' OR ') INTO everything
            FROM pgtenant_learnt l WHERE name = target.name;
        SELECT CASE WHEN 'public' = ANY (array_agg(role)) THEN 'PUBLIC'
                ELSE string_agg(DISTINCT quote_ident(role), ', ') END INTO roles
            FROM pgtenant_learnt l, unnest(l.roles) AS role WHERE name = target.name;
        everything := 'CASE WHEN ' || everything || ' THEN true ELSE false END';
        conditions := '{}';
        FOREACH command IN ARRAY ARRAY['SELECT', 'UPDATE', 'DELETE', 'INSERT CHECK', 'UPDATE CHECK'] LOOP
            SELECT string_agg(DISTINCT l.condition, ' OR ') INTO condition
                FROM pgtenant_learnt l WHERE name = target.name AND l.command = policies.command;
            conditions := conditions || coalesce('CASE WHEN ' || condition || ' THEN true ELSE false END', everything);
        END LOOP;
        IF everything = ALL (conditions) THEN
            EXECUTE format('CREATE POLICY pgtenant_seal ON %s AS RESTRICTIVE TO %s USING (%s)',
                target.name, roles, everything);
        ELSE
            EXECUTE format('CREATE POLICY pgtenant_seal_select ON %s AS RESTRICTIVE FOR SELECT TO %s USING (%s)',
                target.name, roles, conditions[1]);
            EXECUTE format('CREATE POLICY pgtenant_seal_update ON %s AS RESTRICTIVE FOR UPDATE TO %s USING (%s) WITH CHECK (%s)',
                target.name, roles, conditions[2], conditions[5]);
            EXECUTE format('CREATE POLICY pgtenant_seal_delete ON %s AS RESTRICTIVE FOR DELETE TO %s USING (%s)',
                target.name, roles, conditions[3]);
            EXECUTE format('CREATE POLICY pgtenant_seal_insert ON %s AS RESTRICTIVE FOR INSERT TO %s WITH CHECK (%s)',
                target.name, roles, conditions[4]);
        END IF;
        INSERT INTO pgtenant_report VALUES (format('sealed %s', target.name));
        sealed := sealed + 1;
    END LOOP;
    DROP TABLE pgtenant_learnt;
    IF sealed = 0 THEN
        RAISE EXCEPTION 'no policy reads the setting %', setting
            USING HINT = 'Name the tables: --table SCHEMA.TABLE=COLUMN';
    END IF;
END
$pgtenant$;
