SELECT 'role ' || r.rolname, 'it has ' || array_to_string(a.names, ', '),
       format('ALTER ROLE %s %s;', r.ident,
              (SELECT string_agg('NO' || name, ' ') FROM unnest(a.names) AS name))
FROM roles r, LATERAL (SELECT array_remove(ARRAY[
        CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
        CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
        CASE WHEN r.rolreplication THEN 'REPLICATION' END], NULL) AS names) a
WHERE cardinality(a.names) > 0
