//! `pg_backend_pid()` and the functions that cancel and end what it names: a
//! client's own sessions, and never another's.

use testkit::{INNOVATE, Options, Pipeline, Proxy, Raw, site, wait_until};

const WHOSE: &str = "SELECT email FROM users";

/// One server connection for all, and a second login of the first tenant.
fn start() -> Proxy {
    let more = format!(
        "[[logins]]\nuser = \"colleague\"\ntenant = \"{INNOVATE}\"\nscram = \"{}\"\n",
        site().login_verifier
    );
    Proxy::start(&Options {
        size: 1,
        more,
        ..Options::default()
    })
}

fn colleague(proxy: &Proxy) -> Raw {
    let database = proxy.database("innovate");
    let parameters = [("user", "colleague"), ("database", &database)];
    Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap()
}

/// Runs something that ends only when it is cancelled.
fn sleep(client: &mut Raw) {
    let sql = format!("SELECT pg_sleep(600), {}", client.pid);
    client.send_query(&sql);
    wait_until("it sleeps", || {
        let running = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE query = '{sql}' AND state = 'active'"
        );
        site().sql("postgres", &running) == "1"
    });
}

#[test]
fn a_session_is_known_by_the_process_id_that_its_client_was_given() {
    let proxy = start();
    let mut client = proxy.raw("innovate");
    let pid = client.pid.to_string();
    let given = client.pid.to_be_bytes();
    let sql = "SELECT pg_backend_pid()";
    let answer = client.query(sql);
    assert_eq!(
        (answer.tags(), answer.value(), answer.commands()),
        ("TDCZ".into(), pid.clone(), vec!["SELECT 1".into()])
    );
    let own = answer.of(b'T').next().unwrap().clone();
    let servers = client
        .run_ok("SELECT 1 AS pg_backend_pid")
        .of(b'T')
        .next()
        .unwrap()
        .clone();
    assert_eq!(own, servers);
    assert_eq!(client.extended(sql).value(), pid);
    assert_eq!(
        client.value("select pg_catalog.pg_backend_pid() as me;"),
        pid
    );
    for within in ["", "BEGIN"] {
        client.run_ok(within);
        let parse = Pipeline::new()
            .parse("p", sql)
            .describe_statement("p")
            .flush();
        client.send(parse.bytes());
        assert_eq!(client.until(b'T').tags(), "1tT");
        let binary = Pipeline::new()
            .bind_bytes("q", "p", &[], &[], &[1])
            .describe("q")
            .execute("q", 0)
            .close("q")
            .close_statement("p")
            .sync();
        let answer = client.run(&binary);
        assert_eq!(answer.tags(), "2TDC33Z", "{within}");
        assert!(answer.of(b'D').next().unwrap().body.ends_with(&given));
        let parts = Pipeline::new()
            .parse("", sql)
            .bind("", "", &[])
            .execute("", 1)
            .execute("", 1)
            .sync();
        assert_eq!(client.run(&parts).tags(), "12DsCZ");
        let mixed = Pipeline::new()
            .statement("SELECT 'a'")
            .statement(sql)
            .statement("SELECT 'c'")
            .sync();
        let answer = client.run(&mixed);
        assert_eq!(answer.tags(), "12TDC12TDC12TDCZ", "{within}");
        assert_eq!(answer.column(), ["a", &pid, "c"]);
        let alone = Pipeline::new()
            .statement(sql)
            .statement(sql)
            .sync()
            .query(sql);
        assert_eq!(client.run(&alone).column(), [&*pid, &*pid]);
        assert_eq!(client.until_ready().value(), pid);
    }
    assert_eq!(client.error("SELECT 1/0").code(), "22012");
    for failed in [
        client.query(sql),
        client.extended(sql),
        client.run(&Pipeline::new().parse("p", sql).sync()),
    ] {
        assert_eq!((failed.error().code(), failed.status()), ("25P02", 'E'));
    }
    client.run_ok("ROLLBACK");
    // Within something larger it is the server's process.
    assert_ne!(client.value("SELECT pg_backend_pid() + 0"), pid);
    assert_eq!(client.value(WHOSE), "alice@innovate.example");
}

#[test]
fn statements_behind_an_error_are_skipped() {
    let proxy = start();
    let mut client = proxy.raw("innovate");
    let mut other = proxy.raw("innovate");
    let end = format!("SELECT pg_terminate_backend({})", other.pid);
    let pipeline = Pipeline::new()
        .statement("SELECT 1/0")
        .statement(&end)
        .sync();
    assert_eq!(client.run(&pipeline).error().code(), "22012");
    let open = Pipeline::new().statement("SELECT 1").flush();
    client.send(open.bytes());
    client.until(b'C');
    assert_eq!(
        client
            .run(
                &Pipeline::new()
                    .statement("SELECT pg_backend_pid()")
                    .statement("SELECT 1/0")
                    .statement(&end)
                    .sync()
            )
            .errors()
            .len(),
        1
    );
    other.run_ok("SELECT 1");
}

#[test]
fn a_sessions_statement_is_cancelled_from_another_session_of_its_login() {
    let proxy = start();
    let mut busy = proxy.raw("innovate");
    let mut client = proxy.raw("innovate");
    let pid = busy.pid;
    let text = pid.to_string();
    let binary = pid.to_be_bytes();
    let one = |types: &[u32], formats: &[u16], value: &[u8], sql: &str| {
        Pipeline::new()
            .parse_with("", sql, types)
            .describe_statement("")
            .bind_bytes("", "", formats, &[Some(value)], &[])
            .describe("")
            .execute("", 0)
            .sync()
    };
    let parameter = "SELECT pg_cancel_backend($1)";
    let asked = [
        Pipeline::new().query(&format!("SELECT pg_cancel_backend({pid})")),
        Pipeline::new().query(&format!(
            "select pg_catalog.pg_cancel_backend('{pid}') AS stopped;"
        )),
        Pipeline::new().query(&format!("SELECT pg_cancel_backend({pid}::int)")),
        Pipeline::new().query(&format!(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid='{pid}'"
        )),
        Pipeline::new()
            .statement(&format!("SELECT pg_cancel_backend({pid})"))
            .sync(),
        one(&[], &[], text.as_bytes(), parameter),
        one(&[23], &[1], &binary, parameter),
        one(
            &[],
            &[1],
            &binary,
            "SELECT pg_cancel_backend($1::int4) AS c",
        ),
        one(
            &[],
            &[],
            text.as_bytes(),
            "SELECT pg_cancel_backend(pid) FROM pg_catalog.pg_stat_activity WHERE pid = $1",
        ),
    ];
    for (n, pipeline) in asked.iter().enumerate() {
        sleep(&mut busy);
        // There is no other server connection: it is answered without one.
        let answer = client.run(pipeline);
        assert_eq!(answer.ok().value(), "t", "{n}");
        assert_eq!(busy.until_ready().error().code(), "57014", "{n}");
    }
    // Who waits, and who does nothing.
    let mut holder = proxy.raw("synergy");
    holder.run_ok("BEGIN");
    busy.send_query("SELECT 1");
    wait_until("the waiting is cancelled", || {
        let answer = client.value(&format!("SELECT pg_cancel_backend({pid})"));
        assert_eq!(answer, "t");
        busy.has_answer()
    });
    assert_eq!(busy.until_ready().error().code(), "57014");
    assert_eq!(
        client.value(&format!("SELECT pg_cancel_backend({pid})")),
        "t"
    );
    holder.run_ok("COMMIT");
    busy.run_ok("SELECT 1");
    let own = format!("SELECT pg_cancel_backend({})", client.pid);
    assert_eq!(client.error(&own).code(), "57014");
    assert_eq!(client.extended(&own).error().code(), "57014");
    client.run_ok("SELECT 1");
}

#[test]
fn a_session_is_ended_from_another_session_of_its_login() {
    let proxy = start();
    let mut client = proxy.raw("innovate");
    for busy in [false, true] {
        let mut victim = proxy.raw("innovate");
        if busy {
            sleep(&mut victim);
        }
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid='{}'",
            victim.pid
        );
        assert_eq!(client.value(&sql), "t");
        let answer = victim.until_closed();
        let error = answer.error();
        assert_eq!(
            (error.code(), error.severity()),
            ("57P01", "FATAL"),
            "{busy}"
        );
        // Its server connection is free for others.
        assert_eq!(client.value(WHOSE), "alice@innovate.example");
        assert_eq!(client.query(&sql).ok().tags(), "TCZ");
    }
    // An open transaction ends with it.
    let mut victim = proxy.raw("innovate");
    victim.run_ok("BEGIN; SELECT 1");
    let end = Pipeline::new()
        .statement(&format!("SELECT pg_terminate_backend({})", victim.pid))
        .sync();
    assert_eq!(client.run(&end).ok().value(), "t");
    assert_eq!(victim.until_closed().error().code(), "57P01");
    assert_eq!(client.value(WHOSE), "alice@innovate.example");
    client.send_query(&format!("SELECT pg_terminate_backend({})", client.pid));
    assert_eq!(
        client.until_closed().errors().pop().unwrap().code(),
        "57P01"
    );
    proxy.wait_for_log("session_ended");
}

#[test]
fn nobody_elses_session_is_touched() {
    let proxy = start();
    let mut victim = proxy.raw("innovate");
    let server = victim.backend();
    let pid = victim.pid.to_string();
    sleep(&mut victim);
    for mut stranger in [proxy.raw("synergy"), colleague(&proxy)] {
        for pid in [&*pid, &*server, "0", "1", "2147483647"] {
            for function in ["pg_cancel_backend", "pg_terminate_backend"] {
                let sql = format!("SELECT {function}({pid})");
                for answer in [stranger.query(&sql), stranger.extended(&sql)] {
                    assert_eq!(answer.ok().value(), "f", "{sql}");
                    let notice = answer.of(b'N').next().unwrap().fields();
                    let message = format!("PID {pid} is not a PostgreSQL backend process");
                    assert_eq!(
                        (notice.severity(), notice.message()),
                        ("WARNING", &*message)
                    );
                }
                let listed =
                    format!("SELECT {function}(pid) FROM pg_stat_activity WHERE pid = {pid}");
                assert_eq!(stranger.query(&listed).ok().tags(), "TCZ", "{listed}");
                let bound = Pipeline::new().parse("", &format!("SELECT {function}($1)"));
                let null = bound
                    .clone()
                    .bind_with("", "", &[], &[None])
                    .execute("", 0)
                    .sync();
                assert_eq!(stranger.run(&null).ok().rows(), [[None]]);
                let bound = bound.bind("", "", &[pid]).execute("", 0).sync();
                assert_eq!(stranger.run(&bound).ok().value(), "f");
            }
        }
        for sql in [
            format!("SELECT pg_cancel_backend({pid}), 1"),
            format!("SELECT pg_terminate_backend({pid}, 100)"),
            format!("SELECT pg_terminate_backend({pid}); SELECT 1"),
            format!("SELECT * FROM pg_terminate_backend({pid})"),
            format!("SELECT pg_terminate_backend({pid} + 0)"),
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity".to_owned(),
            format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> {pid}"),
            format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = {pid} OR true"
            ),
            format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity, users WHERE pid = {pid}"
            ),
            format!("SELECT pg_terminate_backend({pid}) UNION SELECT true"),
            format!("EXPLAIN ANALYZE SELECT pg_terminate_backend({pid})"),
            format!("PREPARE x AS SELECT pg_terminate_backend({pid})"),
        ] {
            assert_eq!(stranger.error(&sql).code(), "42501", "{sql}");
            assert_eq!(stranger.extended(&sql).errors()[0].code(), "42501", "{sql}");
        }
        let types = Pipeline::new()
            .parse_with("", "SELECT pg_cancel_backend($1)", &[20])
            .sync();
        assert_eq!(stranger.run(&types).error().code(), "42501");
        let values = Pipeline::new()
            .parse("", "SELECT pg_cancel_backend($1)")
            .bind("", "", &[])
            .sync();
        assert_eq!(stranger.run(&values).error().code(), "08P01");
    }
    assert!(!victim.has_answer());
    victim.cancel();
    assert_eq!(victim.until_ready().error().code(), "57014");
}

#[test]
fn answers_that_nobody_reads_and_requests_without_end_are_bounded() {
    let proxy = start();
    let mut busy = proxy.raw("innovate");
    let mut client = proxy.raw("innovate");
    let queries = Pipeline::new().query("SELECT pg_backend_pid()");
    let many = queries.bytes().repeat(100_000);
    for begin in ["SELECT 1", "BEGIN"] {
        client.run_ok(begin);
        let mut stream = client.stream.try_clone().unwrap();
        let many = many.clone();
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stream, &many));
        for _ in 0..100_000 {
            client.until_ready().ok();
        }
        writer.join().unwrap().unwrap();
    }
    client.run_ok("COMMIT");
    assert!(proxy.peak_memory() < 200 << 20);
    sleep(&mut busy);
    let cancel = format!("SELECT pg_cancel_backend({})", busy.pid);
    let cancels = Pipeline::new().query(&cancel).bytes().repeat(1000);
    client.send(&cancels);
    for _ in 0..1000 {
        assert_eq!(client.until_ready().value(), "t");
    }
    assert_eq!(busy.until_ready().error().code(), "57014");
    wait_until("no request is left", || {
        busy.query("SELECT 1").errors().is_empty()
    });
}
