-- The owner of all that the seal needs: a role that nobody can log in as.
DO $pgtenant$
DECLARE
    owner pg_roles;
BEGIN
    IF current_setting('server_version_num')::integer < @least_version@ THEN
        RAISE EXCEPTION 'this seal needs PostgreSQL @least_release@ or later'
            USING ERRCODE = 'feature_not_supported', HINT = @version_hint@;
    END IF;
    IF @grants_parameter@ THEN
        -- Apart: before release 15 there is no such catalog.
        IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
            AND NOT EXISTS (SELECT FROM pg_parameter_acl, aclexplode(paracl) AS a
                JOIN pg_roles r ON r.oid = a.grantee
                WHERE parname = 'backtrace_functions' AND r.rolname = 'pgtenant_seal') THEN
            RAISE EXCEPTION 'seal = "carrier" needs a superuser once, and % is none', current_user
                USING ERRCODE = 'insufficient_privilege', HINT =
                    'Use seal = "token", for which the tables'' owner will do, or run this as a superuser.';
        END IF;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgtenant_seal') THEN
        CREATE ROLE pgtenant_seal NOLOGIN;
    END IF;
    SELECT * INTO owner FROM pg_roles WHERE rolname = 'pgtenant_seal';
    IF owner.rolcanlogin OR owner.rolsuper OR owner.rolcreaterole OR owner.rolbypassrls THEN
        RAISE EXCEPTION 'role pgtenant_seal has rights that it must not have'
            USING HINT = 'ALTER ROLE pgtenant_seal NOLOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = @role@) THEN
        RAISE EXCEPTION 'role % does not exist', @role@
            USING HINT = 'It is the user of the section [servers.NAME] that the isolation names.';
    END IF;
    IF pg_has_role(@role@, 'pgtenant_seal', 'MEMBER')
        AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = @role@) THEN
        RAISE EXCEPTION 'role % is a member of pgtenant_seal: it could read the keys', @role@;
    END IF;
    IF (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = @role@) THEN
        INSERT INTO pgtenant_report VALUES (format(
            'WARNING: row-level security does not apply to role %s: neither does the seal', @role@));
    END IF;
    IF (SELECT rolcreaterole FROM pg_roles WHERE rolname = @role@) THEN
        INSERT INTO pgtenant_report VALUES (format(
            'WARNING: role %s may create roles: it could make itself a member of pgtenant_seal', @role@));
    END IF;
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        -- To make objects in its name; taken back at the end.
        BEGIN
            GRANT pgtenant_seal TO CURRENT_USER;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE EXCEPTION 'role % may not act for pgtenant_seal', current_user
                USING ERRCODE = 'insufficient_privilege', HINT = format(
                    'Run this as a superuser, or let one GRANT pgtenant_seal TO %I WITH ADMIN OPTION.',
                    current_user);
        END;
    END IF;
END
$pgtenant$;

-- Its schema.
CREATE SCHEMA IF NOT EXISTS pgtenant AUTHORIZATION pgtenant_seal;
DO $pgtenant$
BEGIN
    IF (SELECT nspowner <> 'pgtenant_seal'::regrole
        FROM pg_namespace WHERE nspname = 'pgtenant') THEN
        RAISE EXCEPTION 'schema pgtenant belongs to another role than pgtenant_seal';
    END IF;
END
$pgtenant$;
REVOKE ALL ON SCHEMA pgtenant FROM PUBLIC;
