-- Names below mean PostgreSQL's own or are qualified. One run after another.
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL standard_conforming_strings = on;
SET LOCAL quote_all_identifiers = off;
SET LOCAL lock_timeout = '60s';
SELECT pg_advisory_xact_lock(hashtext('pgtenant mask'));
SET LOCAL lock_timeout = '10s';
CREATE TEMPORARY TABLE pgtenant_report (line text) ON COMMIT DROP;
