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
    mention constant text := @mention@;
    target record;
    seal record;
    command text;
    condition text;
    conditions text[];
    everything text;
    roles text;
    ignored text;
    remark text;
BEGIN
    FOR seal IN SELECT * FROM pgtenant_kept
        WHERE (new_qual, new_check) IS DISTINCT FROM (qual, with_check)
    LOOP
        EXECUTE format('ALTER POLICY %I ON %s', seal.policyname, seal.name)
            || coalesce(' USING (' || seal.new_qual || ')', '')
            || coalesce(' WITH CHECK (' || seal.new_check || ')', '');
    END LOOP;
    FOR target IN
        SELECT name, c.oid, c.relowner, relrowsecurity, relforcerowsecurity
        FROM (SELECT DISTINCT name FROM pgtenant_learnt) l JOIN pg_class c ON c.oid = name::regclass
        ORDER BY name
    LOOP
        CONTINUE WHEN NOT target.relrowsecurity;
        FOR seal IN SELECT policyname FROM pgtenant_sealed WHERE oid = target.oid LOOP
            EXECUTE format('DROP POLICY %I ON %s', seal.policyname, target.name);
        END LOOP;
        SELECT string_agg(quote_ident(policyname), ', ') INTO ignored FROM pg_policies
            WHERE format('%I.%I', schemaname, tablename) = target.name
                AND permissive = 'PERMISSIVE' AND concat(qual, with_check) !~* mention;
        IF ignored IS NOT NULL AND target.oid NOT IN (SELECT oid FROM pgtenant_named) THEN
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
        -- So that sealing it again need not be told.
        SELECT 'pgtenant: named column ' || string_agg(attnum::text, ',' ORDER BY attnum) INTO remark
            FROM pgtenant_named WHERE oid = target.oid;
        FOR seal IN SELECT polname FROM pg_policy WHERE remark IS NOT NULL
            AND polrelid = target.oid AND polname ~ '^pgtenant_seal(_|$)'
        LOOP
            EXECUTE format('COMMENT ON POLICY %I ON %s IS %L', seal.polname, target.name, remark);
        END LOOP;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pgtenant_locked UNION ALL SELECT FROM pgtenant_sealed) THEN
        RAISE EXCEPTION 'no policy reads the setting %', setting
            USING HINT = 'Name the tables: --table SCHEMA.TABLE=COLUMN';
    END IF;
END
$pgtenant$;
