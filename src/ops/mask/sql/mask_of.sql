-- What masks the value of an expression of a type, in SQL; or, in `fits`, what
-- would fit instead. Nothing in it depends on a setting of the session: whoever
-- could have the same value masked in two ways would learn more of it.
CREATE OR REPLACE FUNCTION pg_temp.pgtenant_mask_of(value text, type oid, modifier integer, kind text, argument text, digest_schema text,
    OUT masked text, OUT fits text)
LANGUAGE plpgsql AS $pgtenant$
#variable_conflict use_variable
DECLARE
    base pg_type;
    name text;
    -- The most characters that it holds.
    most integer;
    is_text boolean;
    is_number boolean;
    is_time boolean;
    -- The bytes of a value, whatever the session's settings are.
    bytes text;
    digest text;
    -- From -1 to 1, by the value and the tenant's key.
    shift text;
    least_of text;
    most_of text;
    part record;
    number numeric;
    -- Beyond it a number may become too large for its type, and is NULL.
    large text;
BEGIN
    SELECT * INTO base FROM pg_type WHERE oid = type;
    WHILE base.typtype = 'd' LOOP
        modifier := base.typtypmod;
        SELECT * INTO base FROM pg_type WHERE oid = base.typbasetype;
    END LOOP;
    name := format_type(base.oid, NULL);
    is_text := base.typcategory = 'S';
    is_number := base.oid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype,
        'float4'::regtype, 'float8'::regtype);
    is_time := base.oid IN ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype);
    IF base.oid IN ('varchar'::regtype, 'bpchar'::regtype) AND modifier > 4 THEN
        most := modifier - 4;
        name := format_type(base.oid, modifier);
    END IF;

    IF kind = 'null' THEN
        masked := format('NULL::%s', name);
        RETURN;
    ELSIF kind = 'constant' THEN
        IF base.oid = 'jsonb'::regtype THEN
            masked := format('pg_catalog.to_jsonb(%L::text)', argument);
        ELSE
            IF most < length(argument) THEN
                fits := format('a text of at most %s characters', most);
                RETURN;
            END IF;
            BEGIN
                EXECUTE format('SELECT %L::%s', argument, name);
            EXCEPTION WHEN data_exception OR undefined_object THEN
                fits := format('a constant that is a value of the type, or "null"');
                RETURN;
            END;
            masked := format('%L::%s', argument, name);
        END IF;
        masked := format('CASE WHEN (%s) IS NULL THEN NULL ELSE %s END', value, masked);
        RETURN;
    ELSIF base.typcategory = 'A' AND base.typelem <> 0 THEN
        SELECT * INTO part FROM pg_temp.pgtenant_mask_of('u.e', base.typelem, modifier, kind, argument, digest_schema);
        fits := part.fits;
        IF fits IS NULL THEN
            masked := format('CASE WHEN (%s) IS NULL THEN NULL ELSE ARRAY(SELECT %s FROM pg_catalog.unnest(%s)'
                ' WITH ORDINALITY AS u (e, i) ORDER BY u.i) END', value, part.masked, value);
        END IF;
        RETURN;
    END IF;

    bytes := CASE
        WHEN base.oid = 'bytea'::regtype THEN format('(%s)', value)
        WHEN base.oid IN ('float4'::regtype, 'float8'::regtype) THEN format('pg_catalog.float8send((%s)::float8)', value)
        WHEN base.oid = 'date'::regtype THEN format('pg_catalog.date_send(%s)', value)
        WHEN base.oid = 'timestamp'::regtype THEN format('pg_catalog.timestamp_send(%s)', value)
        WHEN base.oid = 'timestamptz'::regtype THEN format('pg_catalog.timestamptz_send(%s)', value)
        ELSE format('pg_catalog.convert_to((%s)::text, %L)', value, pg_catalog.getdatabaseencoding()) END;
    digest := format('pg_catalog.sha256((SELECT k.outer_key FROM %1$I.pgtenant_mask_key k)'
        ' || pg_catalog.sha256((SELECT k.inner_key FROM %1$I.pgtenant_mask_key k) || %2$s || %3$s))', digest_schema,
        CASE kind WHEN 'noise' THEN '''\x01''::bytea' ELSE '''\x00''::bytea' END, bytes);
    shift := format('((''x'' || pg_catalog.left(pg_catalog.encode(%s, ''hex''), 8))::bit(32)::bigint'
        ' / 4294967295.0 * 2 - 1)', digest);
    CASE base.oid
        WHEN 'int2'::regtype THEN least_of := '-32768'; most_of := '32767';
        WHEN 'int4'::regtype THEN least_of := '-2147483648'; most_of := '2147483647';
        WHEN 'int8'::regtype THEN least_of := '-9223372036854775808'; most_of := '9223372036854775807';
        WHEN 'float4'::regtype THEN large := '1e30';
        ELSE large := '1e280';
    END CASE;

    CASE kind
    WHEN 'hash' THEN
        IF is_text AND coalesce(most, 32) >= 16 THEN
            masked := format('pg_catalog.left(pg_catalog.encode(%s, ''hex''), %s)::%s', digest, least(most, 32), name);
        ELSIF base.oid IN ('int8'::regtype, 'numeric'::regtype) THEN
            masked := format('((''x'' || pg_catalog.left(pg_catalog.encode(%s, ''hex''), 16))::bit(64)::bigint'
                ' & 9223372036854775807)::%s', digest, name);
        ELSIF base.oid = 'int4'::regtype THEN
            -- So few numbers would collide: these are permuted, by a Feistel network.
            masked := format('SELECT ((%1$s)::bigint + 2147483648) >> 16 AS l, ((%1$s)::bigint + 2147483648) & 65535 AS r', value);
            FOR round IN 1..4 LOOP
                masked := format('SELECT f.r AS l, f.l # (''x'' || pg_catalog.left(pg_catalog.encode(pg_catalog.sha256('
                    '(SELECT k.outer_key FROM %1$I.pgtenant_mask_key k) || pg_catalog.sha256('
                    '(SELECT k.inner_key FROM %1$I.pgtenant_mask_key k) || ''\x02%2$s''::bytea || pg_catalog.int8send(f.r)'
                    ')), ''hex''), 4))::bit(16)::bigint AS r FROM (%3$s OFFSET 0) f',
                    digest_schema, lpad(round::text, 2, '0'), masked);
            END LOOP;
            masked := format('(SELECT ((f.l << 16 | f.r) - 2147483648)::integer FROM (%s OFFSET 0) f)', masked);
        ELSIF base.oid = 'uuid'::regtype THEN
            masked := format('pg_catalog.left(pg_catalog.encode(%s, ''hex''), 32)::uuid', digest);
        ELSIF base.oid = 'bytea'::regtype THEN
            masked := digest;
        ELSIF base.oid = 'jsonb'::regtype THEN
            masked := format('pg_catalog.to_jsonb(pg_catalog.left(pg_catalog.encode(%s, ''hex''), 32))', digest);
        END IF;
    WHEN 'partial' THEN
        IF is_text THEN
            masked := format('(CASE WHEN pg_catalog.length((%1$s)::text) > %2$s'
                ' THEN pg_catalog.left((%1$s)::text, %2$s) || ''***'' ELSE ''***'' END)::%3$s', value, argument, name);
        END IF;
    WHEN 'email' THEN
        IF is_text THEN
            masked := format('(CASE WHEN pg_catalog.strpos((%1$s)::text, ''@'') > 1'
                ' THEN pg_catalog.left((%1$s)::text, 1) || ''***@'''
                ' || pg_catalog.substring((%1$s)::text, ''@([^@]*)$'') ELSE ''***'' END)::%2$s', value, name);
        END IF;
    WHEN 'year' THEN
        masked := CASE base.oid
            WHEN 'date'::regtype THEN format('pg_catalog.date_trunc(''year'', (%s)::timestamp)::date', value)
            WHEN 'timestamp'::regtype THEN format('pg_catalog.date_trunc(''year'', %s)', value)
            -- Not in the session's time zone.
            WHEN 'timestamptz'::regtype THEN format('pg_catalog.date_trunc(''year'', %s, ''UTC'')', value)
            END;
    WHEN 'range' THEN
        number := argument;
        IF base.oid IN ('float4'::regtype, 'float8'::regtype) THEN
            masked := format('CASE WHEN pg_catalog.abs(%1$s) <= %4$s'
                ' THEN (pg_catalog.floor((%1$s)::float8 / %2$s::float8) * %2$s::float8)::%3$s'
                ' WHEN (%1$s)::text IN (''NaN'', ''Infinity'', ''-Infinity'') THEN %1$s END',
                value, argument, name, large);
        ELSIF base.oid = 'numeric'::regtype THEN
            masked := format('(%1$s) - (((%1$s) %% %2$s::numeric) + %2$s::numeric) %% %2$s::numeric', value, argument);
        ELSIF is_number AND number = trunc(number) THEN
            -- Division would round.
            masked := format('GREATEST((%1$s)::numeric - ((((%1$s)::numeric %% %2$s) + %2$s) %% %2$s), %3$s)::%4$s',
                value, argument, least_of, name);
        ELSIF is_number THEN
            fits := 'a range of a whole number';
            RETURN;
        END IF;
    WHEN 'noise' THEN
        IF base.oid IN ('float4'::regtype, 'float8'::regtype) THEN
            masked := format('CASE WHEN pg_catalog.abs(%1$s) <= %5$s'
                ' THEN ((%1$s)::float8 * (1 + %2$s * %3$s / 100.0)::float8)::%4$s'
                ' WHEN (%1$s)::text IN (''NaN'', ''Infinity'', ''-Infinity'') THEN %1$s END',
                value, shift, argument, name, large);
        ELSIF base.oid = 'numeric'::regtype THEN
            masked := format('pg_catalog.round((%1$s) * (1 + %2$s * %3$s / 100.0), GREATEST(pg_catalog.scale(%1$s), 2))',
                value, shift, argument);
        ELSIF is_number THEN
            -- Of small numbers at least one.
            masked := format('LEAST(GREATEST(pg_catalog.round((%1$s)::numeric + %2$s'
                ' * GREATEST(pg_catalog.abs((%1$s)::numeric) * %3$s / 100, 1.5)), %4$s), %5$s)::%6$s',
                value, shift, argument, least_of, most_of, name);
        ELSIF base.oid = 'date'::regtype THEN
            masked := format('CASE WHEN pg_catalog.isfinite(%1$s) THEN %1$s + pg_catalog.round(%2$s * %3$s)::integer'
                ' ELSE %1$s END', value, shift, argument);
        ELSIF is_time THEN
            masked := format('CASE WHEN pg_catalog.isfinite(%1$s)'
                ' THEN %1$s + (%2$s * %3$s * 86400)::float8 * ''1 second''::interval ELSE %1$s END', value, shift, argument);
        END IF;
    END CASE;
    IF masked IS NOT NULL THEN
        masked := format('CASE WHEN (%s) IS NULL THEN NULL ELSE %s END', value, masked);
    ELSE
        fits := CASE
            WHEN is_text THEN format('"null", "partial(n)", "email", "constant(…)"%s',
                CASE WHEN most < 16 THEN '; "hash" needs 16 characters' ELSE ', "hash"' END)
            WHEN base.oid IN ('int4'::regtype, 'int8'::regtype, 'numeric'::regtype) THEN '"null", "hash", "range(n)", "noise", "constant(…)"'
            WHEN is_number THEN '"null", "range(n)", "noise", "constant(…)"'
            WHEN is_time THEN '"null", "year", "noise", "constant(…)"'
            WHEN base.oid IN ('uuid'::regtype, 'bytea'::regtype) THEN '"null", "hash", "constant(…)"'
            WHEN base.oid = 'jsonb'::regtype THEN
                '"null", "hash", "constant(…)"; what is within: column = "column->''key''"'
            ELSE '"null", "constant(…)", or an expression' END;
    END IF;
END
$pgtenant$;

-- The same for what is at a path within a value of type jsonb. Missing keys stay
-- missing, and null stays null. What is of another kind than the mask is for
-- becomes null.
CREATE OR REPLACE FUNCTION pg_temp.pgtenant_mask_at(value text, path text[], kind text, argument text, digest_schema text,
    OUT masked text, OUT fits text)
LANGUAGE plpgsql AS $pgtenant$
#variable_conflict use_variable
DECLARE
    part record;
    scalar text;
BEGIN
    CASE
    WHEN kind = 'null' THEN
        scalar := '''null''::jsonb';
    WHEN kind = 'constant' THEN
        scalar := format('pg_catalog.to_jsonb(%L::text)', argument);
    WHEN kind IN ('range', 'noise') THEN
        SELECT * INTO part FROM pg_temp.pgtenant_mask_of('(s.l #>> ''{}'')::numeric', 'numeric'::regtype, -1, kind, argument, digest_schema);
        scalar := format('CASE WHEN pg_catalog.jsonb_typeof(s.l) = ''number'' THEN pg_catalog.to_jsonb(%s) ELSE ''null''::jsonb END',
            part.masked);
    WHEN kind = 'year' THEN
        scalar := 'CASE WHEN (s.l #>> ''{}'') ~ ''^\d{4}-\d\d'' THEN pg_catalog.to_jsonb(pg_catalog.left(s.l #>> ''{}'', 4))'
            ' ELSE ''null''::jsonb END';
    WHEN kind = 'hash' THEN
        SELECT * INTO part FROM pg_temp.pgtenant_mask_of('s.l #>> ''{}''', 'text'::regtype, -1, kind, argument, digest_schema);
        scalar := format('pg_catalog.to_jsonb(%s)', part.masked);
    ELSE
        SELECT * INTO part FROM pg_temp.pgtenant_mask_of('s.l #>> ''{}''', 'text'::regtype, -1, kind, argument, digest_schema);
        scalar := format('CASE WHEN pg_catalog.jsonb_typeof(s.l) = ''string'' THEN pg_catalog.to_jsonb(%s) ELSE ''null''::jsonb END',
            part.masked);
    END CASE;
    masked := format('(SELECT CASE WHEN s.l IS NULL OR s.l = ''null''::jsonb THEN s.c'
        ' ELSE pg_catalog.jsonb_set(s.c, %1$L::text[], %2$s, false) END'
        ' FROM (SELECT d.c, d.c #> %1$L::text[] AS l FROM (SELECT %3$s AS c OFFSET 0) d OFFSET 0) s)',
        path, scalar, value);
END
$pgtenant$;
