-- The carrier: a text parameter that the application's role can neither SET nor
-- pass at startup. Only pgtenant_seal may, in the function pgtenant.bind.
DO $pgtenant$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_parameter_acl, aclexplode(paracl)
        WHERE parname = 'backtrace_functions' AND grantee = 'pgtenant_seal'::regrole) THEN
        GRANT SET ON PARAMETER backtrace_functions TO pgtenant_seal;
    END IF;
    IF has_parameter_privilege(@role@, 'backtrace_functions', 'SET')
        AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = @role@) THEN
        RAISE EXCEPTION 'role % may set backtrace_functions: it could forge the seal', @role@
            USING HINT = format('REVOKE SET ON PARAMETER backtrace_functions FROM %I', @role@);
    END IF;
END
$pgtenant$;
