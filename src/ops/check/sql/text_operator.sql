SELECT found.object, found.detail, found.fix
FROM unsealed, (
    SELECT 'operator ' || o.oid::regoperator, o.oprcode::regprocedure || ' is behind it',
           format('DROP OPERATOR %s;', o.oid::regoperator), o.oprnamespace, o.oprcode::oid
    FROM pg_operator o
    UNION ALL
    SELECT 'aggregate ' || a.aggfnoid::regprocedure, f.oid::regprocedure || ' is behind it',
           format('DROP AGGREGATE %s;', a.aggfnoid::regprocedure), p.pronamespace, f.oid
    FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid
    JOIN pg_proc f ON f.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggmtransfn,
                                a.aggminvtransfn, a.aggmfinalfn)
    UNION ALL
    SELECT format('cast (%s AS %s)', c.castsource::regtype, c.casttarget::regtype),
           f.oid::regprocedure || ' is behind it',
           format('DROP CAST (%s AS %s);', c.castsource::regtype, c.casttarget::regtype),
           f.pronamespace, f.oid
    FROM pg_cast c JOIN pg_proc f ON f.oid = c.castfunc
    WHERE c.oid >= 16384
) AS found (object, detail, fix, namespace, function)
WHERE unsealed.holds
  AND (found.function IN (SELECT oid FROM text_runners)
    OR found.function = 'pg_catalog.set_config(text,text,boolean)'::regprocedure
    OR found.function::regprocedure::text ~ '^(query_to_xml|cursor_to_xml|ts_stat|ts_rewrite\(tsquery,text)')
  AND EXISTS (SELECT FROM roles r WHERE has_schema_privilege(r.oid, found.namespace, 'USAGE')
                AND has_function_privilege(r.oid, found.function, 'EXECUTE'))
