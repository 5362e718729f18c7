-- Functions that policies call, themselves or through others, and of which table.
of_policies AS (
    SELECT d.refobjid AS oid, p.polrelid
    FROM pg_policy p JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
         AND d.refclassid = 'pg_proc'::regclass
    UNION
    SELECT r.oid, f.polrelid
    FROM of_policies f JOIN routines c ON c.oid = f.oid
    JOIN routines r ON r.oid <> c.oid AND c.body ~ r.call
),
-- Functions that run with the rights of an owner whom policies do not bind, and
-- what SECURITY INVOKER would do to them.
definers AS (
    SELECT f.*, n.names, o.polrelid IS NOT NULL AS is_of_policy, o.polrelid,
           EXISTS (SELECT FROM readers WHERE readers.oid = f.oid) AS asks_for_tenant,
           CASE
               WHEN o.polrelid IS NOT NULL THEN format(
                   'a policy of %s calls it, which SECURITY INVOKER would make ask that policy again '
                   'without end; let the function itself compare with the setting', o.polrelid::regclass)
               WHEN lacking.names IS NOT NULL THEN format(
                   'SECURITY INVOKER would make it fail, since its callers have no such right on %s; let '
                   'the function itself compare with the setting, or let a role own it that the '
                   'policies bind', lacking.names)
           END AS hindrance
    FROM routines f
    LEFT JOIN LATERAL (SELECT min(polrelid) AS polrelid FROM of_policies WHERE of_policies.oid = f.oid) o ON true
    -- Protected tables that its source names.
    LEFT JOIN LATERAL (
        SELECT string_agg(t.name, ', ' ORDER BY t.name) AS names
        FROM bypassers b JOIN protected t ON t.oid = b.relid
        WHERE b.owner = f.proowner
          AND f.body ~ ('\m' || regexp_replace(lower(t.relname), '\W', '.', 'g') || '\M')) n ON true
    -- What its source does with relations that a caller may not.
    LEFT JOIN LATERAL (
        SELECT string_agg(DISTINCT c.name, ', ') AS names
        FROM relations c, roles r,
             LATERAL (SELECT '\s+(only\s+)?("?[\w$]+"?\.)?"?' || regexp_replace(lower(c.relname), '\W', '.', 'g')
                             || '\M' AS word) w
        WHERE has_function_privilege(r.oid, f.oid, 'EXECUTE')
          AND ((f.body ~ ('\minto' || w.word) AND NOT has_any_column_privilege(r.oid, c.oid, 'INSERT'))
            OR (f.body ~ ('\mupdate' || w.word) AND NOT has_any_column_privilege(r.oid, c.oid, 'UPDATE'))
            OR (f.body ~ ('\mdelete\s+from' || w.word) AND NOT has_table_privilege(r.oid, c.oid, 'DELETE'))
            OR (f.body ~ ('(\mfrom|\mjoin|,)' || w.word)
                AND NOT (has_any_column_privilege(r.oid, c.oid, 'SELECT')
                         AND has_schema_privilege(r.oid, c.relnamespace, 'USAGE'))))) lacking ON true
    WHERE f.prosecdef AND NOT f.of_extension AND f.prorettype <> 'trigger'::regtype
      AND EXISTS (SELECT FROM bypassers b WHERE b.owner = f.proowner)
      AND EXISTS (SELECT FROM roles r WHERE has_function_privilege(r.oid, f.oid, 'EXECUTE')
                    AND has_schema_privilege(r.oid, f.pronamespace, 'USAGE'))
),
-- PL/pgSQL without comments, and without each EXECUTE of a text that is made of
-- constants, quoted names and quoted values alone, and of statements that run no
-- text of their own. Where no EXECUTE is left, the caller does not choose what runs.
executes AS (
    SELECT r.oid, plain.body,
           regexp_replace(regexp_replace(plain.body, '\mexecute\s+' || safe.text || '\s*(;|\minto\M|\musing\M|\mloop\M)',
                          ';', 'g'),
                          -- The text may be in a variable that nothing else is put into.
                          '\m(' || coalesce(v.names, '#') || ')\M(\s+(text|varchar|character varying))?\s*:?=\s*'
                          || safe.text || '\s*;', ';', 'g') AS rest,
           v.names AS variables
    FROM routines r,
    LATERAL (SELECT regexp_replace(regexp_replace(r.body, '/\*.*?\*/', ' ', 'g'), '--[^\n]*', ' ', 'g') AS body) plain,
    LATERAL (SELECT '\s*(select|insert\s+into|update|delete\s+from|with|truncate|analyze|lock\s+table'
                    '|refresh\s+materialized\s+view|create\s+(unlogged\s+)?table|create\s+(unique\s+)?index'
                    '|alter\s+table|drop\s+(table|index))\M' AS verb,
                    '(\s*\|\|\s*(''([^'']|'''')*''|quote_(ident|literal|nullable)\s*\([^()]*(\([^()]*\)[^()]*)*\)))*'
                    AS more) part,
    LATERAL (SELECT '(''' || part.verb || '([^'']|'''')*'''
                    || '|format\s*\(\s*''' || part.verb || '([^''%]|''''|%%|%(\d+\$)?[il])*''\s*'
                    || '(,[^()]*(\([^()]*(\([^()]*\)[^()]*)*\)[^()]*)*)?\))' || part.more AS text) safe,
    LATERAL (SELECT string_agg(DISTINCT m.found[1], '|') AS names
             FROM regexp_matches(plain.body, '\mexecute\s+([a-z_]\w*)\s*(?:;|\minto\M|\musing\M|\mloop\M)', 'g') AS m (found)
    ) v
    WHERE r.lanname = 'plpgsql'
),
quoted AS (
    SELECT e.oid FROM executes e
    WHERE NOT EXISTS (SELECT FROM regexp_matches(e.rest, '\mexecute\s+(?!(' || coalesce(e.variables, '#') || ')\M)', 'g'))
      -- Nothing else is put into a variable whose text is run, nor is it a parameter.
      AND (e.variables IS NULL
           OR (e.rest !~ ('\m(' || e.variables || ')\M\s*:?=')
               AND e.rest !~ ('\mfor(each)?\s+(' || e.variables || ')\M')
               AND e.rest !~ ('\minto\s+(strict\s+)?([\w, ]*,\s*)?(' || e.variables || ')\M')
               AND NOT EXISTS (SELECT FROM pg_proc p, unnest(p.proargnames) AS a (name)
                               WHERE p.oid = e.oid AND lower(a.name) ~ ('^(' || e.variables || ')$'))))
      -- A quoted name may still be that of a function or of a column of pg_settings.
      AND regexp_replace(e.body, '\minto\s+(%(\d+\$)?i\.)?%(\d+\$)?i\s*\(', '', 'g') !~ '%(\d+\$)?i\s*\('
      AND e.body !~ 'update\s+(%(\d+\$)?i\.)?%(\d+\$)?i\s+set\s+%'
      AND e.body !~ 'pg_settings|quote_ident\s*\([^()]*\)\s*\|\|\s*''\s*\(|\mdo\s+(%|\$|'')|\mcreate\s+(or\s+replace\s+)?(function|procedure)'
),
-- Functions that can change settings, or run text that can. By their source.
text_runners AS (
    SELECT r.*, h.how, h.how = 'it runs text, of which names and values are quoted' AS is_quoted
    FROM given, routines r,
    LATERAL (SELECT '(role|session|session_authorization|search_path|schema|row_security'
                    '|session_replication_role|backtrace_functions|'
                    || regexp_replace(given.setting, '\W', '.', 'g') || ')' AS names) guarded,
    -- What is set of other names, which are constants, is of no matter.
    LATERAL (SELECT regexp_replace(regexp_replace(r.body,
                        '\mset_config\M\s*\(\s*''(?!' || guarded.names || '''\s*)[\w.]+''(::text)?\s*,', '', 'g'),
                        '\mset\s+(session\s+|local\s+)?(?!' || guarded.names || '\M|session\M|local\M)[a-z_][\w.]*\s*(=|to\M)', '', 'g') AS body) other,
    LATERAL (SELECT CASE
        WHEN r.lanname = 'internal' AND r.body = 'set_config_by_name'
            THEN 'it is set_config under another name'
        WHEN EXISTS (SELECT FROM unnest(r.proconfig) AS c WHERE given.setting <> ''
                       AND split_part(lower(c), '=', 1) IN (given.setting, 'role'))
            THEN 'it runs with a setting of its own that says who the tenant is'
        WHEN r.of_extension OR r.lanname IN ('internal', 'c') THEN NULL
        WHEN NOT r.lanpltrusted THEN 'its language is not trusted: it can do anything'
        WHEN other.body ~ '\mset_config\M\s*\(' THEN 'it calls set_config'
        WHEN other.body ~ '(^|;|''|\mbegin\M|\mthen\M|\melse\M|\mloop\M)\s*(set|reset)\s+(session\s+|local\s+)?[a-z_"%]'
            THEN 'it has a SET command'
        WHEN r.body ~ '\m(query_to_xml\w*|cursor_to_xml\w*|ts_stat|dblink\w*|crosstab\w*|connectby)\M\s*\('
            THEN 'it runs text through a function that does'
        WHEN r.lanname = 'plpgsql' AND r.body ~ '\mexecute\M'
            THEN CASE WHEN r.oid IN (SELECT oid FROM quoted)
                      THEN 'it runs text, of which names and values are quoted'
                      ELSE 'it runs text with EXECUTE' END
        WHEN r.lanname IN ('plperl', 'pltcl', 'plv8') AND r.body ~ '(spi_|plv8\.execute)'
            THEN 'it runs SQL text'
        END AS how) h
    WHERE h.how IS NOT NULL
)
