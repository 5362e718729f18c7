-- The trigger that makes a company's schema when it joins. Its arguments: the
-- template, the column with the schema's name, 'role' or 'user', and then what
-- stands before and behind the schema's name in the role's, or the user's name.
CREATE OR REPLACE FUNCTION pgtenant_provision.join_tenant() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
-- The session is a stranger's: nothing of what it may have set takes part.
SET search_path = pg_catalog, pg_temp
SET check_function_bodies = off
SET standard_conforming_strings = on
SET transform_null_equals = off
SET quote_all_identifiers = off
SET extra_float_digits = 3
SET datestyle = 'ISO, MDY'
SET intervalstyle = postgres
SET default_table_access_method = heap
SET default_tablespace = ''
SET jit = off
AS $function$
#variable_conflict use_variable
DECLARE
    template constant text := TG_ARGV[0];
    own constant text := pg_catalog.to_jsonb(NEW) ->> TG_ARGV[1];
    own_role constant boolean := TG_ARGV[2] = 'role';
    grantee constant text := CASE WHEN own_role THEN TG_ARGV[3] || own || TG_ARGV[4]
                                  ELSE TG_ARGV[3] END;
    original record;
    made record;
    refusal text;
    named boolean;
    statement text;
BEGIN
    IF own IS NULL OR own = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'not_null_violation',
            MESSAGE = pg_catalog.format('column "%s" names no schema for the company', TG_ARGV[1]);
    END IF;
    IF own ~ '^pg_|[[:cntrl:]]' OR grantee ~ '^pg_'
       OR own IN ('information_schema', 'public', 'pgtenant', 'pgtenant_provision',
              'pgtenant_copy', '$user', template)
       OR grantee IN ('public', 'none') THEN
        RAISE EXCEPTION USING ERRCODE = 'reserved_name',
            MESSAGE = pg_catalog.format('"%s" cannot be the name of a company''s schema', own),
            HINT = 'It is reserved, or has control characters.';
    END IF;
    IF pg_catalog.octet_length(own) > 63 OR pg_catalog.octet_length(grantee) > 63 THEN
        RAISE EXCEPTION USING ERRCODE = 'name_too_long',
            MESSAGE = pg_catalog.format('"%s" is too long for the name of a company''s schema', own),
            HINT = 'The names of the schema and of its role can have 63 bytes.';
    END IF;
    IF own_role AND EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = grantee) THEN
        RAISE EXCEPTION USING ERRCODE = 'duplicate_object',
            MESSAGE = pg_catalog.format('role "%s" already exists', grantee);
    END IF;
    SELECT pg_catalog.min(t.refusal) INTO refusal
    FROM pgtenant_provision.template_trust(template) t (refusal);
    IF refusal IS NULL THEN
        original := pgtenant_provision.print_schema(template, template);
        refusal := pg_catalog.replace(original.refusal, 'pgtenant_copy', template);
    END IF;
    IF refusal IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = pg_catalog.format('schema "%s" cannot be a template: %s', template, refusal);
    END IF;

    EXECUTE pg_catalog.format('CREATE SCHEMA %I', own);
    EXECUTE pg_catalog.format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', own);
    IF own_role THEN
        -- Its password is derived from a key that is not here.
        EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN NOINHERIT', grantee);
        EXECUTE pg_catalog.format('ALTER ROLE %I IN DATABASE %I SET search_path = ''''', grantee,
                                  pg_catalog.current_database());
    END IF;
    IF NOT pg_catalog.has_database_privilege(grantee, pg_catalog.current_database(), 'CONNECT') THEN
        EXECUTE pg_catalog.format('GRANT CONNECT ON DATABASE %I TO %I',
                                  pg_catalog.current_database(), grantee);
    END IF;
    EXECUTE pg_catalog.format('GRANT USAGE ON SCHEMA %I TO %I', own, grantee);
    FOREACH statement IN ARRAY ARRAY['SELECT, INSERT, UPDATE, DELETE ON TABLES',
                                     'USAGE, SELECT ON SEQUENCES', 'EXECUTE ON ROUTINES'] LOOP
        EXECUTE pg_catalog.format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT %s TO %I',
                                  own, statement, grantee);
    END LOOP;

    -- Statements that write the schema's name write this one.
    named := pg_catalog.array_to_string(original.statements, ';') ~ 'pgtenant_copy';
    IF named THEN
        EXECUTE pg_catalog.format('ALTER SCHEMA %I RENAME TO pgtenant_copy', own);
    END IF;
    PERFORM pg_catalog.set_config('search_path', CASE WHEN named THEN 'pgtenant_copy'
        ELSE pg_catalog.quote_ident(own) END || ', pg_temp', true);
    FOREACH statement IN ARRAY original.statements LOOP
        EXECUTE statement;
    END LOOP;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    IF named THEN
        EXECUTE pg_catalog.format('ALTER SCHEMA pgtenant_copy RENAME TO %I', own);
    END IF;
    made := pgtenant_provision.print_schema(own, template);
    IF made.frames IS DISTINCT FROM original.frames
       OR made.needs IS DISTINCT FROM original.needs THEN
        RAISE EXCEPTION USING ERRCODE = 'internal_error',
            MESSAGE = pg_catalog.format('the copy of schema "%s" differs from it', template);
    END IF;
    -- A schema of this name may have been dropped.
    DELETE FROM pgtenant_provision.provisioned p WHERE p.schema_name = own;
    INSERT INTO pgtenant_provision.provisioned (schema_name, source, sha256)
    VALUES (own, 'schema:' || template, pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
        pg_catalog.array_to_string(original.statements, E';\n'), 'UTF8')), 'hex'));
    RETURN NULL;
END
$function$
