//! Nothing of another tenant shows, however the views are named.

use crate::{Place, views};
use std::collections::BTreeSet;
use testkit::Raw;

/// What stands in all that the others have.
const CANARY: &str = "canary";

/// Sessions of others, with their queries, locks, statements and transactions.
struct Others {
    _held: Vec<Raw>,
}

fn others(place: &Place) -> Others {
    let mut tenant = place.client("synergy");
    tenant.run_ok("PREPARE of_canary AS SELECT 'canary' FROM users");
    tenant.run_ok("BEGIN; UPDATE users SET email = email");
    tenant.run_ok("SELECT 'canary('::text FROM users");
    let mut admin = place.plain.superuser();
    admin.run_ok("CREATE TABLE canary_table (n int)");
    admin.run_ok("BEGIN; SELECT FROM canary_table; PREPARE TRANSACTION 'canary'");
    admin.run_ok("SELECT pg_create_physical_replication_slot('canary', true)");
    admin.run_ok("SELECT pg_replication_origin_create('canary')");
    admin.run_ok("SET application_name = 'canary'; BEGIN; LOCK TABLE canary_table IN SHARE MODE");
    Others {
        _held: vec![tenant, admin],
    }
}

/// Ways to name a view in a query, `VIEW` in its place.
const SPELLINGS: &[&str] = &[
    "SELECT * FROM VIEW",
    "SELECT * FROM pg_catalog.VIEW",
    "SELECT * FROM \"pg_catalog\" . \"VIEW\"",
    "select VIEW.* from VIEW",
    "SELECT pg_catalog.VIEW.* FROM pg_catalog.VIEW",
    "SELECT VIEW FROM VIEW",
    "SELECT x FROM VIEW x",
    "SELECT row_to_json(x) FROM VIEW AS x",
    "SELECT to_jsonb(VIEW) FROM VIEW",
    "SELECT VIEW::text FROM VIEW",
    "SELECT l FROM VIEW AS l(a, b)",
    "SELECT (VIEW).* FROM VIEW",
    "SELECT * FROM ONLY VIEW",
    "SELECT * FROM VIEW *",
    "TABLE VIEW",
    "TABLE pg_catalog.VIEW",
    "(TABLE VIEW)",
    "SELECT * FROM (TABLE VIEW) x",
    "SELECT * FROM VIEW TABLESAMPLE system (100)",
    "SELECT * FROM/**/VIEW",
    "SELECT * FROM pg_catalog/**/./**/VIEW",
    "SELECT * FROM VIEW--\n",
    "SELECT * FROM U&\"pg_\\0063atalog\".VIEW",
    "SELECT * FROM VIEW, VIEW x",
    "SELECT * FROM VIEW a NATURAL JOIN VIEW b",
    "SELECT * FROM generate_series(1, 3) n LEFT JOIN VIEW x ON true",
    "SELECT * FROM generate_series(1, 3) n FULL JOIN VIEW x ON false",
    "SELECT * FROM generate_series(1, 2), LATERAL (SELECT * FROM VIEW) x",
    "SELECT (SELECT string_agg(x::text, ',') FROM VIEW x)",
    "SELECT array(SELECT x::text FROM VIEW x)",
    "SELECT 1 WHERE EXISTS (SELECT FROM VIEW x WHERE x::text LIKE '%canary%')",
    "SELECT * FROM VIEW UNION ALL SELECT * FROM VIEW",
    "WITH a AS (SELECT * FROM VIEW) SELECT * FROM a",
    "WITH a AS MATERIALIZED (TABLE VIEW) SELECT * FROM a",
    "WITH VIEW AS (SELECT 1) SELECT * FROM VIEW",
    "WITH VIEW AS (SELECT * FROM pg_catalog.VIEW) SELECT * FROM VIEW",
    "WITH RECURSIVE VIEW AS (SELECT * FROM VIEW) SELECT * FROM VIEW",
    "WITH RECURSIVE a AS (SELECT x::text t, 1 n FROM VIEW x UNION ALL SELECT t, n + 1 FROM a WHERE n < 2) SELECT * FROM a",
    "SELECT * FROM (SELECT * FROM pg_catalog.VIEW WHERE pid = pg_backend_pid()) x",
    "SELECT * FROM (SELECT * FROM pg_catalog.VIEW WHERE pid = pg_backend_pid() OR true OFFSET 0) x",
    "SELECT * FROM (SELECT * FROM pg_catalog.VIEW WHERE false OR true OFFSET 0) x",
    "SELECT * FROM VIEW FOR UPDATE",
    "SELECT * FROM VIEW FOR UPDATE OF VIEW",
    "EXPLAIN ANALYZE SELECT * FROM VIEW",
    "EXPLAIN (VERBOSE) SELECT * FROM VIEW",
    "COPY VIEW TO STDOUT",
    "COPY (SELECT * FROM VIEW) TO STDOUT",
    "COPY (TABLE VIEW) TO STDOUT",
    "SELECT * INTO TEMP of_view FROM VIEW; SELECT * FROM of_view; DROP TABLE of_view",
    "CREATE TEMP TABLE of_view AS SELECT * FROM VIEW; SELECT * FROM of_view; DROP TABLE of_view",
    "BEGIN; DECLARE c CURSOR FOR SELECT * FROM VIEW; FETCH ALL FROM c; ROLLBACK",
    "PREPARE v AS SELECT * FROM VIEW; EXECUTE v; DEALLOCATE v",
    "VALUES ((SELECT string_agg(x::text, ',') FROM VIEW x))",
    "SELECT * FROM users WHERE email = ANY (SELECT x::text FROM VIEW x)",
    "UPDATE users SET email = x::text FROM VIEW x WHERE false RETURNING *",
    "DELETE FROM users USING VIEW x WHERE x IS NULL RETURNING x",
    "SELECT query_to_xml('SELECT * FROM VIEW', true, true, '')",
    "SELECT table_to_xml('VIEW'::regclass, true, true, '')",
    "SELECT 'VIEW'::regclass::oid; SELECT * FROM VIEW",
    "SELECT * FROM \"VIEW\"\"\"",
    "SELECT * FROM VIEW$",
];

#[test]
fn no_spelling_shows_anything_of_another_tenant() {
    for major in [15, 18] {
        let Some(place) = Place::start(major, "size = 4") else {
            continue;
        };
        let others = others(&place);
        let mut client = place.client("innovate");
        let mut let_through = BTreeSet::new();
        for view in views(major) {
            for spelling in SPELLINGS {
                let sql = spelling.replace("VIEW", view);
                let mut answers = vec![client.query(&sql)];
                if !sql.contains("; ") {
                    answers.push(client.extended(&sql));
                }
                for answer in answers {
                    for message in answer.messages {
                        // What the client has written itself comes back.
                        let text = String::from_utf8_lossy(&message.body).replace(&sql, "");
                        let text = text.replace("%canary%", "");
                        assert!(!text.contains(CANARY), "{major}: {sql}\n{text}");
                        if message.tag == b'D' || message.tag == b'd' {
                            let_through.insert(*spelling);
                        }
                    }
                }
                if client.query("SELECT 1").status() != 'I' {
                    client.run_ok("ROLLBACK");
                }
            }
        }
        assert!(let_through.len() > 25, "{let_through:?}");
        drop(others);
    }
}

/// Every row is of the process that runs the statement.
#[test]
fn one_process_alone_has_sessions_and_locks() {
    for major in [15, 18] {
        let Some(place) = Place::start(major, "size = 4") else {
            continue;
        };
        let _others = others(&place);
        let mut client = place.client("innovate");
        let all = "SELECT count(DISTINCT pid) FROM pg_locks";
        assert_ne!(place.plain.superuser().value(all), "1");
        for sql in [
            "SELECT DISTINCT pid = pg_backend_pid() FROM pg_stat_activity",
            "SELECT DISTINCT pid = pg_backend_pid() FROM pg_locks",
            "SELECT DISTINCT pid = pg_backend_pid() FROM pg_catalog.pg_stat_ssl s",
            "SELECT count(*) = 1 FROM pg_stat_activity JOIN pg_stat_gssapi USING (pid)",
            "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory' OR NOT granted",
            "SELECT count(*) = 0 FROM pg_prepared_statements",
            "SELECT pg_blocking_pids(pid) = '{}' FROM pg_stat_activity",
            "SELECT sum(cardinality(pg_catalog.pg_blocking_pids(n))) = 0 FROM generate_series(0, 99999) n",
        ] {
            assert_eq!(client.value(sql), "t", "{major}: {sql}");
            assert_eq!(client.extended(sql).ok().value(), "t", "{major}: {sql}");
        }
        client.run_ok("PREPARE mine AS SELECT 1");
        let own = "SELECT name FROM pg_prepared_statements";
        assert_eq!(client.run_ok(own).column(), ["mine"]);
        client.run_ok("BEGIN; LOCK TABLE users IN ROW EXCLUSIVE MODE");
        let own = "SELECT relation::regclass FROM pg_locks WHERE mode = 'RowExclusiveLock'";
        assert_eq!(client.run_ok(own).column(), ["users"]);
        client.run_ok("COMMIT");
        // Only the functions beneath them see others.
        for sql in [
            "SELECT * FROM pg_stat_get_activity(NULL)",
            "SELECT * FROM pg_lock_status()",
            "SELECT (1).pg_blocking_pids",
        ] {
            assert_eq!(client.error(sql).code(), "42501", "{sql}");
        }
    }
}

/// A condition with an effect of its own must not see the rows that are left out.
#[test]
fn no_condition_is_evaluated_on_the_rows_of_others() {
    for major in [15, 18] {
        let Some(place) = Place::start(major, "size = 4") else {
            continue;
        };
        let _others = others(&place);
        let mut client = place.client("innovate");
        for from in [
            "(SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()) a",
            "(SELECT * FROM pg_stat_activity WHERE pid = pg_backend_pid()) a",
            "pg_stat_activity a",
            "(SELECT * FROM (SELECT * FROM pg_stat_activity) b WHERE pid = pg_backend_pid()) a",
        ] {
            // The canary's query is no regular expression, its own is one.
            let sql = format!("SELECT 1 FROM {from} WHERE 'x' ~ a.query");
            client.run_ok(&sql);
            client.extended(&sql).ok();
            client.run_ok("SET app.seen = ''");
            client.run_ok(&format!(
                "SELECT 1 FROM {from} WHERE set_config('app.seen', \
                 current_setting('app.seen') || a.query, false) IS NOT NULL"
            ));
            let seen = client.value("SHOW app.seen");
            assert!(!seen.contains(CANARY), "{major}: {from}\n{seen}");
        }
        // Of the locks, too.
        client.run_ok("SET app.seen = ''");
        client.run_ok(
            "SELECT FROM pg_locks WHERE pid <> pg_backend_pid() \
             AND set_config('app.seen', current_setting('app.seen') || pid, false) IS NOT NULL",
        );
        assert_eq!(client.value("SHOW app.seen"), "");
    }
}

/// Those of a transaction that is over stay with its process while others overlap it.
#[test]
fn predicate_locks_of_the_last_tenant_do_not_show() {
    for major in [15, 18] {
        let Some(place) = Place::start(major, "size = 1") else {
            continue;
        };
        let mut overlaps = place.plain.superuser();
        overlaps.run_ok("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM users");
        let mut last = place.client("synergy");
        last.run_ok("BEGIN ISOLATION LEVEL SERIALIZABLE");
        last.run_ok("SELECT * FROM users");
        let process = last.backend();
        last.run_ok("COMMIT");
        let mut client = place.client("innovate");
        assert_eq!(client.backend(), process);
        let locks = format!(
            "SELECT count(*) > 0 FROM pg_locks WHERE mode = 'SIReadLock' AND pid = {process}"
        );
        assert_eq!(place.plain.superuser().value(&locks), "t", "{major}");
        assert_eq!(client.value(&locks), "f", "{major}");
    }
}
