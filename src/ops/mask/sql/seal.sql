-- Masked connections are sealed like all others.
DO $pgtenant$
DECLARE
    super constant boolean := (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
BEGIN
    IF to_regprocedure('@bind@') IS NULL THEN
        RAISE EXCEPTION 'the database is not ready for the seal of the configuration'
            USING HINT = 'Run pgtenant harden first.';
    END IF;
    IF NOT super THEN
        GRANT pgtenant_seal TO CURRENT_USER;
    END IF;
    SET LOCAL ROLE pgtenant_seal;
    GRANT USAGE ON SCHEMA pgtenant TO @ident_role@;
    GRANT EXECUTE ON FUNCTION @bind@ TO @ident_role@;
    RESET ROLE;
    IF NOT super THEN
        REVOKE pgtenant_seal FROM CURRENT_USER;
    END IF;
END
$pgtenant$;
