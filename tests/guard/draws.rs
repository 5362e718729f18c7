//! Statements that can have to do with the state of `random()`.

use crate::{SETTING, guard};

fn draws(sql: &str) -> bool {
    let verdict = guard(SETTING).inspect(sql.as_bytes());
    assert_eq!(verdict.refusal, None, "{sql}");
    let effects = &verdict.effects;
    effects.draws || effects.seeds || effects.writes || effects.doubtful || effects.residue
}

#[test]
fn statements_that_read_or_set_the_state_of_random_say_so() {
    for sql in [
        "SELECT random()",
        "SELECT pg_catalog.random()",
        "SELECT public.random()",
        "SELECT RANDOM(), 1",
        "SELECT \"random\"()",
        "SELECT random(1, 6)",
        "SELECT random_normal()",
        "SELECT setseed(0.5)",
        "SET seed = 0.5",
        "SET LOCAL seed = 0.5",
        "SELECT set_config('seed', '0.5', true)",
        "SELECT * FROM t ORDER BY random()",
        "SELECT * FROM t WHERE random() < 0.5",
        "SELECT (SELECT random()) FROM t",
        "SELECT count(*) FILTER (WHERE random() > 0.5) FROM t",
        "SELECT * FROM random() r",
        // It can be a call.
        "SELECT t.random FROM t",
        "SELECT * FROM t TABLESAMPLE bernoulli (random())",
        "WITH w AS (SELECT random()) SELECT * FROM w",
        "VALUES (random())",
        "SELECT f FROM (SELECT random() f) x",
        "SELECT 1 LIMIT random()",
        "SELECT random() INTO t",
        "DECLARE c CURSOR FOR SELECT random()",
        "COPY (SELECT random()) TO STDOUT",
        "EXPLAIN SELECT random()",
        "SELECT 1; SELECT random()",
        "SELECT random(); SELECT 1",
        // By code that they do not show.
        "SELECT f()",
        "SELECT 1 <===> 2",
        "CALL p()",
        "EXECUTE p",
        "INSERT INTO t VALUES (1)",
        "UPDATE t SET a = 1",
        "COPY t FROM STDIN",
        "ALTER TABLE t ADD a float",
        "CREATE TABLE u AS SELECT 1",
        "CREATE INDEX ON t (a)",
        "REINDEX TABLE t",
        "ANALYZE t",
        "SET CONSTRAINTS ALL IMMEDIATE",
    ] {
        assert!(draws(sql), "{sql}");
    }
}

#[test]
fn queries_that_call_nothing_of_the_kind_do_not() {
    for sql in [
        "",
        "SELECT 1",
        "SELECT * FROM t WHERE a = $1",
        "SELECT now(), lower(a), gen_random_uuid() FROM t",
        "SELECT random FROM t",
        "SELECT 'random()'",
        "SELECT count(*) FROM t TABLESAMPLE system (1)",
        "BEGIN; SELECT * FROM t FOR UPDATE; COMMIT",
        "SHOW search_path",
        "SET statement_timeout = 5",
        "SET LOCAL work_mem = '1MB'",
        "DECLARE c CURSOR FOR SELECT 1",
        "FETCH 1 FROM c",
        "CLOSE c",
        "COPY t TO STDOUT",
        "EXPLAIN SELECT 1",
        "DEALLOCATE p",
        "DISCARD ALL",
    ] {
        assert!(!draws(sql), "{sql}");
    }
}
