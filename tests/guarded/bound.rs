//! Settings whose names are parameters: judged at each Bind.

use testkit::{Options, Pipeline, Proxy, Raw, SYNERGY};

const SET: &str = "SELECT set_config($1, $2, false)";
const SETTING: &str = "session.current_organization_id";
const WHOSE: &str = "SELECT email FROM users";
const ALICE: &str = "alice@innovate.example";

/// OIDs of pg_type.
const TEXT: u32 = 25;
const VARCHAR: u32 = 1043;
const BPCHAR: u32 = 1042;
const UNKNOWN: u32 = 705;

fn one_connection() -> Proxy {
    Proxy::start(&Options {
        size: 1,
        ..Options::default()
    })
}

/// Binds the unnamed statement as told, runs it, and says how it ended: "ok", or
/// the refusal's rule.
fn set(
    client: &mut Raw,
    sql: &str,
    types: &[u32],
    formats: &[u16],
    values: &[Option<&str>],
) -> String {
    let pipeline = Pipeline::new()
        .parse_with("", sql, types)
        .bind_with("", "", formats, values)
        .execute("", 0)
        .sync();
    ended(&client.run(&pipeline))
}

fn ended(answer: &testkit::Answer) -> String {
    match &answer.errors()[..] {
        [] => "ok".to_owned(),
        [error] => {
            let detail = error.all.get("D").cloned().unwrap_or_default();
            let rule = detail
                .rsplit_once("rule ")
                .map(|(_, rule)| rule.trim_end_matches('.'));
            rule.map_or_else(|| error.code().to_owned(), str::to_owned)
        }
        errors => panic!("{errors:?}"),
    }
}

#[test]
fn a_settings_name_may_be_a_parameter_where_it_is_a_harmless_one() {
    let proxy = one_connection();
    let mut client = proxy.raw("innovate");
    let mut other = proxy.raw("synergy");
    let forms: &[(&str, &[u32], &[u16])] = &[
        (SET, &[], &[]),
        (SET, &[TEXT, TEXT], &[]),
        (SET, &[VARCHAR, UNKNOWN], &[1]),
        (SET, &[UNKNOWN], &[1, 0]),
        ("SELECT set_config($1::text, $2::text, false)", &[], &[0, 1]),
        (
            "SELECT pg_catalog.set_config(CAST($1 AS pg_catalog.text), $2, false)",
            &[],
            &[],
        ),
        ("SELECT set_config($1, $2, 1 > 2), $1::text", &[], &[]),
    ];
    for (n, (sql, types, formats)) in forms.iter().enumerate() {
        let value = format!("{}s", n + 2);
        let values = [Some("Statement_Timeout"), Some(&*value)];
        assert_eq!(
            set(&mut client, sql, types, formats, &values),
            "ok",
            "{sql} {types:?}"
        );
        // It follows the client, and the client alone.
        assert_eq!(other.value("SHOW statement_timeout"), "0");
        assert_eq!(client.value("SHOW statement_timeout"), value);
    }
    let local = "SELECT set_config($1, $2, $3)";
    for (is_local, expected) in [("true", "9s"), ("false", "10s")] {
        let values = [Some("statement_timeout"), Some("10s"), Some(is_local)];
        client.run_ok("SET statement_timeout = '9s'");
        assert_eq!(set(&mut client, local, &[], &[], &values), "ok");
        other.run_ok("SELECT 1");
        assert_eq!(client.value("SHOW statement_timeout"), expected);
    }
    for (name, value) in [
        ("search_path", "pg_catalog, public, pg_temp"),
        ("client_encoding", "utf-8"),
        ("row_security", "on"),
    ] {
        assert_eq!(
            set(&mut client, SET, &[], &[], &[Some(name), Some(value)]),
            "ok",
            "{name}"
        );
        let constant = format!("SELECT set_config('{name}', $1, false)");
        assert_eq!(
            set(&mut client, &constant, &[], &[], &[Some(value)]),
            "ok",
            "{name}"
        );
    }
}

#[test]
fn what_carries_the_tenant_is_refused_by_its_rule_at_bind() {
    let proxy = one_connection();
    let mut client = proxy.raw("innovate");
    let refused: &[(&[Option<&str>], &str)] = &[
        (&[Some(SETTING), Some(SYNERGY)], "tenant-setting"),
        (
            &[Some("SESSION.Current_Organization_Id"), Some(SYNERGY)],
            "tenant-setting",
        ),
        (&[Some("role"), Some("postgres")], "role"),
        (&[Some("session_authorization"), Some("postgres")], "role"),
        (&[Some("row_security"), Some("off")], "isolation-setting"),
        (&[Some("client_encoding"), Some("SJIS")], "client-encoding"),
        (
            &[Some("standard_conforming_strings"), Some("off")],
            "string-syntax",
        ),
        (
            &[Some("search_path"), Some("evil, pg_catalog")],
            "search-path",
        ),
        (
            &[Some("search_path"), Some("nosuch, pg_temp, public")],
            "search-path",
        ),
        (&[Some("search_path"), None], "computed-setting"),
        (&[None, Some("x")], "computed-setting"),
        (&[Some("a\u{0}b"), Some("x")], "computed-setting"),
    ];
    for (values, rule) in refused {
        for formats in [&[][..], &[1], &[0, 1]] {
            assert_eq!(
                set(&mut client, SET, &[], formats, values),
                *rule,
                "{values:?}"
            );
            assert_eq!(client.value(WHOSE), ALICE);
        }
        let lasting = "SELECT set_config($1::text, $2, $3)";
        let with_local = [values[0], values[1], Some("true")];
        assert_eq!(
            set(&mut client, lasting, &[], &[], &with_local),
            *rule,
            "{values:?}"
        );
    }
}

#[test]
fn a_parameter_that_could_become_another_text_is_refused() {
    let proxy = one_connection();
    let mut client = proxy.raw("innovate");
    let padded = format!("{SETTING} ");
    let long = "x".repeat(2000);
    let huge = "x".repeat(100_000);
    let cases: &[(&str, &[u32], &[u16], &[Option<&str>])] = &[
        // Blanks at the end of a bpchar are none when it becomes a text.
        (SET, &[BPCHAR], &[], &[Some(&padded), Some(SYNERGY)]),
        (
            "SELECT $1::bpchar, set_config($1, $2, false)",
            &[],
            &[],
            &[Some(&padded), Some(SYNERGY)],
        ),
        (
            "SELECT set_config($1, $2, false) WHERE $1 < 'x'::bpchar",
            &[],
            &[],
            &[Some(&padded), Some(SYNERGY)],
        ),
        (
            "SELECT set_config($1::name, $2, false)",
            &[],
            &[],
            &[Some("work_mem"), Some("1MB")],
        ),
        (
            "SELECT set_config($1 || '', $2, false)",
            &[],
            &[],
            &[Some("work_mem"), Some("1MB")],
        ),
        (
            "SELECT set_config(x, $2, false) FROM (SELECT $1::text) s(x)",
            &[],
            &[],
            &[Some("work_mem"), Some("1MB")],
        ),
        (SET, &[], &[7], &[Some("work_mem"), Some("1MB")]),
        (SET, &[], &[], &[Some(&long), Some("1MB")]),
        (SET, &[], &[], &[]),
        (
            "SELECT set_config('client_encoding', upper($1), false)",
            &[],
            &[],
            &[Some("sjis")],
        ),
    ];
    for (sql, types, formats, values) in cases {
        assert_eq!(
            set(&mut client, sql, types, formats, values),
            "computed-setting",
            "{sql}"
        );
        assert_eq!(client.value(WHOSE), ALICE);
    }
    let values = [Some("work_mem"), Some(&*huge)];
    assert_eq!(set(&mut client, SET, &[], &[], &values), "computed-setting");
    let bad_layout = Pipeline::new()
        .parse("", SET)
        .message(b'B', b"\0\0\0\0\0\x05")
        .sync();
    assert_eq!(client.run(&bad_layout).error().code(), "08P01");
    assert_eq!(client.value(WHOSE), ALICE);
}

#[test]
fn each_bind_is_judged_anew_and_a_refusal_keeps_the_protocol() {
    let proxy = one_connection();
    let mut client = proxy.raw("innovate");
    let mut other = proxy.raw("innovate");
    client
        .run(
            &Pipeline::new()
                .parse("s", SET)
                .describe_statement("s")
                .sync(),
        )
        .ok();
    // The same text is known by now: the verdict comes from the cache.
    other.run(&Pipeline::new().parse("s", SET).sync()).ok();
    let call = |name: &str, value: &str| {
        Pipeline::new()
            .bind("", "s", &[name, value])
            .describe("")
            .execute("", 0)
    };
    for round in 0..3 {
        let timeout = format!("{}s", round + 3);
        let answer = client.run(&call("lock_timeout", &timeout).sync());
        assert_eq!(answer.tags(), "2TDCZ");
        let answer = client.run(&call(SETTING, SYNERGY).sync());
        assert_eq!(
            (answer.tags(), ended(&answer)),
            ("EZ".into(), "tenant-setting".into())
        );
        let answer = other.run(&call("lock_timeout", "1h").sync());
        answer.ok();
        assert_eq!(client.value("SHOW lock_timeout"), timeout);
        assert_eq!(client.value(WHOSE), ALICE);
    }
    // Before the refusal is done, behind it nothing up to the Sync.
    let pipeline = Pipeline::new()
        .statement("SELECT 'before'")
        .prepared("s", &["role", "postgres"])
        .statement("SELECT 'behind'")
        .sync()
        .statement("SELECT 'after'")
        .sync();
    client.send(pipeline.bytes());
    let first = client.until_ready();
    assert_eq!(
        (first.column(), ended(&first)),
        (vec!["before".to_owned()], "role".to_owned())
    );
    assert_eq!(client.until_ready().ok().column(), ["after"]);
    // In a transaction it fails like an error of the server's.
    client.run_ok("BEGIN");
    assert_eq!(client.run(&call("role", "postgres").sync()).status(), 'E');
    assert_eq!(client.error("SELECT 1").code(), "25P02");
    client.run_ok("ROLLBACK");
    // What is rolled back does not follow the client.
    client.run_ok("BEGIN");
    client.run(&call("lock_timeout", "8h").sync()).ok();
    client.run_ok("ROLLBACK");
    other.run_ok("SELECT 1");
    assert_eq!(client.value("SHOW lock_timeout"), "5s");
}

#[test]
fn a_bind_is_judged_however_it_arrives() {
    let proxy = one_connection();
    let mut client = proxy.raw("innovate");
    for (name, status) in [("lock_timeout", "ok"), (SETTING, "tenant-setting")] {
        let pipeline = Pipeline::new()
            .parse("", SET)
            .bind("", "", &[name, "1s"])
            .execute("", 0)
            .sync();
        let bytes = pipeline.bytes();
        for at in 1..bytes.len() {
            let (front, rest) = bytes.split_at(at);
            client.send(front);
            if at % 8 == 0 {
                client.has_answer();
            }
            client.send(rest);
            assert_eq!(ended(&client.until_ready()), status, "{at}");
        }
        assert_eq!(client.value(WHOSE), ALICE);
    }
}

#[test]
fn no_other_way_leads_to_a_statement_that_waits_for_its_values() {
    for mode in ["transaction", "session"] {
        let proxy = Proxy::start(&Options {
            size: 1,
            mode,
            ..Options::default()
        });
        let mut client = proxy.raw("innovate");
        client
            .run(
                &Pipeline::new()
                    .parse("s", SET)
                    .describe_statement("s")
                    .sync(),
            )
            .ok();
        let bound = Pipeline::new()
            .bind("", "s", &["work_mem", "1MB"])
            .execute("", 0)
            .sync();
        client.run(&bound).ok();
        let names = ["s", "pgtenant_1", "pgtenant_2", "pgtenant_3"];
        for name in names {
            let execute = format!("EXECUTE {name}('{SETTING}', '{SYNERGY}')");
            assert_eq!(client.error(&execute).code(), "26000", "{execute}");
            assert_eq!(
                client.extended(&execute).error().code(),
                "26000",
                "{execute}"
            );
        }
        // Not even when it is deallocated by SQL.
        let deallocate = Pipeline::new()
            .parse("", "DEALLOCATE s")
            .describe_statement("")
            .sync();
        client.run(&deallocate).ok();
        for name in names {
            let execute = format!("EXECUTE {name}('{SETTING}', '{SYNERGY}')");
            // At most a statement that does nothing has such a name.
            assert_eq!(client.query(&execute).rows().len(), 0, "{execute}");
            assert_eq!(client.value(WHOSE), ALICE);
        }
        client.run(&bound).ok();
        client.run_ok("DEALLOCATE s");
        assert_eq!(client.run(&bound).error().code(), "26000");
        for sql in [
            "SELECT set_config($1, $2, false)",
            "PREPARE p AS SELECT set_config($1, $2, false)",
            "DECLARE c CURSOR FOR SELECT set_config($1, $2, false)",
            "CREATE VIEW v AS SELECT set_config($1, 'x', false)",
        ] {
            assert_eq!(client.error(sql).code(), "42501", "{sql}");
        }
        assert_eq!(client.value(WHOSE), ALICE);
    }
}
