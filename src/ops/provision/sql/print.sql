-- Prints the objects of the schema `own`, which is the template or a copy of it: the
-- statements, what each makes without its expressions, what is needed elsewhere, and
-- what cannot be copied. The schema is renamed for this, as `printed.rs` tells, and
-- the renaming is taken back.
CREATE OR REPLACE FUNCTION pgtenant_provision.print_schema(
    own text, template text, OUT statements text[], OUT frames text[], OUT needs text[],
    OUT refusal text)
LANGUAGE plpgsql
AS $function$
BEGIN
    BEGIN
        EXECUTE pg_catalog.format('ALTER SCHEMA %I RENAME TO pgtenant_copy', own);
        PERFORM pg_catalog.set_config('search_path', 'pgtenant_copy', true);
        SELECT coalesce(pg_catalog.array_agg(s.sql ORDER BY s.place) FILTER (WHERE s.place > 0), '{}'),
               coalesce(pg_catalog.array_agg(s.frame ORDER BY s.place) FILTER (WHERE s.place > 0), '{}'),
               pg_catalog.array_agg(s.need ORDER BY s.need) FILTER (WHERE s.need IS NOT NULL),
               pg_catalog.string_agg(s.refusal, '; ')
        INTO statements, frames, needs, refusal
        FROM pgtenant_provision.schema_statements('pgtenant_copy', template) s;
        RAISE EXCEPTION USING ERRCODE = 'PGT00';
    EXCEPTION WHEN SQLSTATE 'PGT00' THEN
        -- What was read stays, what was changed does not.
        NULL;
    END;
END
$function$
