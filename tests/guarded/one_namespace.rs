//! Prepared statements of SQL and of the protocol: PostgreSQL keeps both in one
//! namespace of the session's.

use testkit::{Fields, INNOVATE, Options, Pipeline, Plain, Programs, Proxy, Raw};

/// Names for the same statement on both sides, and for others.
fn scripts() -> Vec<(&'static str, Vec<Pipeline>)> {
    let p = Pipeline::new;
    vec![
        (
            "PREPARE, then Bind",
            vec![
                p().query("PREPARE tp(int) AS SELECT $1 + 1"),
                p().bind("", "tp", &["41"])
                    .describe("")
                    .execute("", 0)
                    .sync(),
                p().describe_statement("tp").sync(),
                p().parse("tp", "SELECT 1").sync(),
                p().close_statement("tp")
                    .parse("tp", "SELECT 'protocol'")
                    .sync(),
                p().prepared("tp", &[]).sync(),
                p().query("DEALLOCATE tp"),
                p().prepared("tp", &[]).sync(),
            ],
        ),
        (
            "PREPARE in the extended protocol, with others",
            vec![
                p().statement("PREPARE a AS SELECT 'a'")
                    .prepared("a", &[])
                    .sync(),
                p().query("PREPARE b AS SELECT 'b'; PREPARE c AS SELECT 'c'; DEALLOCATE a"),
                p().prepared("a", &[]).sync(),
                p().prepared("b", &[]).sync(),
                p().statement("DEALLOCATE b")
                    .statement("DEALLOCATE c")
                    .sync(),
                p().prepared("b", &[]).sync(),
                p().prepared("c", &[]).sync(),
            ],
        ),
        (
            "PREPARE stays behind a rollback",
            vec![
                p().query("BEGIN; PREPARE r AS SELECT 'r'; ROLLBACK"),
                p().prepared("r", &[]).sync(),
                p().query("DEALLOCATE ALL"),
                p().prepared("r", &[]).sync(),
            ],
        ),
        (
            "Parse, then EXECUTE",
            vec![
                p().parse("pp", "SELECT $1::int + 1").sync(),
                p().query("EXECUTE pp(41)"),
                p().query("EXPLAIN (COSTS OFF) EXECUTE pp(41)"),
                p().query("PREPARE pp AS SELECT 1"),
                p().statement("EXECUTE pp(41)").sync(),
                p().statement("EXPLAIN (COSTS OFF) EXECUTE pp(41)").sync(),
                p().prepared("pp", &["41"]).sync(),
                p().query("DEALLOCATE pp"),
                p().statement("EXECUTE pp(41)").sync(),
            ],
        ),
        (
            "one name again and again in one string",
            vec![
                p().query(
                    "PREPARE z AS SELECT 1; DEALLOCATE z; PREPARE y AS SELECT 'y'; \
                     EXECUTE y; PREPARE z AS SELECT 2; DEALLOCATE y",
                ),
                p().prepared("z", &[]).sync(),
                p().prepared("y", &[]).sync(),
            ],
        ),
        (
            "a table that is gone",
            vec![
                p().query("CREATE TEMP TABLE gone (n int)"),
                p().parse("g", "SELECT * FROM gone").sync(),
                p().query("DROP TABLE gone"),
                p().statement("EXECUTE g").sync(),
                p().statement("SELECT 1").statement("EXECUTE g").sync(),
            ],
        ),
        (
            "long names",
            vec![
                p().query(&format!("PREPARE {} AS SELECT 'long'", "n".repeat(63))),
                p().prepared(&"n".repeat(63), &[]).sync(),
                p().prepared(&"n".repeat(70), &[]).sync(),
            ],
        ),
    ]
}

fn told(client: &mut Raw, pipeline: &Pipeline) -> Vec<String> {
    let answer = client.run(pipeline);
    let code = |fields: &Fields| format!("{} {}", fields.code(), fields.all["M"]);
    let rows = answer.rows().into_iter().map(|row| format!("{row:?}"));
    rows.chain(answer.errors().iter().map(code)).collect()
}

#[test]
fn names_mean_the_same_in_sql_and_in_messages() {
    for programs in [15, 18].into_iter().filter_map(Programs::find) {
        let plain = Plain::start(&programs, &[]);
        for mode in ["transaction", "session"] {
            let pool = format!("size = 1\nmode = \"{mode}\"");
            let proxy = plain.proxy(plain.cluster.port(), &pool, "");
            for (name, script) in scripts() {
                let mut client = plain.client(&proxy, "innovate");
                let mut direct = plain.direct("wellness_corp_db", INNOVATE);
                for (step, pipeline) in script.iter().enumerate() {
                    let expected = told(&mut direct, pipeline);
                    let got = told(&mut client, pipeline);
                    assert_eq!(got, expected, "{mode}, {name}, step {step}");
                }
            }
        }
    }
}

#[test]
fn a_name_of_another_client_is_unknown_to_messages_and_sql() {
    let proxy = Proxy::start(&Options {
        size: 1,
        ..Options::default()
    });
    let mut owner = proxy.raw("innovate");
    let mut other = proxy.raw("synergy");
    owner.run_ok("PREPARE secret AS SELECT 'secret' AS secret");
    let bind = Pipeline::new().prepared("secret", &[]).sync();
    assert_eq!(owner.run(&bind).ok().value(), "secret");
    owner.run_ok("DISCARD ALL");
    assert_eq!(owner.run(&bind).error().code(), "26000");
    assert_eq!(other.run(&bind).error().code(), "26000");
    // Nor can the names be spoken that the server has for statements.
    owner.run(&Pipeline::new().parse("s", "SELECT email FROM users").sync());
    for name in (1..20).map(|n| format!("pgtenant_{n}")) {
        let parse = format!("EXECUTE {name}");
        let describe = Pipeline::new()
            .parse("", &parse)
            .describe_statement("")
            .sync();
        assert_eq!(other.run(&describe).error().code(), "26000", "{name}");
        assert_eq!(
            other.error(&format!("EXPLAIN EXECUTE {name}")).code(),
            "26000"
        );
    }
}
