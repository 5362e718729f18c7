-- What would go with the schema $1, though it is not in it: views of other schemas over
-- its tables, foreign keys to them, casts, extensions, and the like. LATERAL with
-- OFFSET 0 makes PostgreSQL look into the large catalogs by their indexes.
WITH schema AS (
    SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = $1::text
),
relation AS (
    SELECT c.oid FROM pg_catalog.pg_class c JOIN schema ON c.relnamespace = schema.oid
),
inside (class, id) AS (
    SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, oid FROM schema
  UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, oid FROM relation
  UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid
    FROM pg_catalog.pg_type t JOIN schema ON t.typnamespace = schema.oid
  UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid
    FROM pg_catalog.pg_proc p JOIN schema ON p.pronamespace = schema.oid
  UNION ALL SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid
    FROM pg_catalog.pg_constraint k JOIN schema ON k.connamespace = schema.oid
  UNION ALL SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, o.oid
    FROM pg_catalog.pg_operator o JOIN schema ON o.oprnamespace = schema.oid
  UNION ALL SELECT 'pg_catalog.pg_opclass'::pg_catalog.regclass, o.oid
    FROM pg_catalog.pg_opclass o JOIN schema ON o.opcnamespace = schema.oid
  UNION ALL SELECT 'pg_catalog.pg_opfamily'::pg_catalog.regclass, o.oid
    FROM pg_catalog.pg_opfamily o JOIN schema ON o.opfnamespace = schema.oid
  UNION ALL SELECT 'pg_catalog.pg_collation'::pg_catalog.regclass, l.oid
    FROM pg_catalog.pg_collation l JOIN schema ON l.collnamespace = schema.oid
  UNION ALL SELECT 'pg_catalog.pg_conversion'::pg_catalog.regclass, v.oid
    FROM pg_catalog.pg_conversion v JOIN schema ON v.connamespace = schema.oid
  UNION ALL SELECT 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, s.oid
    FROM pg_catalog.pg_statistic_ext s JOIN schema ON s.stxnamespace = schema.oid
  UNION ALL SELECT 'pg_catalog.pg_ts_config'::pg_catalog.regclass, t.oid
    FROM pg_catalog.pg_ts_config t JOIN schema ON t.cfgnamespace = schema.oid
  UNION ALL SELECT 'pg_catalog.pg_ts_dict'::pg_catalog.regclass, t.oid
    FROM pg_catalog.pg_ts_dict t JOIN schema ON t.dictnamespace = schema.oid
  UNION ALL SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, r.oid
    FROM relation c JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid
  UNION ALL SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, d.oid
    FROM relation c JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid
  UNION ALL SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass, p.oid
    FROM relation c JOIN pg_catalog.pg_policy p ON p.polrelid = c.oid
  UNION ALL SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, t.oid
    FROM relation c JOIN pg_catalog.pg_trigger t ON t.tgrelid = c.oid
  -- Those of foreign keys, at the tables of other schemas that they refer to.
  UNION ALL SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, t.oid
    FROM pg_catalog.pg_constraint k JOIN schema ON k.connamespace = schema.oid
    JOIN pg_catalog.pg_trigger t ON t.tgconstraint = k.oid
)
SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) AS dependent
FROM inside i CROSS JOIN LATERAL (
    SELECT d.* FROM pg_catalog.pg_depend d
    WHERE d.refclassid = i.class AND d.refobjid = i.id OFFSET 0) d
LEFT JOIN inside own ON own.class = d.classid AND own.id = d.objid
LEFT JOIN pg_catalog.pg_class c
    ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid
WHERE own.id IS NULL AND c.relkind IS DISTINCT FROM 't'
  AND d.classid NOT IN ('pg_catalog.pg_default_acl'::pg_catalog.regclass,
                        'pg_catalog.pg_publication_rel'::pg_catalog.regclass,
                        'pg_catalog.pg_publication_namespace'::pg_catalog.regclass)
ORDER BY dependent
