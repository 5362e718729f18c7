-- The views, their schema and the key.
DO $pgtenant$
DECLARE
    super constant boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
    holder name;
    name text;
BEGIN
    SELECT pg_get_userbyid(nspowner) INTO holder FROM pg_namespace WHERE nspname = @schema@;
    IF FOUND AND holder <> @owner@ THEN
        RAISE EXCEPTION 'schema % belongs to role %, not to %', @schema@, holder, @owner@;
    END IF;
    IF holder IS NOT NULL THEN
        IF NOT super THEN
            GRANT @ident_owner@ TO CURRENT_USER;
        END IF;
        SET LOCAL ROLE @ident_owner@;
        FOR name IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = @schema@ AND c.relkind = 'v' AND c.relname <> 'pgtenant_mask_key'
        LOOP
            EXECUTE format('DROP VIEW %I.%I', @schema@::text, name);
        END LOOP;
        DROP VIEW IF EXISTS @ident_schema@.pgtenant_mask_key;
        DROP TABLE IF EXISTS @ident_schema@.pgtenant_mask_secret;
        DROP SCHEMA @ident_schema@;
        RESET ROLE;
        IF NOT super THEN
            REVOKE @ident_owner@ FROM CURRENT_USER;
        END IF;
        INSERT INTO pgtenant_report VALUES (format('dropped schema %I', @schema@::text));
    END IF;
END
$pgtenant$;

-- What the role may do here, and the roles, unless another database or schema has
-- something of them.
DO $pgtenant$
DECLARE
    super constant boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
    reader constant oid := (SELECT oid FROM pg_roles WHERE rolname = @role@);
    name text;
BEGIN
    IF reader IS NOT NULL
        AND NOT EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) a
            WHERE a.grantee = reader AND pg_get_userbyid(n.nspowner) = @owner@)
    THEN
        ALTER ROLE @ident_role@ IN DATABASE @ident_database@ RESET ALL;
        REVOKE CONNECT ON DATABASE @ident_database@ FROM @ident_role@;
        IF EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) a
            WHERE n.nspname = 'pgtenant' AND a.grantee = reader)
        THEN
            IF NOT super THEN
                GRANT pgtenant_seal TO CURRENT_USER;
            END IF;
            SET LOCAL ROLE pgtenant_seal;
            REVOKE ALL ON ALL FUNCTIONS IN SCHEMA pgtenant FROM @ident_role@;
            REVOKE ALL ON SCHEMA pgtenant FROM @ident_role@;
            RESET ROLE;
            IF NOT super THEN
                REVOKE pgtenant_seal FROM CURRENT_USER;
            END IF;
        END IF;
    END IF;
    FOREACH name IN ARRAY ARRAY[@role@, @owner@] LOOP
        CONTINUE WHEN NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name);
        BEGIN
            EXECUTE format('DROP ROLE %I', name);
            INSERT INTO pgtenant_report VALUES (format('dropped role %I', name));
        EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN
            INSERT INTO pgtenant_report VALUES (format('role %I is kept: it has something left to it', name));
        END;
    END LOOP;
END
$pgtenant$;
