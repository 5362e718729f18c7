-- The keys of this setting; with the last key of the database all else.
DO $pgtenant$
DECLARE
    super constant boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
BEGIN
    -- Not by name: whoever runs this need not have a right to the schema yet.
    IF NOT EXISTS (SELECT FROM pg_class WHERE relname = 'keys' AND relnamespace =
        (SELECT oid FROM pg_namespace WHERE nspname = 'pgtenant')) THEN
        RETURN;
    END IF;
    IF NOT super THEN
        GRANT pgtenant_seal TO CURRENT_USER;
    END IF;
    SET LOCAL ROLE pgtenant_seal;
    DELETE FROM pgtenant.keys WHERE setting = @setting@;
    IF NOT EXISTS (SELECT FROM pgtenant.keys) THEN
        DROP FUNCTION IF EXISTS pgtenant.bind(text), pgtenant.tenant(text),
            pgtenant.bind_token(text, text), pgtenant.tenant_of_token(text);
        DROP TABLE pgtenant.keys;
        DROP SCHEMA pgtenant;
    END IF;
    RESET ROLE;
    IF NOT super THEN
        REVOKE pgtenant_seal FROM CURRENT_USER;
    END IF;
    INSERT INTO pgtenant_report VALUES (format('unsealed %s', @setting@));
END
$pgtenant$;

-- The owner, unless another database has something of it.
DO $pgtenant$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgtenant_seal') THEN
        RETURN;
    END IF;
    IF to_regclass('pg_catalog.pg_parameter_acl') IS NOT NULL THEN
        EXECUTE $revoke$
            DO $$
            BEGIN
                IF EXISTS (SELECT FROM pg_parameter_acl, aclexplode(paracl)
                    WHERE parname = 'backtrace_functions'
                        AND grantee = 'pgtenant_seal'::regrole) THEN
                    REVOKE SET ON PARAMETER backtrace_functions FROM pgtenant_seal;
                END IF;
            END
            $$
        $revoke$;
    END IF;
    DROP ROLE pgtenant_seal;
EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN
    INSERT INTO pgtenant_report VALUES ('role pgtenant_seal is kept: it has something left to it');
END
$pgtenant$;
