-- Names below mean PostgreSQL's own or are qualified. Tables are locked only for
-- a moment; where that is not possible, nothing is changed.
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL lock_timeout = '10s';
CREATE TEMPORARY TABLE pgtenant_report (line text) ON COMMIT DROP;
