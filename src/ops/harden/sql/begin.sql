-- Names below mean PostgreSQL's own or are qualified. Tables are locked only for
-- a moment; where that is not possible, nothing is changed.
SET LOCAL search_path = pg_catalog, pg_temp;
-- One after another: in this database, and, where the locks of all databases'
-- common catalogs can be had, in the whole server.
SET LOCAL lock_timeout = '60s';
DO $pgtenant$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('pgtenant harden'));
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        LOCK TABLE pg_catalog.pg_authid IN SHARE ROW EXCLUSIVE MODE;
    END IF;
END
$pgtenant$;
SET LOCAL lock_timeout = '10s';
CREATE TEMPORARY TABLE pgtenant_report (line text) ON COMMIT DROP;
