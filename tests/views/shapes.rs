//! What is answered is what PostgreSQL would answer, whatever the protocol.

use crate::{Place, views};
use testkit::{INNOVATE, Pipeline, wait_until};

/// A RowDescription, but for the numbers of tables and columns.
fn columns(body: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut rest = &body[2..];
    let mut columns = Vec::new();
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| *byte == 0).unwrap();
        let name = String::from_utf8(rest[..end].to_vec()).unwrap();
        columns.push((name, rest[end + 1..end + 19].to_vec()));
        rest = &rest[end + 19..];
    }
    columns
}

#[test]
fn columns_are_those_of_the_views() {
    for major in [15, 18] {
        let Some(place) = Place::start(major, "size = 1") else {
            continue;
        };
        let mut direct = place.plain.direct("wellness_corp_db", INNOVATE);
        let mut client = place.client("innovate");
        for view in views(major) {
            let sql = format!("SELECT * FROM {view}");
            let expected = direct.query(&sql);
            if let [error] = &expected.errors()[..] {
                // It is the superuser's alone.
                assert_eq!(client.error(&sql).message(), error.message());
                continue;
            }
            let expected = columns(&expected.of(b'T').next().unwrap().body);
            let named = Pipeline::new()
                .parse("named", &sql)
                .describe_statement("named")
                .bind("", "named", &[])
                .describe("")
                .execute("", 0)
                .close_statement("named")
                .sync();
            for answer in [
                client.query(&sql),
                client.extended(&sql),
                client.run(&named),
            ] {
                for description in answer.ok().of(b'T') {
                    assert_eq!(columns(&description.body), expected, "{major}: {view}");
                }
                assert!(answer.of(b'T').count() > 0);
            }
        }
        for sql in [
            "SELECT pid, l.mode AS m, (SELECT state FROM pg_stat_activity) FROM pg_locks l",
            "SELECT pg_blocking_pids(pid), pg_stat_ssl.ssl FROM pg_catalog.pg_stat_ssl",
            "SELECT count(*) FROM pg_locks",
        ] {
            let describe = Pipeline::new().parse("", sql).describe_statement("").sync();
            let expected = direct.run(&describe);
            let expected = columns(&expected.ok().of(b'T').next().unwrap().body);
            let answer = client.run(&describe);
            assert_eq!(
                columns(&answer.ok().of(b'T').next().unwrap().body),
                expected,
                "{sql}"
            );
        }
    }
}

/// Prepared, bound, described and run again and again, on one server connection and
/// another.
#[test]
fn statements_are_prepared_as_they_are_sent() {
    let own = "SELECT pid = pg_backend_pid(), mode <> $1 FROM pg_locks LIMIT 1";
    for major in [15, 18] {
        for mode in ["transaction", "session"] {
            let Some(place) = Place::start(major, &format!("mode = \"{mode}\"\nsize = 3")) else {
                continue;
            };
            let mut holder = place.client("synergy");
            let mut client = place.client("innovate");
            let parse = Pipeline::new()
                .parse("p", own)
                .describe_statement("p")
                .sync();
            client.run(&parse).ok();
            let unnamed = Pipeline::new()
                .parse("", own)
                .bind("", "", &["x"])
                .execute("", 0)
                .sync();
            let named = Pipeline::new().bind("", "p", &["x"]).execute("", 0).sync();
            for _ in 0..3 {
                for run in [&unnamed, &named, &unnamed] {
                    let rows = client.run(run).ok().rows();
                    assert_eq!(rows, [[Some("t".to_owned()), Some("t".to_owned())]]);
                }
                // It is elsewhere then.
                if mode == "transaction" {
                    holder.run_ok("BEGIN");
                    holder = place.client("synergy");
                }
            }
            // By SQL's names.
            let execute = format!("EXECUTE p('{}')", "x");
            if mode == "transaction" {
                assert_eq!(client.run_ok(&execute).column(), ["t"]);
            }
            client.run_ok(&format!("PREPARE q AS {}", own.replace("$1", "'x'")));
            assert_eq!(client.run_ok("EXECUTE q").column(), ["t"]);
            // All in one pipeline.
            let all = Pipeline::new()
                .statement("SELECT 1")
                .statement("SELECT count(*) FROM pg_stat_activity")
                .statement("SELECT 2")
                .sync();
            assert_eq!(client.run(&all).ok().column(), ["1", "1", "2"]);
            client.run_ok("BEGIN; DECLARE c CURSOR FOR SELECT count(*) FROM pg_stat_ssl");
            assert_eq!(client.run_ok("FETCH c; COMMIT").column(), ["1"]);
        }
    }
}

#[test]
fn errors_name_places_in_the_clients_own_text() {
    for major in [15, 18] {
        let Some(place) = Place::start(major, "size = 1") else {
            continue;
        };
        let mut direct = place.plain.direct("wellness_corp_db", INNOVATE);
        let mut client = place.client("innovate");
        for sql in [
            "SELECT 'é', nothing FROM pg_locks",
            "SELECT * FROM pg_locks l, pg_stat_ssl WHERE l.nothing = 1",
            "SELECT pg_catalog.pg_locks.pid, n FROM pg_catalog.pg_locks",
            "SELECT * FROM pg_locks WHERE pid = 'x'",
            "SELECT no_such(1), pg_blocking_pids(pid) FROM pg_locks",
        ] {
            let expected = direct.error(sql);
            let named = Pipeline::new().parse("n", sql).sync();
            for answer in [client.query(sql), client.extended(sql), client.run(&named)] {
                let error = answer.error();
                let fields = |error: &testkit::Fields| {
                    let field = |kind: &str| error.all.get(kind).cloned();
                    (field("C"), field("M"), field("P"))
                };
                assert_eq!(fields(&error), fields(&expected), "{major}: {sql}");
            }
        }
    }
}

/// What was prepared while channels were open must not run when they are closed.
#[test]
fn a_statement_of_other_rules_does_not_run() {
    let Some(place) = Place::start(15, "size = 3") else {
        return;
    };
    let open = "[guard]\nchannels = \"allow\"";
    place.proxy.reload(|text| text.replace("[guard]", open));
    let mut other = place.client("synergy");
    other.run_ok("BEGIN");
    let mut client = place.client("innovate");
    let sql = "SELECT count(*) > 1 FROM pg_stat_activity";
    let parse = Pipeline::new().parse("p", sql).parse("", sql).sync();
    client.run(&parse).ok();
    let bind = |name: &str| Pipeline::new().bind("", name, &[]).execute("", 0).sync();
    assert_eq!(client.run(&bind("p")).ok().value(), "t");
    place.proxy.reload(|text| text.replace(open, "[guard]"));
    wait_until("the rules hold", || {
        client.query("LISTEN x").errors().len() == 1
    });
    assert_eq!(client.run(&bind("p")).error().code(), "42501");
    assert_eq!(client.query("EXECUTE p").errors().len(), 1);
    client
        .run(&Pipeline::new().close_statement("p").sync())
        .ok();
    let parse = Pipeline::new().parse("p", sql).sync();
    client.run(&parse).ok();
    assert_eq!(client.run(&bind("p")).ok().value(), "f");
    // And back.
    place.proxy.reload(|text| text.replace("[guard]", open));
    wait_until("the rules hold", || {
        client.query("LISTEN x").errors().is_empty()
    });
    assert_eq!(client.run(&bind("p")).error().code(), "42501");
}
