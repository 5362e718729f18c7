-- The owner of the masked views, which nobody can log in as: it may do what the
-- application's role may, and the same policies bind it. And the role of masked
-- logins, which may read the views and nothing else.
DO $pgtenant$
DECLARE
    one pg_roles;
    super constant boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
BEGIN
    SELECT * INTO one FROM pg_roles WHERE rolname = @app@;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'role % does not exist', @app@ USING ERRCODE = 'undefined_object',
            HINT = 'It is the role of the unmasked logins: what it may read is what is masked.';
    END IF;
    IF one.rolsuper OR one.rolbypassrls THEN
        RAISE EXCEPTION 'row-level security does not bind role %: neither would it bind masked views', @app@
            USING HINT = format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS', @app@::text);
    END IF;
    SELECT * INTO one FROM pg_roles WHERE rolname = @owner@;
    IF NOT FOUND THEN
        CREATE ROLE @ident_owner@ NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE INHERIT NOREPLICATION NOBYPASSRLS;
        INSERT INTO pgtenant_report VALUES (format('created role %I, which owns the masked views', @owner@::text));
    ELSIF one.rolcanlogin OR one.rolsuper OR one.rolcreaterole OR one.rolbypassrls OR NOT one.rolinherit THEN
        RAISE EXCEPTION 'role % has rights that it must not have', @owner@
            USING HINT = format('ALTER ROLE %I NOLOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS INHERIT', @owner@::text);
    END IF;
    SELECT * INTO one FROM pg_roles WHERE rolname = @role@;
    IF NOT FOUND THEN
        CREATE ROLE @ident_role@ LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS;
        INSERT INTO pgtenant_report VALUES (format('created role %I for masked logins', @role@::text));
    ELSIF one.rolsuper OR one.rolcreaterole OR one.rolbypassrls OR one.rolreplication THEN
        RAISE EXCEPTION 'role % has rights that it must not have', @role@
            USING HINT = format('ALTER ROLE %I NOSUPERUSER NOCREATEROLE NOBYPASSRLS NOREPLICATION', @role@::text);
    END IF;
    ALTER ROLE @ident_role@ LOGIN PASSWORD @verifier@;
    -- Not as a member of other roles: their policies would show it rows, too.
    IF EXISTS (SELECT FROM pg_auth_members WHERE member = quote_ident(@owner@)::regrole AND roleid <> quote_ident(@app@)::regrole) THEN
        RAISE EXCEPTION 'role % is a member of other roles than %', @owner@, @app@
            USING HINT = 'Their rights would show through the masked views: REVOKE them.';
    END IF;
    IF current_setting('server_version_num')::integer >= 160000 THEN
        EXECUTE format('GRANT %I TO %I WITH INHERIT TRUE, SET FALSE, ADMIN FALSE', @app@::text, @owner@::text);
    ELSE
        GRANT @ident_app@ TO @ident_owner@;
    END IF;
    IF NOT super THEN
        -- To make objects in its name; taken back at the end.
        GRANT @ident_owner@ TO CURRENT_USER;
    END IF;
    GRANT CONNECT ON DATABASE @ident_database@ TO @ident_role@;
END
$pgtenant$;

-- The schema.
DO $pgtenant$
DECLARE
    holder oid;
BEGIN
    SELECT nspowner INTO holder FROM pg_namespace WHERE nspname = @schema@;
    IF NOT FOUND THEN
        CREATE SCHEMA @ident_schema@ AUTHORIZATION @ident_owner@;
        INSERT INTO pgtenant_report VALUES (format('created schema %I', @schema@::text));
    ELSIF holder <> quote_ident(@owner@)::regrole THEN
        RAISE EXCEPTION 'schema % belongs to role %, not to %', @schema@, holder::regrole, @owner@
            USING ERRCODE = 'duplicate_schema', HINT = 'Choose another masked_schema.';
    END IF;
END
$pgtenant$;
