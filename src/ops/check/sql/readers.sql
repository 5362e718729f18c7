SELECT r.proname, bool_or(r.proretset OR y.typcategory = 'A')
FROM readers JOIN routines r ON r.oid = readers.oid JOIN pg_type y ON y.oid = r.prorettype
GROUP BY r.proname
