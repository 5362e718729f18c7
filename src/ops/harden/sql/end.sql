-- Rights over pgtenant_seal that were needed until here.
DO $pgtenant$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'pgtenant_seal')
        AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        REVOKE pgtenant_seal FROM CURRENT_USER;
    END IF;
END
$pgtenant$;
