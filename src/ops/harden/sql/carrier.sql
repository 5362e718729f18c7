-- Verifies a token and binds the session to its tenant. Without a token that was
-- made for this very backend, a moment ago, it does nothing but raise an error.
CREATE OR REPLACE FUNCTION pgtenant.bind(token text) RETURNS text
    LANGUAGE plpgsql VOLATILE STRICT SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    -- version, kind, key, serial, pid, expiry, database, setting, tenant, MAC
    field constant text[] := string_to_array(token, '.');
    bound constant text[] := string_to_array(current_setting('backtrace_functions'), '_');
    key record;
    named text;
BEGIN
    IF cardinality(field) = 10 AND field[8] ~ '^([0-9a-f]{2})+$' THEN
        named := convert_from(decode(field[8], 'hex'), 'UTF8');
    END IF;
    SELECT inner_pad, outer_pad INTO key FROM pgtenant.keys k
        WHERE k.setting = named AND k.id = field[3];
    IF NOT FOUND THEN
        RAISE EXCEPTION 'pgtenant: the token is not signed with a key of this database'
            USING ERRCODE = 'invalid_authorization_specification';
    END IF;
    -- HMAC-SHA256 (RFC 2104) of all but the MAC. The comparison is of hashes: the
    -- time that it takes tells nothing about the right MAC.
    IF sha256(convert_to(field[10], 'UTF8')) <> sha256(convert_to(encode(sha256(
        key.outer_pad || sha256(key.inner_pad || convert_to(left(token, -65), 'UTF8'))
    ), 'hex'), 'UTF8')) THEN
        RAISE EXCEPTION 'pgtenant: the token''s signature is not valid'
            USING ERRCODE = 'invalid_authorization_specification';
    END IF;
    -- From here on it is known who wrote the fields.
    IF field[1] <> 'v1' OR field[2] <> 'carrier' OR field[5] <> pg_backend_pid()::text
        OR field[7] <> encode(convert_to(current_database(), 'UTF8'), 'hex') THEN
        RAISE EXCEPTION 'pgtenant: the token is for another session'
            USING ERRCODE = 'invalid_authorization_specification';
    END IF;
    IF field[6]::bigint < extract(epoch FROM clock_timestamp()) THEN
        RAISE EXCEPTION 'pgtenant: the token has expired'
            USING ERRCODE = 'invalid_authorization_specification',
            HINT = 'Compare the clocks of pgtenant''s machine and the database server''s.';
    END IF;
    -- Each token binds once: no earlier one after it.
    IF bound[1] = 'pgtenant' AND bound[2]::bigint >= field[4]::bigint THEN
        RAISE EXCEPTION 'pgtenant: the token has been used'
            USING ERRCODE = 'invalid_authorization_specification';
    END IF;
    PERFORM set_config('backtrace_functions',
        concat_ws('_', 'pgtenant', field[4], field[8], field[9]), false);
    RETURN convert_from(decode(field[9], 'hex'), 'UTF8');
END
$function$;

-- The tenant that the session is bound to; NULL without one. Not a definer's
-- function and without settings of its own, so that the planner can inline it;
-- its names are resolved here and now, not where it is called.
CREATE OR REPLACE FUNCTION pgtenant.tenant(setting text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
RETURN CASE
    WHEN split_part(current_setting('backtrace_functions'), '_', 1) = 'pgtenant'
        AND split_part(current_setting('backtrace_functions'), '_', 3)
            = encode(convert_to(setting, 'UTF8'), 'hex')
    THEN convert_from(
        decode(split_part(current_setting('backtrace_functions'), '_', 4), 'hex'), 'UTF8')
END;

REVOKE ALL ON FUNCTION pgtenant.bind(text), pgtenant.tenant(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA pgtenant TO @ident_role@;
GRANT EXECUTE ON FUNCTION pgtenant.bind(text) TO @ident_role@;
-- Policies call it in the name of whoever queries.
GRANT EXECUTE ON FUNCTION pgtenant.tenant(text) TO PUBLIC;
