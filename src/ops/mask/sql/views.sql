-- A view for each relation that the application's role may read, of the same name.
-- Those without masks, too: so the role has no right to anything else, a new column
-- or mask opens nothing by itself, and one look tells whether that is so.
DO $pgtenant$
#variable_conflict use_column
DECLARE
    relation record;
    attribute record;
    mask record;
    part record;
    wrong text[] := '{}';
    names text[] := '{}';
    sources text[] := '{}';
    definitions text[] := '{}';
    lines text[] := '{}';
    list text[];
    masked text[];
    value text;
    old text;
    type oid;
    said text;
BEGIN
    FOR mask IN SELECT * FROM pgtenant_columns WHERE oid IS NULL ORDER BY number LOOP
        wrong := wrong || format('%s: there is no such table that role %s may read', mask.what, @app@);
    END LOOP;
    FOR mask IN SELECT * FROM pgtenant_columns WHERE oid IS NOT NULL AND oid = root AND attnum IS NULL ORDER BY number LOOP
        wrong := wrong || format('%s: %s has no such column', mask.what, mask.oid::regclass);
    END LOOP;
    FOR mask IN
        SELECT DISTINCT m.what, i.inhparent FROM pgtenant_columns m JOIN pg_inherits i ON i.inhrelid = m.oid
        WHERE m.oid = m.root AND NOT EXISTS (SELECT FROM pgtenant_columns o WHERE o.oid = i.inhparent
            AND o.column_name = m.column_name AND o.path IS NOT DISTINCT FROM m.path)
    LOOP
        wrong := wrong || format('%s: it is a part of %s, which would show the column: mask that one', mask.what, mask.inhparent::regclass);
    END LOOP;

    FOR relation IN SELECT * FROM pgtenant_relations ORDER BY shown LOOP
        IF relation.rank > 1 THEN
            lines := lines || format('NOTE: left out %s: in the search path another relation of this name comes first', relation.shown);
            CONTINUE;
        END IF;
        SELECT because INTO said FROM pgtenant_open o WHERE o.oid = relation.oid
            AND NOT EXISTS (SELECT FROM pgtenant_columns m WHERE m.oid = relation.oid);
        IF FOUND THEN
            lines := lines || format('NOTE: left out %s: it shows what %s shows; to have it, give columns of it masks of their own',
                relation.shown, said);
            CONTINUE;
        END IF;
        list := '{}';
        masked := '{}';
        FOR attribute IN
            SELECT a.attname AS name, a.attnum, a.atttypid, a.atttypmod FROM pg_attribute a
            WHERE a.attrelid = relation.oid AND a.attnum > 0 AND NOT a.attisdropped
                AND has_column_privilege(@app@, relation.oid, a.attnum, 'SELECT')
            ORDER BY a.attnum
        LOOP
            value := format('t.%I', attribute.name);
            FOR mask IN SELECT * FROM pgtenant_columns m WHERE m.oid = relation.oid AND m.attnum = attribute.attnum
                ORDER BY m.path IS NOT NULL, m.number
            LOOP
                IF mask.kind = 'expression' THEN
                    value := format(E'CASE WHEN %s IS NULL THEN NULL ELSE (%s\n) END', value, mask.argument);
                    SELECT t.typbasetype INTO type FROM pg_type t WHERE t.oid = attribute.atttypid AND t.typtype = 'd';
                    IF NOT FOUND AND (SELECT typcategory FROM pg_type WHERE oid = attribute.atttypid) = 'S' THEN
                        value := format('(%s)::%s', value, format_type(attribute.atttypid, attribute.atttypmod));
                    END IF;
                ELSIF mask.path IS NOT NULL THEN
                    IF attribute.atttypid <> 'jsonb'::regtype THEN
                        wrong := wrong || format('%s: only a column of type jsonb has a path, and %s.%I is of type %s',
                            mask.what, relation.shown, attribute.name, format_type(attribute.atttypid, attribute.atttypmod));
                        CONTINUE;
                    END IF;
                    SELECT m.masked INTO value FROM pg_temp.pgtenant_mask_at(value, mask.path, mask.kind, mask.argument, @schema@) m;
                ELSE
                    SELECT * INTO part FROM pg_temp.pgtenant_mask_of(value, attribute.atttypid, attribute.atttypmod,
                        mask.kind, mask.argument, @schema@);
                    IF part.fits IS NOT NULL THEN
                        wrong := wrong || format('%s: does not fit %s.%I of type %s; what fits is %s', mask.what, relation.shown,
                            attribute.name, format_type(attribute.atttypid, attribute.atttypmod), part.fits);
                        CONTINUE;
                    END IF;
                    value := part.masked;
                END IF;
                masked := masked || mask.what;
            END LOOP;
            SELECT of INTO said FROM pgtenant_computed c WHERE c.oid = relation.oid AND c.attnum = attribute.attnum
                AND NOT EXISTS (SELECT FROM pgtenant_columns m WHERE m.oid = relation.oid AND m.attnum = attribute.attnum);
            IF FOUND THEN
                SELECT * INTO part FROM pg_temp.pgtenant_mask_of(value, attribute.atttypid, attribute.atttypmod, 'null', NULL, @schema@);
                value := part.masked;
                masked := masked || format('%I (null: it is computed of %s)', attribute.name, said);
            END IF;
            list := list || format('%s AS %I', value, attribute.name);
        END LOOP;
        names := names || relation.name::text;
        sources := sources || relation.shown;
        definitions := definitions || format(E'CREATE VIEW %I.%I WITH (security_barrier) AS\nSELECT %s\nFROM %I.%I AS t',
            @schema@::text, relation.name, array_to_string(list, E',\n    '), relation.schema, relation.name);
        lines := lines || CASE WHEN masked = '{}' THEN format('%s: nothing is masked', relation.shown)
            ELSE format('%s: %s', relation.shown, array_to_string(masked, ', ')) END;
        IF relation.kind = 'f' THEN
            lines := lines || format('NOTE: %s is a foreign table: role %s needs a user mapping', relation.shown, @owner@);
        END IF;
    END LOOP;
    IF wrong <> '{}' THEN
        RAISE EXCEPTION E'nothing is masked:\n%', array_to_string(wrong, E'\n');
    END IF;

    SET LOCAL ROLE @ident_owner@;
    FOR old IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = @schema@ AND c.relkind = 'v' AND c.relname <> 'pgtenant_mask_key'
    LOOP
        EXECUTE format('DROP VIEW %I.%I', @schema@::text, old);
    END LOOP;
    FOR i IN 1..cardinality(names) LOOP
        BEGIN
            EXECUTE definitions[i];
        EXCEPTION WHEN OTHERS THEN
            wrong := wrong || format('%s: %s', sources[i], SQLERRM);
            CONTINUE;
        END;
        EXECUTE format('GRANT SELECT ON %I.%I TO %I', @schema@::text, names[i], @role@::text);
    END LOOP;
    GRANT USAGE ON SCHEMA @ident_schema@ TO @ident_role@;
    RESET ROLE;
    IF wrong <> '{}' THEN
        RAISE EXCEPTION E'nothing is masked:\n%', array_to_string(wrong, E'\n');
    END IF;

    -- What an expression makes is of the column's own type.
    FOR mask IN
        SELECT m.what, a.atttypid, a.atttypmod, v.atttypid AS made, v.atttypmod AS made_modifier,
            m.oid::regclass AS relation, a.attname
        FROM pgtenant_columns m
        JOIN pgtenant_relations r ON r.oid = m.oid AND r.rank = 1
        JOIN pg_attribute a ON a.attrelid = m.oid AND a.attnum = m.attnum
        JOIN pg_attribute v ON v.attrelid = format('%I.%I', @schema@::text, r.name)::regclass AND v.attname = a.attname
        JOIN pg_type t ON t.oid = a.atttypid
        WHERE m.kind = 'expression' AND v.atttypid <> CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
    LOOP
        wrong := wrong || format('%s: gives the type %s, and %s.%I is of type %s', mask.what,
            format_type(mask.made, mask.made_modifier), mask.relation, mask.attname, format_type(mask.atttypid, mask.atttypmod));
    END LOOP;
    IF wrong <> '{}' THEN
        RAISE EXCEPTION E'nothing is masked:\n%', array_to_string(wrong, E'\n');
    END IF;
    INSERT INTO pgtenant_report SELECT * FROM unnest(lines);
END
$pgtenant$;
