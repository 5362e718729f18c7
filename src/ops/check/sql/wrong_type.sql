-- A cast that fails is an error in every statement; a column that is compared as
-- text has no row of such a tenant.
, wanted AS (
    SELECT t.name, t.attname, coalesce(nullif(y.typbasetype, 0), y.oid) AS type
    FROM compared c JOIN tenant_tables t ON t.oid = c.attrelid AND t.attnum = c.attnum
    JOIN pg_type y ON y.oid = c.atttypid
    WHERE c.bare
    UNION
    SELECT t.name, t.attname, CASE m.found[1] WHEN 'uuid' THEN 'uuid'::regtype WHEN 'bigint' THEN 'int8'::regtype
                                              WHEN 'smallint' THEN 'int2'::regtype ELSE 'int4'::regtype END
    FROM compared c JOIN tenant_tables t ON t.oid = c.attrelid AND t.attnum = c.attnum,
         regexp_matches(c.reading, '::(uuid|bigint|integer|smallint)\)*$') AS m (found)
    WHERE c.bare
), wrong AS (
    SELECT DISTINCT ON (tenant.id) tenant.id, w.name, w.attname, w.type
    FROM given, unnest(given.tenants) AS tenant (id), wanted w
    WHERE CASE
        WHEN w.type = 'uuid'::regtype
            THEN tenant.id !~* '^\{?[0-9a-f]{4}(-?[0-9a-f]{4}){7}\}?$'
        WHEN w.type IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
            THEN CASE WHEN tenant.id !~ '^\s*[+-]?[0-9]{1,19}\s*$' THEN true
                      ELSE abs(trim(tenant.id)::numeric) > CASE w.type WHEN 'int2'::regtype THEN 32767
                               WHEN 'int4'::regtype THEN 2147483647 ELSE 9223372036854775807 END END
        WHEN w.type = 'numeric'::regtype THEN tenant.id !~ '^\s*[+-]?[0-9]+(\.[0-9]*)?\s*$'
        ELSE false END
    ORDER BY tenant.id, w.name
)
SELECT 'tenant ' || id, format('its id is not of the type %s, which column %s of %s has', type::regtype, attname, name),
       NULL::text
FROM wrong
