//! How much a statement may answer: `max_rows` and `max_result_bytes`.

use crate::{BI, bi, options, with_login};
use testkit::{Answer, Fields, Options, Pipeline, Programs, Proxy, Raw, Site, site, wait_until};

/// A proxy before each version of PostgreSQL that is here.
fn each(profile: &str, test: impl Fn(&Site, &Proxy)) {
    for major in [15, 18] {
        let Some(programs) = Programs::find(major) else {
            continue;
        };
        let site = Site::start_on(&programs);
        site.sql(
            "wellness_corp_db",
            "CREATE TABLE notes (n integer); GRANT ALL ON notes TO wellness_app",
        );
        let mut options = options(profile);
        options.more = options
            .more
            .replace(&testkit::site().login_verifier, &site.login_verifier);
        let proxy = Proxy::start_before(&site, &options);
        test(&site, &proxy);
    }
}

fn series(rows: usize) -> String {
    format!("SELECT generate_series(1, {rows})")
}

/// Rows up to the limit, then the error in place of everything else.
#[track_caller]
fn assert_ended(answer: &Answer, tags: &str, status: char) -> Fields {
    let error = answer.errors().pop().unwrap();
    assert_eq!((error.severity(), error.code()), ("ERROR", "54000"));
    assert!(
        error.message().contains("answers with more than"),
        "{error:?}"
    );
    assert!(error.hint().contains("max_rows"), "{error:?}");
    assert_eq!(answer.tags(), tags);
    assert_eq!(answer.status(), status);
    error
}

fn notes(site: &Site) -> String {
    site.sql("wellness_corp_db", "SELECT count(*) FROM notes")
}

#[test]
fn a_query_gets_rows_up_to_the_limit_and_then_an_error() {
    each("max_rows = 3", |_, proxy| {
        let mut client = bi(proxy);
        assert_eq!(client.query(&series(3)).ok().rows().len(), 3);
        assert_ended(&client.query(&series(4)), "TDDDEZ", 'I');
        // Each statement of a string has its own rows.
        let string = format!("{0}; {0}", series(3));
        assert_eq!(client.query(&string).ok().rows().len(), 6);
        // Others are not limited.
        let mut app = proxy.raw("innovate");
        assert_eq!(app.query(&series(1000)).ok().rows().len(), 1000);
        assert_eq!(client.value("SELECT 1"), "1");
    });
}

#[test]
fn what_would_go_on_is_cancelled_and_nothing_else() {
    let long = "SELECT generate_series(1, 1000000000000)";
    each("max_rows = 1000", |site, proxy| {
        let mut client = bi(proxy);
        for _ in 0..20 {
            let answer = client.query(long);
            assert_eq!(answer.rows().len(), 1000);
            assert_eq!(answer.errors()[0].code(), "54000");
            assert_eq!(answer.status(), 'I');
            // The request strikes what it is for.
            assert_eq!(client.value("SELECT pg_sleep(0.002)"), "");
        }
        client.run_ok("BEGIN");
        let backend = client.backend();
        for _ in 0..20 {
            client.run_ok("SAVEPOINT a");
            let answer = client.query(long);
            assert_eq!((answer.rows().len(), answer.status()), (1000, 'E'));
            client.run_ok("ROLLBACK TO a");
            assert_eq!(client.value("SELECT pg_sleep(0.002)"), "");
        }
        assert_eq!(client.backend(), backend);
        client.run_ok("COMMIT");
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = '";
        let sql = format!("{sql}{long}'");
        assert_eq!(site.sql("wellness_corp_db", &sql), "0");
    });
}

#[test]
fn an_open_transaction_has_failed_then() {
    each("max_rows = 3", |site, proxy| {
        let mut client = bi(proxy);
        client.run_ok("BEGIN; INSERT INTO notes VALUES (1)");
        assert_ended(&client.query(&series(4)), "TDDDEZ", 'E');
        assert_eq!(client.error("SELECT 1").code(), "25P02");
        client.run_ok("ROLLBACK");
        // What the statement itself has done is undone, too.
        client.run_ok("BEGIN");
        let insert = "INSERT INTO notes SELECT generate_series(1, 4) RETURNING n";
        assert_ended(&client.query(insert), "TDDDEZ", 'E');
        client.run_ok("COMMIT");
        assert_eq!(notes(site), "0");
    });
}

#[test]
fn what_is_committed_already_ends_the_session() {
    each("max_rows = 3", |site, proxy| {
        let insert = "INSERT INTO notes SELECT generate_series(1, 4) RETURNING n";
        let strings = [
            insert.to_owned(),
            format!("{}; INSERT INTO notes VALUES (1)", series(4)),
            format!("BEGIN; {}; COMMIT; BEGIN", series(4)),
        ];
        for string in strings {
            let mut client = bi(proxy);
            client.send_query(&string);
            let errors = client.until_closed().errors();
            let codes: Vec<_> = errors.iter().map(Fields::code).collect();
            assert_eq!(codes, ["54000", "40003"], "{string}");
            assert!(errors[1].hint().contains("look"), "{errors:?}");
        }
        assert_eq!(notes(site), "5");
    });
}

#[test]
fn a_statement_of_the_extended_protocol_is_undone_before_it_is_committed() {
    each("max_rows = 3", |site, proxy| {
        let mut client = bi(proxy);
        let insert = "INSERT INTO notes SELECT generate_series(1, 4) RETURNING n";
        let answer = client.run(&Pipeline::new().statement(insert).sync());
        assert_ended(&answer, "12TDDDEZ", 'I');
        // The rest of a pipeline is skipped.
        let pipeline = Pipeline::new()
            .statement("INSERT INTO notes VALUES (1)")
            .statement(&series(4))
            .statement("INSERT INTO notes VALUES (2)")
            .sync();
        let answer = client.run(&pipeline);
        assert_ended(&answer, "12nC12TDDDEZ", 'I');
        assert_eq!(notes(site), "0");
        // Prepared statements stay, and what was skipped was not prepared.
        let pipeline = Pipeline::new()
            .parse("a", &series(4))
            .bind("", "a", &[])
            .execute("", 0)
            .parse("b", "SELECT 1")
            .sync();
        assert_ended(&client.run(&pipeline), "12DDDEZ", 'I');
        let rest = Pipeline::new().bind("", "b", &[]).sync();
        assert_eq!(client.run(&rest).error().code(), "26000");
        let again = Pipeline::new().bind("", "a", &[]).execute("", 2).sync();
        assert_eq!(client.run(&again).ok().tags(), "2DDsZ");
        // In a transaction.
        client.run_ok("BEGIN");
        let pipeline = Pipeline::new().bind("", "a", &[]).execute("", 0).sync();
        assert_ended(&client.run(&pipeline), "2DDDEZ", 'E');
        client.run_ok("ROLLBACK");
        assert_eq!(client.value("SELECT 1"), "1");
    });
}

#[test]
fn a_portal_is_counted_over_all_of_its_executes() {
    each("max_rows = 5", |_, proxy| {
        let mut client = bi(proxy);
        client.run_ok("BEGIN");
        let begin = Pipeline::new().parse("", &series(100)).bind("p", "", &[]);
        assert_eq!(client.run(&begin.execute("p", 3).sync()).tags(), "12DDDsZ");
        // Another one in between.
        let other = Pipeline::new().parse("", &series(100)).bind("q", "", &[]);
        assert_eq!(client.run(&other.execute("q", 4).sync()).tags(), "12DDDDsZ");
        let more = Pipeline::new().execute("p", 2).sync();
        assert_eq!(client.run(&more).tags(), "DDsZ");
        let more = Pipeline::new().execute("p", 1).sync();
        assert_ended(&client.run(&more), "EZ", 'E');
        client.run_ok("ROLLBACK");
        // The name is another portal's now.
        client.run_ok("BEGIN");
        let begin = Pipeline::new().parse("", &series(4)).bind("p", "", &[]);
        assert_eq!(client.run(&begin.execute("p", 4).sync()).tags(), "12DDDDsZ");
        let begin = Pipeline::new().parse("", &series(4)).bind("", "", &[]);
        assert_eq!(client.run(&begin.execute("", 0).sync()).tags(), "12DDDDCZ");
        client.run_ok("COMMIT");
    });
}

#[test]
fn where_nothing_can_be_written_a_sync_may_follow() {
    each("read_only = true\nmax_rows = 3", |_, proxy| {
        let mut client = bi(proxy);
        let big = Pipeline::new().statement(&series(4)).sync();
        let fits = Pipeline::new().statement(&series(3)).sync();
        assert_ended(&client.run(&big), "12TDDDEZ", 'I');
        assert_eq!(client.run(&fits).tags(), "12TDDDCZ");
        client.run_ok("BEGIN");
        assert_ended(&client.run(&big), "12TDDDEZ", 'E');
        client.run_ok("ROLLBACK");
        // Of several statements the others may have run, and changed nothing.
        let string = format!("{}; SELECT 1", series(4));
        assert_ended(&client.query(&string), "TDDDEZ", 'I');
        // Sent at once, and without waiting.
        let all = [big.bytes(), fits.bytes(), big.bytes()].concat();
        client.send(&all);
        assert_ended(&client.until_ready(), "12TDDDEZ", 'I');
        assert_eq!(client.until_ready().tags(), "12TDDDCZ");
        assert_ended(&client.until_ready(), "12TDDDEZ", 'I');
        assert_eq!(client.error("INSERT INTO notes VALUES (1)").code(), "25006");
    });
}

#[test]
fn copied_data_are_counted_too() {
    each("max_rows = 3", |_, proxy| {
        let mut client = bi(proxy);
        let copy = |rows| format!("COPY ({}) TO STDOUT", series(rows));
        assert_eq!(client.query(&copy(3)).tags(), "HdddcCZ");
        assert_ended(&client.query(&copy(4)), "HdddEZ", 'I');
        let answer = client.query(&copy(1_000_000_000));
        assert_ended(&answer, "HdddEZ", 'I');
        client.run_ok("BEGIN");
        assert_ended(&client.query(&copy(4)), "HdddEZ", 'E');
        client.run_ok("ROLLBACK");
        let pipeline = Pipeline::new().statement(&copy(4)).sync();
        assert_ended(&client.run(&pipeline), "12nHdddEZ", 'I');
        // Data to the server are not.
        client.send_query("COPY notes FROM STDIN");
        client.until(b'G');
        client.send(
            Pipeline::new()
                .copy_data(b"1\n2\n3\n4\n5\n")
                .copy_done()
                .bytes(),
        );
        assert_eq!(client.until_ready().ok().commands(), ["COPY 5"]);
    });
}

#[test]
fn a_row_that_is_too_long_is_not_torn() {
    each("max_result_bytes = \"64KiB\"", |_, proxy| {
        let mut client = bi(proxy);
        let rows = |n: usize| format!("SELECT repeat('x', 30000) FROM generate_series(1, {n})");
        assert_eq!(client.query(&rows(2)).ok().rows().len(), 2);
        let error = assert_ended(&client.query(&rows(3)), "TDDEZ", 'I');
        assert!(error.message().contains("65536 bytes"), "{error:?}");
        // Longer than any buffer.
        let long = "SELECT 'a' UNION ALL SELECT repeat('x', 50000000) UNION ALL SELECT 'b'";
        assert_ended(&client.query(long), "TDEZ", 'I');
        let copy = "COPY (SELECT repeat('x', 50000000)) TO STDOUT";
        assert_ended(&client.query(copy), "HEZ", 'I');
        assert_eq!(client.value("SELECT 1"), "1");
    });
}

#[test]
fn it_is_counted_and_recorded_as_a_refusal() {
    let file = site().file("results-audit.jsonl");
    let audit = format!("[audit]\nfile = {file:?}\nstatements = \"all\"\non_failure = \"count\"\n");
    let admin = "[admin]\naddress = \"127.0.0.1:0\"\ntls = \"off\"\npublic = [\"/metrics\"]\n";
    let proxy = Proxy::start(&Options {
        more: format!("{}{audit}{admin}", with_login("max_rows = 3")),
        ..Options::default()
    });
    let mut client = bi(&proxy);
    assert_ended(&client.query(&series(4)), "TDDDEZ", 'I');
    client.run_ok("SELECT 1");
    proxy.wait_for_log("rule=\"max-rows\"");
    let recorded = || std::fs::read_to_string(&file).unwrap_or_default();
    wait_until("it is recorded", || {
        recorded().contains("\"tag\":\"SELECT 1\"")
    });
    let recorded = recorded();
    let lines: Vec<_> = recorded.lines().filter(|line| line.contains(BI)).collect();
    let refused: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("max-rows"))
        .collect();
    assert_eq!(refused.len(), 1, "{lines:#?}");
    assert!(refused[0].contains("\"statement\":1"), "{refused:#?}");
    let failed = lines
        .iter()
        .filter(|line| line.contains("\"sqlstate\":\"54000\""));
    assert_eq!(failed.count(), 2, "{lines:#?}");
}

#[test]
fn a_reload_changes_it_for_sessions_that_are_there() {
    let proxy = crate::start("max_rows = 3");
    let mut client = bi(&proxy);
    assert_ended(&client.query(&series(4)), "TDDDEZ", 'I');
    proxy.reload(|text| text.replace("max_rows = 3", "max_rows = 4"));
    assert_eq!(client.query(&series(4)).ok().rows().len(), 4);
    assert_ended(&client.query(&series(5)), "TDDDDEZ", 'I');
    proxy.reload(|text| text.replace("max_rows = 4", ""));
    assert_eq!(client.query(&series(5)).ok().rows().len(), 5);
}

#[test]
fn a_session_that_keeps_its_connection_goes_on() {
    for mode in ["transaction", "session"] {
        let proxy = Proxy::start(&Options {
            mode,
            ..options("max_rows = 3")
        });
        let mut client = bi(&proxy);
        client.run_ok("CREATE TEMP TABLE mine AS SELECT generate_series(1, 5) AS n");
        assert_ended(&client.query("SELECT n FROM mine"), "TDDDEZ", 'I');
        let answer = client.query("SELECT generate_series(1, 1000000000)");
        assert_eq!((answer.rows().len(), answer.status()), (3, 'I'));
        assert_eq!(client.value("SELECT count(*) FROM mine"), "5");
    }
}

/// The statement `sql` of the client is what the error says, and no other.
#[test]
fn an_error_of_the_server_s_own_stays_what_it_is() {
    each("max_rows = 3", |_, proxy| {
        let mut client: Raw = bi(proxy);
        assert_eq!(client.error("SELECT 1/0").code(), "22012");
        let answer = client.query("SELECT 3/(3 - n) FROM generate_series(1, 4) AS n");
        assert_eq!(answer.error().code(), "22012");
        assert_eq!(client.query(&series(3)).ok().rows().len(), 3);
    });
}
