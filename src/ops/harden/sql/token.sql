-- The tenant that the session's token speaks for; NULL where the token is
-- missing, forged, expired, or made for another session. The token lies in a
-- setting that anybody can change: nothing but its signature counts.
CREATE OR REPLACE FUNCTION pgtenant.tenant_of_token(setting text) RETURNS text
    LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER PARALLEL RESTRICTED
    SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
    token constant text := current_setting('pgtenant.token', true);
    -- version, kind, key, serial, pid, expiry, database, setting, tenant, MAC
    field constant text[] := string_to_array(token, '.');
    key record;
BEGIN
    IF cardinality(field) IS DISTINCT FROM 10 THEN
        RETURN NULL;
    END IF;
    SELECT inner_pad, outer_pad INTO key FROM pgtenant.keys k
        WHERE k.setting = tenant_of_token.setting AND k.id = field[3];
    -- HMAC-SHA256 (RFC 2104) of all but the MAC. The comparison is of hashes: the
    -- time that it takes tells nothing about the right MAC.
    IF NOT FOUND OR sha256(convert_to(field[10], 'UTF8'))
        <> sha256(convert_to(encode(sha256(
            key.outer_pad || sha256(key.inner_pad || convert_to(left(token, -65), 'UTF8'))
        ), 'hex'), 'UTF8')) THEN
        RETURN NULL;
    END IF;
    -- From here on it is known who wrote the fields. A token that was valid when
    -- the transaction began stays so to its end.
    IF field[1] <> 'v1' OR field[2] <> 'token' OR field[5] <> pg_backend_pid()::text
        OR field[6]::bigint < extract(epoch FROM transaction_timestamp())
        OR field[7] <> encode(convert_to(current_database(), 'UTF8'), 'hex')
        OR field[8] <> encode(convert_to(setting, 'UTF8'), 'hex') THEN
        RETURN NULL;
    END IF;
    RETURN convert_from(decode(field[9], 'hex'), 'UTF8');
END
$function$;

-- Puts a token into the session and answers with the tenant that it speaks for:
-- how pgtenant attaches a tenant and learns at once whether the database agrees.
CREATE OR REPLACE FUNCTION pgtenant.bind_token(token text, setting text) RETURNS text
    LANGUAGE plpgsql VOLATILE STRICT SECURITY INVOKER
AS $function$
DECLARE
    tenant text;
BEGIN
    PERFORM pg_catalog.set_config('pgtenant.token', token, false);
    tenant := pgtenant.tenant_of_token(setting);
    IF tenant IS NULL THEN
        RAISE EXCEPTION 'pgtenant: the token is not valid for this session'
            USING ERRCODE = 'invalid_authorization_specification',
            HINT = 'Compare the keys, and the clocks, of pgtenant and of the database.';
    END IF;
    RETURN tenant;
END
$function$;

REVOKE ALL ON FUNCTION pgtenant.tenant_of_token(text), pgtenant.bind_token(text, text) FROM PUBLIC;
GRANT USAGE ON SCHEMA pgtenant TO @ident_role@;
GRANT EXECUTE ON FUNCTION pgtenant.bind_token(text, text) TO @ident_role@;
-- Policies call it in the name of whoever queries.
GRANT EXECUTE ON FUNCTION pgtenant.tenant_of_token(text) TO PUBLIC;
