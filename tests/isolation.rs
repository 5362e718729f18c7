//! What a tenant can see, and what it can leave behind: nothing of another's,
//! nothing for another.

#![allow(clippy::unwrap_used)]

use testkit::{Answer, Options, Pipeline, Proxy, Raw, SYNERGY, site, wait_until};

/// What each tenant's tables say of whose they are.
const OWN_ROWS: &[(&str, &str, &[&str])] = &[
    ("innovate", "SELECT email FROM users", &[ALICE]),
    ("synergy", "SELECT email FROM users", &[BOB]),
    (
        "acme",
        "SELECT DISTINCT employee_email FROM employee_logs ORDER BY 1",
        &["carol@acme-health.example", "dan@acme-health.example"],
    ),
    (
        "globex",
        "SELECT DISTINCT employee_email FROM employee_logs ORDER BY 1",
        &["erin@globex.example", "frank@globex.example"],
    ),
    (
        "initech",
        "SELECT email FROM users",
        &["grace@initech.example"],
    ),
    (
        "umbrella",
        "SELECT email FROM users",
        &["grace@umbrella.example"],
    ),
];
const ALICE: &str = "alice@innovate.example";
const BOB: &str = "bob@synergy.example";

/// Whose rows are seen.
const WHOSE: &str = "SELECT email FROM users";

/// The batch with which asyncpg returns a connection to its pool.
const ASYNCPG_RESET: &str = "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;";

fn one_connection() -> Options {
    Options {
        size: 1,
        ..Options::default()
    }
}

/// A proxy with a database of its own and one server connection.
fn one_connection_of_ones_own() -> Options {
    Options {
        database: site().fresh_database(),
        ..one_connection()
    }
}

#[test]
fn each_kind_shows_exactly_ones_own_rows() {
    for share in ["scrubbed", "tenant"] {
        let proxy = Proxy::start(&Options {
            share,
            ..Options::default()
        });
        for (login, sql, expected) in OWN_ROWS {
            let mut client = proxy.raw(login);
            assert_eq!(client.run_ok(sql).column(), *expected, "{login}, {share}");
            let extended = client.extended(sql);
            assert_eq!(extended.ok().column(), *expected, "{login}, {share}");
        }
    }
}

#[tokio::test]
async fn a_driver_and_psql_see_ones_own_rows() {
    let proxy = Proxy::start(&Options::default());
    let client = proxy.connect("synergy").await;
    let row = client.query_one(WHOSE, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), BOB);
    let output = proxy.psql("innovate", &[WHOSE]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{ALICE}\n")
    );
}

#[test]
fn tenants_that_alternate_on_one_server_connection_see_their_own_rows() {
    let proxy = Proxy::start(&one_connection());
    let mut clients = [(proxy.raw("innovate"), ALICE), (proxy.raw("synergy"), BOB)];
    let backend = clients[0].0.backend();
    for round in 0..30 {
        for (client, own) in &mut clients {
            let sql = "SELECT email, pg_backend_pid() FROM users";
            let answer = match round % 2 {
                0 => client.query(sql),
                _ => client.extended(sql),
            };
            let expected = [Some((*own).to_owned()), Some(backend.clone())];
            assert_eq!(answer.ok().rows(), [expected]);
        }
    }
}

#[test]
fn tenants_that_do_not_share_have_server_connections_of_their_own() {
    let proxy = Proxy::start(&Options {
        share: "tenant",
        size: 2,
        ..Options::default()
    });
    let mut a = proxy.raw("innovate");
    let mut b = proxy.raw("synergy");
    let (of_a, of_b) = (a.backend(), b.backend());
    assert_ne!(of_a, of_b);
    for _ in 0..10 {
        assert_eq!(a.backend(), of_a);
        assert_eq!(b.backend(), of_b);
        assert_eq!((&*a.value(WHOSE), &*b.value(WHOSE)), (ALICE, BOB));
    }
    // A third has to take the place of one of the two, not its connection.
    let mut third = Proxy::start(&Options {
        share: "tenant",
        ..one_connection()
    });
    assert!(third.is_running());
    let mut a = third.raw("innovate");
    let mut b = third.raw("synergy");
    let of_a = a.backend();
    assert_ne!(b.backend(), of_a);
    assert_ne!(a.backend(), of_a);
}

/// Statements after each of which the tenant must be the same, unless the
/// transaction has failed.
const SCRIPTS: &[&[&str]] = &[
    &["BEGIN", "ROLLBACK"],
    &["BEGIN", "SAVEPOINT s", "ROLLBACK TO s", "COMMIT"],
    &["BEGIN", "SELECT 1/0", "ROLLBACK"],
    &[
        "BEGIN",
        "SAVEPOINT s",
        "SELECT 1/0",
        "ROLLBACK TO s",
        "COMMIT",
    ],
    &["SELECT 1/0"],
    &["RESET ALL"],
    &["DISCARD ALL"],
    &["BEGIN", "RESET ALL", "COMMIT"],
    &["BEGIN", "RESET ALL", "ROLLBACK"],
    &["BEGIN", "RESET ALL", "SELECT 1/0", "ROLLBACK"],
    &[
        "BEGIN",
        "SAVEPOINT s",
        "RESET ALL",
        "ROLLBACK TO s",
        "COMMIT",
    ],
    &[
        "BEGIN",
        "RESET ALL",
        "SAVEPOINT s",
        "RESET ALL",
        "SELECT 1/0",
        "ROLLBACK TO s",
        "RESET ALL",
        "ROLLBACK",
    ],
    &["BEGIN", "SELECT 1/0", "RESET ALL", "ROLLBACK"],
    &["BEGIN", "DISCARD ALL", "ROLLBACK"],
    &[ASYNCPG_RESET],
    &["BEGIN", ASYNCPG_RESET, "ROLLBACK"],
    &["BEGIN; RESET ALL", "ROLLBACK"],
    &["BEGIN; SAVEPOINT s; RESET ALL", "ROLLBACK TO s", "COMMIT"],
    &["SELECT 1/0; RESET ALL"],
    &["RESET ALL; SET TimeZone = 'UTC'; SELECT 1"],
    &["RESET ALL; SET TimeZone = 'nowhere'"],
    &["BEGIN; RESET ALL; SET TimeZone = 'nowhere'", "ROLLBACK"],
    &[
        "BEGIN; SAVEPOINT s",
        "RESET ALL; SET TimeZone = 'nowhere'",
        "ROLLBACK TO s",
        "COMMIT",
    ],
    &["SELECT 1; DISCARD ALL"],
    &["BEGIN", "ROLLBACK; RESET ALL"],
    &["BEGIN; ROLLBACK; BEGIN", "ROLLBACK AND CHAIN", "COMMIT"],
];

#[test]
fn neither_rollback_nor_reset_loses_or_switches_the_tenant() {
    for share in ["scrubbed", "tenant"] {
        let proxy = Proxy::start(&Options {
            share,
            ..one_connection()
        });
        // The other tenant of the same database goes first, so that a step back
        // would lead to it.
        for (own, other) in [(0, 1), (2, 3)] {
            let (login, whose, expected) = OWN_ROWS[own];
            let mut client = proxy.raw(login);
            let mut other = proxy.raw(OWN_ROWS[other].0);
            for script in SCRIPTS {
                for run in [Raw::query, Raw::extended] {
                    other.backend();
                    for statement in *script {
                        let status = run(&mut client, statement).status();
                        if status != 'E' {
                            let seen = client.run_ok(whose).column();
                            assert_eq!(seen, expected, "{statement} of {script:?}, {share}");
                        }
                    }
                    // Several statements at once are no extended query.
                    client.query("ROLLBACK");
                    assert_eq!(client.run_ok(whose).column(), expected);
                }
            }
        }
    }
}

#[test]
fn resets_are_answered_as_drivers_expect() {
    let proxy = Proxy::start(&one_connection());
    let mut client = proxy.raw("innovate");
    assert_eq!(client.query("RESET ALL").tags(), "CZ");
    assert_eq!(client.query("RESET ALL").commands(), ["RESET"]);
    assert_eq!(client.query("DISCARD ALL").commands(), ["DISCARD ALL"]);
    assert_eq!(
        client.query(ASYNCPG_RESET).commands(),
        ["SELECT 1", "CLOSE CURSOR ALL", "UNLISTEN", "RESET"]
    );
    assert_eq!(client.extended("DISCARD ALL").tags(), "12nCZ");
    assert_eq!(client.extended("RESET ALL").commands(), ["RESET"]);
}

#[test]
fn what_is_pipelined_behind_a_reset_runs_as_the_tenant() {
    let proxy = Proxy::start(&one_connection());
    let mut other = proxy.raw("synergy");
    let mut client = proxy.raw("innovate");
    for reset in ["RESET ALL", "DISCARD ALL"] {
        other.backend();
        client.send(Pipeline::new().query(reset).query(WHOSE).bytes());
        client.until_ready().ok();
        assert_eq!(client.until_ready().ok().value(), ALICE);

        other.backend();
        let pipeline = Pipeline::new()
            .statement(reset)
            .sync()
            .statement(WHOSE)
            .sync();
        client.send(pipeline.bytes());
        client.until_ready().ok();
        assert_eq!(client.until_ready().ok().value(), ALICE);

        // Between a reset and its Sync, too.
        let pipeline = Pipeline::new().statement(reset).statement(WHOSE).sync();
        assert_eq!(client.run(&pipeline).ok().value(), ALICE);
        assert_eq!(client.value(WHOSE), ALICE);
    }
    client.run_ok("BEGIN");
    let pipeline = Pipeline::new()
        .query("RESET ALL")
        .query("ROLLBACK")
        .query(WHOSE);
    client.send(pipeline.bytes());
    assert_eq!(client.until_ready().status(), 'T');
    assert_eq!(client.until_ready().status(), 'I');
    assert_eq!(client.until_ready().ok().value(), ALICE);
}

/// Makes two clients of different tenants use the same server connection, first
/// `before`, then `after`; returns what the second gets.
fn handed_over(options: &Options, before: impl FnOnce(&mut Raw), after: &str) -> Answer {
    let proxy = Proxy::start(options);
    let mut first = proxy.raw("innovate");
    let mut second = proxy.raw("synergy");
    let backend = first.backend();
    before(&mut first);
    assert_eq!(first.backend(), backend);
    drop(first);
    assert_eq!(second.backend(), backend);
    second.query(after)
}

#[test]
fn a_temporary_table_is_gone() {
    let make = |client: &mut Raw| {
        client.run_ok("CREATE TEMP TABLE secret AS SELECT 42 AS n");
        assert_eq!(client.value("SELECT n FROM secret"), "42");
    };
    let error = handed_over(&one_connection(), make, "SELECT n FROM secret").error();
    assert_eq!(error.code(), "42P01");
}

#[test]
fn a_prepared_statement_is_gone() {
    let make = |client: &mut Raw| {
        client.run_ok("PREPARE secret AS SELECT 42");
        assert_eq!(client.value("EXECUTE secret"), "42");
        let parse = Pipeline::new().parse("mine", "SELECT 43").sync();
        client.run(&parse).ok();
        let names =
            "SELECT string_agg(statement, '|' ORDER BY statement) FROM pg_prepared_statements";
        let names = client.value(names);
        assert!(names.contains("SELECT 42") && names.contains("SELECT 43"));
    };
    let left = "SELECT count(*) FROM pg_prepared_statements";
    // What shows them is refused otherwise.
    let options = Options {
        channels: "allow",
        ..one_connection()
    };
    assert_eq!(handed_over(&options, make, left).ok().value(), "0");
}

#[test]
fn a_cursor_with_hold_is_gone() {
    let make = |client: &mut Raw| {
        client.run_ok("DECLARE secret CURSOR WITH HOLD FOR SELECT 42");
        assert_eq!(client.value("FETCH secret"), "42");
    };
    let left = "SELECT count(*) FROM pg_cursors";
    assert_eq!(handed_over(&one_connection(), make, left).ok().value(), "0");
}

#[test]
fn a_session_setting_is_gone() {
    let make = |client: &mut Raw| {
        client.run_ok("SET work_mem = '4321kB'");
        client.run_ok("SET statement_timeout = '47s'");
        assert_eq!(client.value("SHOW work_mem"), "4321kB");
    };
    let left = "SELECT current_setting('work_mem') = '4321kB', \
                current_setting('statement_timeout')";
    let seen = handed_over(&one_connection(), make, left).ok().rows();
    assert_eq!(seen, [[Some("f".to_owned()), Some("0".to_owned())]]);
}

#[test]
fn an_advisory_lock_is_gone() {
    let options = Options {
        channels: "allow",
        ..one_connection_of_ones_own()
    };
    let make = |client: &mut Raw| {
        client.run_ok("SELECT pg_advisory_lock(4242)");
        assert_eq!(client.value(ADVISORY), "1");
    };
    assert_eq!(handed_over(&options, make, ADVISORY).ok().value(), "0");
}

const ADVISORY: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4242";

#[test]
fn a_subscription_is_gone() {
    let options = Options {
        channels: "allow",
        ..one_connection_of_ones_own()
    };
    let listen = |client: &mut Raw| {
        client.run_ok("LISTEN gossip");
        // It works as long as the client is there.
        let answer = client.run_ok("NOTIFY gossip, 'hello'");
        assert_eq!(answer.of(b'A').count(), 1);
    };
    let answer = handed_over(&options, listen, "NOTIFY gossip, 'secret'");
    assert_eq!(answer.ok().of(b'A').count(), 0);
}

#[test]
fn random_numbers_cannot_be_foretold() {
    let proxy = Proxy::start(&one_connection());
    let mut first = proxy.raw("innovate");
    let mut second = proxy.raw("synergy");
    let backend = first.backend();
    first.run_ok("SELECT setseed(0.5)");
    let foretold = first.value("SELECT random()");
    first.run_ok("SELECT setseed(0.5)");
    drop(first);
    let seen = second.run_ok("SELECT random(), pg_backend_pid()").rows();
    assert_eq!(seen[0][1], Some(backend));
    assert_ne!(seen[0][0], Some(foretold));
}

/// A client, and one of the same tenant that can hold its server connection.
fn two_connections() -> (Proxy, Raw, Raw) {
    let proxy = Proxy::start(&Options {
        size: 2,
        ..Options::default()
    });
    let (client, holder) = (proxy.raw("innovate"), proxy.raw("innovate"));
    (proxy, client, holder)
}

/// Makes `client` change to another server connection, by holding its last one.
fn change_connection(client: &mut Raw, holder: &mut Raw) {
    let before = hold_connection_of(client, holder);
    assert_ne!(client.backend(), before);
}

/// Begins a transaction on the server connection that `client` used last.
fn hold_connection_of(client: &mut Raw, holder: &mut Raw) -> String {
    let mut held = String::new();
    // A client has its answer a moment before its connection is free.
    wait_until("the client's connection is held", || {
        held = client.backend();
        let same = holder.value("BEGIN; SELECT pg_backend_pid()") == held;
        if !same {
            holder.run_ok("ROLLBACK");
        }
        same
    });
    held
}

#[test]
fn a_clients_settings_follow_it_to_another_server_connection() {
    let (_proxy, mut client, mut holder) = two_connections();
    client.run_ok("SET statement_timeout = '47s'");
    client.run_ok("SET TimeZone = 'Asia/Tokyo'");
    client.extended("SET app.flavor = 'sour'").ok();
    client.run_ok("SELECT set_config('DateStyle', 'German', false)");
    change_connection(&mut client, &mut holder);
    assert_eq!(client.value("SHOW statement_timeout"), "47s");
    assert_eq!(client.value("SHOW TimeZone"), "Asia/Tokyo");
    assert_eq!(client.value("SHOW app.flavor"), "sour");
    assert_eq!(client.value("SHOW DateStyle"), "German, DMY");
    assert_eq!(client.value("SELECT DATE '2026-11-22'"), "22.11.2026");
    // The holder has the client's former connection, and its own settings.
    assert_eq!(holder.value("SHOW statement_timeout"), "0");
    assert_ne!(holder.value("SHOW TimeZone"), "Asia/Tokyo");
    assert_ne!(holder.value("SHOW app.flavor"), "sour");
    assert_eq!(holder.value("SELECT DATE '2026-11-22'"), "2026-11-22");
}

/// What the proxy asks the server for between two transactions runs under the
/// client's timeout too: on a connection that has just been opened, it takes
/// longer than this one.
#[test]
fn a_client_s_own_timeout_does_not_end_its_session() {
    for _ in 0..5 {
        let proxy = Proxy::start(&one_connection());
        let mut client = proxy.raw("innovate");
        client.run_ok("SET app.flavor = 'sour'; SET statement_timeout = '2ms'");
        wait_until("a statement is quick enough", || {
            let errors = client.query("RESET statement_timeout").errors();
            assert!(errors.iter().all(|e| e.code() == "57014"), "{errors:?}");
            errors.is_empty()
        });
        assert_eq!(client.value("SHOW app.flavor"), "sour");
    }
}

#[test]
fn what_is_rolled_back_or_local_does_not_follow() {
    let (_proxy, mut client, mut holder) = two_connections();
    client.run_ok("SET statement_timeout = '47s'");
    client.run_ok("BEGIN; SET statement_timeout = '48s'");
    assert_eq!(client.value("SHOW statement_timeout"), "48s");
    client.run_ok("ROLLBACK");
    client.run_ok("BEGIN; SET LOCAL lock_timeout = '49s'");
    assert_eq!(client.value("SHOW lock_timeout"), "49s");
    client.run_ok("COMMIT");
    client.run_ok("BEGIN; SET app.a = '1'; SAVEPOINT s; SET app.a = '2'; ROLLBACK TO s; COMMIT");
    client.query("BEGIN; SET app.b = '1'; SELECT 1/0");
    client.query("COMMIT");
    change_connection(&mut client, &mut holder);
    assert_eq!(client.value("SHOW statement_timeout"), "47s");
    assert_eq!(client.value("SHOW lock_timeout"), "0");
    assert_eq!(client.value("SHOW app.a"), "1");
    let b = "SELECT coalesce(current_setting('app.b', true), '')";
    assert_eq!(client.value(b), "");
}

#[test]
fn what_is_reset_does_not_follow() {
    let (_proxy, mut client, mut holder) = two_connections();
    client.run_ok("SET statement_timeout = '47s'; SET app.flavor = 'sour'");
    client.run_ok("RESET statement_timeout");
    change_connection(&mut client, &mut holder);
    assert_eq!(client.value("SHOW statement_timeout"), "0");
    assert_eq!(client.value("SHOW app.flavor"), "sour");
    client.run_ok("RESET ALL");
    holder.run_ok("COMMIT");
    change_connection(&mut client, &mut holder);
    let flavor = "SELECT coalesce(current_setting('app.flavor', true), '')";
    assert_eq!(client.value(flavor), "");
}

#[test]
fn a_reset_that_did_not_happen_changes_no_settings() {
    let undone: &[&[&str]] = &[
        &["BEGIN", "RESET ALL", "ROLLBACK"],
        &[
            "BEGIN",
            "SAVEPOINT s",
            "RESET ALL",
            "ROLLBACK TO s",
            "COMMIT",
        ],
        &["SELECT 1/0; RESET ALL"],
        &["BEGIN", "DISCARD ALL", "ROLLBACK"],
    ];
    for script in undone {
        let (_proxy, mut client, mut holder) = two_connections();
        client.run_ok("SET statement_timeout = '47s'");
        for statement in *script {
            client.query(statement);
        }
        let seen = client.value("SHOW statement_timeout");
        assert_eq!(seen, "47s", "at once after {script:?}");
        // The other client is on the same connection and has its own settings.
        hold_connection_of(&mut client, &mut holder);
        let seen = holder.value("SHOW statement_timeout");
        assert_eq!(seen, "0", "another client's after {script:?}");
        let seen = client.value("SHOW statement_timeout");
        assert_eq!(seen, "47s", "elsewhere after {script:?}");
    }
}

#[test]
fn settings_of_the_startup_packet_follow_the_client_and_survive_its_resets() {
    let proxy = Proxy::start(&Options {
        size: 2,
        database: site().fresh_database(),
        ..Options::default()
    });
    let parameters = [
        ("application_name", "payroll"),
        ("TimeZone", "Asia/Tokyo"),
        (
            "options",
            "-c statement_timeout=47s -c app.flavor=sour\\ sweet",
        ),
    ];
    let mut client = proxy.raw_with("innovate", &parameters);
    let mut holder = proxy.raw_with("innovate", &[("application_name", "billing")]);
    assert_eq!(client.parameters["application_name"], "payroll");
    assert_eq!(client.parameters["TimeZone"], "Asia/Tokyo");
    let check = |client: &mut Raw| {
        assert_eq!(client.value("SHOW application_name"), "payroll");
        assert_eq!(client.value("SHOW TimeZone"), "Asia/Tokyo");
        assert_eq!(client.value("SHOW statement_timeout"), "47s");
        assert_eq!(client.value("SHOW app.flavor"), "sour sweet");
    };
    check(&mut client);
    change_connection(&mut client, &mut holder);
    check(&mut client);
    client.run_ok("SET TimeZone = 'UTC'; SET application_name = 'x'");
    let answer = client.run_ok("RESET ALL");
    assert!(
        answer.of(b'S').count() > 0,
        "the client learns what is reset"
    );
    check(&mut client);
    assert_eq!(client.parameters["TimeZone"], "Asia/Tokyo");
    client.run_ok("DISCARD ALL");
    check(&mut client);
    // The server shows whose connection it is at present.
    let backend = client.backend();
    let sql = format!("SELECT application_name FROM pg_stat_activity WHERE pid = {backend}");
    assert_eq!(site().sql("postgres", &sql), "payroll");
    assert_eq!(holder.value("SHOW application_name"), "billing");
}

#[test]
fn parameter_reports_reach_the_client_that_changed_them() {
    let proxy = Proxy::start(&one_connection());
    let mut client = proxy.raw("innovate");
    let mut other = proxy.raw("innovate");
    let before = other.parameters["TimeZone"].clone();
    client.run_ok("SET TimeZone = 'Asia/Tokyo'");
    assert_eq!(client.parameters["TimeZone"], "Asia/Tokyo");
    assert_eq!(other.backend(), client.backend());
    assert_eq!(other.parameters["TimeZone"], before);
    assert_eq!(other.value("SHOW TimeZone"), before);
}

/// Functions of the application's, made by the database's owner, that change
/// the tenant's setting where no guard can see it.
fn with_traps() -> Options {
    let options = one_connection_of_ones_own();
    site().sql(
        &options.database,
        "CREATE FUNCTION become(text) RETURNS void LANGUAGE plpgsql AS $$
         BEGIN PERFORM set_config('session.current_organization_id', $1, false); END $$;
         CREATE FUNCTION whose() RETURNS text LANGUAGE sql AS 'SELECT email FROM users';",
    );
    options
}

#[test]
fn what_unseen_code_did_to_the_tenant_ends_with_the_transaction() {
    for share in ["scrubbed", "tenant"] {
        let options = Options {
            share,
            ..with_traps()
        };
        let proxy = Proxy::start(&options);
        let mut client = proxy.raw("innovate");
        let mut same = proxy.raw("innovate");
        let backend = client.backend();
        for run in [Raw::query, Raw::extended] {
            client.run_ok("BEGIN");
            run(&mut client, &format!("SELECT become('{SYNERGY}')")).ok();
            // Without a seal the database cannot tell: the case is real.
            assert_eq!(client.value(WHOSE), BOB);
            client.run_ok("COMMIT");
            assert_eq!(client.value(WHOSE), ALICE);
            assert_eq!(client.backend(), backend);

            run(&mut client, &format!("SELECT become('{SYNERGY}')")).ok();
            assert_eq!(same.backend(), backend);
            assert_eq!(same.value(WHOSE), ALICE);
        }
    }
}

#[test]
fn what_unseen_code_did_ends_with_the_transaction_on_a_connection_that_is_kept_too() {
    for mode in ["transaction", "session"] {
        let options = Options {
            mode,
            ..with_traps()
        };
        let proxy = Proxy::start(&options);
        let mut client = proxy.raw("innovate");
        client.run_ok("CREATE TEMP TABLE mine AS SELECT 42 AS n");
        let backend = client.backend();
        let become_synergy = format!("SELECT become('{SYNERGY}')");
        for run in [Raw::query, Raw::extended] {
            client.run_ok("BEGIN");
            run(&mut client, &become_synergy).ok();
            assert_eq!(client.value(WHOSE), BOB);
            client.run_ok("COMMIT");
            assert_eq!(client.value(WHOSE), ALICE);

            run(&mut client, "SET extra_float_digits = 2").ok();
            run(&mut client, &become_synergy).ok();
            assert_eq!(run(&mut client, WHOSE).ok().value(), ALICE);
            // The rest of its session is as it was.
            assert_eq!(client.value("SELECT n FROM mine"), "42");
            assert_eq!(client.value("SHOW extra_float_digits"), "2");
            assert_eq!(client.backend(), backend);
        }
        // A statement without a name is the client's again, too.
        let become_named = Pipeline::new().parse("b", &become_synergy).sync();
        client.run(&become_named).ok();
        let parse_unnamed = Pipeline::new().parse("", WHOSE).sync();
        client.run(&parse_unnamed).ok();
        client.run(&Pipeline::new().prepared("b", &[]).sync()).ok();
        let answer = client.run(&Pipeline::new().prepared("", &[]).sync());
        assert_eq!(answer.ok().value(), ALICE);
        assert_eq!(client.backend(), backend);
    }
}

#[test]
fn what_unseen_code_did_ends_with_the_transaction_within_a_pipeline_too() {
    for pinned in [false, true] {
        let proxy = Proxy::start(&with_traps());
        let mut client = proxy.raw("innovate");
        if pinned {
            client.run_ok("CREATE TEMP TABLE mine AS SELECT 42 AS n");
        }
        let become_synergy = format!("SELECT become('{SYNERGY}')");
        let simple = Pipeline::new().query(&become_synergy).query(WHOSE);
        let extended = Pipeline::new()
            .statement(&become_synergy)
            .sync()
            .statement(WHOSE)
            .sync();
        let mixed = Pipeline::new()
            .statement(&become_synergy)
            .sync()
            .query(WHOSE);
        for pipeline in [simple, extended, mixed] {
            client.send(pipeline.bytes());
            client.until_ready().ok();
            assert_eq!(client.until_ready().ok().value(), ALICE);
        }
        // Within one transaction it holds: the case is real.
        let one = Pipeline::new()
            .query("BEGIN")
            .query(&become_synergy)
            .query(WHOSE)
            .query("COMMIT")
            .query(WHOSE);
        client.send(one.bytes());
        let mut answers: Vec<_> = (0..5).map(|_| client.until_ready()).collect();
        assert_eq!(answers.remove(2).ok().value(), BOB);
        assert_eq!(answers.remove(3).ok().value(), ALICE);
    }
}

#[test]
fn a_client_that_listens_misses_nothing_while_its_tenant_is_attached_again() {
    const EACH: usize = 100;
    let proxy = Proxy::start(&Options {
        channels: "allow",
        size: 2,
        ..with_traps()
    });
    let mut listener = proxy.raw("innovate");
    let mut other = proxy.raw("innovate");
    listener.run_ok("LISTEN news");
    let backend = listener.backend();
    let mut heard = 0;
    for n in 0..EACH {
        other.send_query(&format!("NOTIFY news, '{n}'"));
        let answer = listener.query("SELECT whose()");
        assert_eq!(answer.ok().value(), ALICE);
        heard += answer.of(b'A').count();
        other.until_ready().ok();
    }
    while heard < EACH {
        heard += usize::from(listener.read().tag == b'A');
    }
    assert_eq!(listener.backend(), backend);
}

#[test]
fn a_session_ends_when_unseen_code_makes_the_server_read_otherwise() {
    for (setting, value) in [
        ("client_encoding", "SJIS"),
        ("standard_conforming_strings", "off"),
    ] {
        let proxy = Proxy::start(&Options {
            opaque: "allow",
            ..one_connection()
        });
        let mut client = proxy.raw("innovate");
        let change = format!("DO $$BEGIN PERFORM set_config('{setting}', '{value}', false); END$$");
        client.send_query(&change);
        let last = client.until_closed().error();
        assert_eq!((last.severity(), last.code()), ("FATAL", "42501"));
        let mut next = proxy.raw("innovate");
        assert_eq!(next.query(WHOSE).column(), [ALICE]);
        assert_ne!(next.value(&format!("SHOW {setting}")), value);
    }
}

#[test]
fn where_unseen_code_is_allowed_no_tenant_gets_a_connection_that_another_had() {
    let options = Options {
        opaque: "allow",
        ..one_connection()
    };
    let proxy = Proxy::start(&options);
    let (mut a, mut b) = (proxy.raw("innovate"), proxy.raw("synergy"));
    let mut seen = Vec::new();
    for _ in 0..3 {
        for client in [&mut a, &mut b] {
            let backend = client.backend();
            assert_eq!(client.backend(), backend);
            assert!(!seen.contains(&backend));
            seen.push(backend);
        }
    }
}

#[test]
fn a_connection_without_a_tenant_shows_nothing() {
    // NULL resets to what the connection started with.
    let proxy = Proxy::start(&with_traps());
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN; SELECT become(NULL)");
    let error = client.error(WHOSE);
    assert_eq!(error.code(), "22P02", "{error:?}");
    client.run_ok("ROLLBACK");
    assert_eq!(client.value(WHOSE), ALICE);

    // One that serves a single tenant starts as that tenant's.
    let proxy = Proxy::start(&Options {
        share: "tenant",
        ..with_traps()
    });
    let mut client = proxy.raw("innovate");
    client.run_ok("BEGIN; SELECT become(NULL)");
    assert_eq!(client.value(WHOSE), ALICE);

    // The same seen from the server.
    let options = "-c session.current_organization_id=";
    let output = site().as_app("wellness_corp_db", options, WHOSE);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.stdout.is_empty() && said.contains("22P02"), "{said}");
}

#[test]
fn after_a_reset_the_unnamed_statement_is_the_clients_again() {
    let proxy = Proxy::start(&one_connection());
    let mut client = proxy.raw("innovate");
    client
        .run(
            &Pipeline::new()
                .parse("", "RESET ALL")
                .bind("", "", &[])
                .execute("", 0)
                .sync(),
        )
        .ok();
    // It takes no parameters; the statement that attached the tenant again does.
    let pipeline = Pipeline::new()
        .bind("", "", &["client_encoding", "SJIS"])
        .execute("", 0)
        .sync();
    assert_eq!(client.run(&pipeline).error().code(), "08P01");
    assert_eq!(client.value("SHOW client_encoding"), "UTF8");
}

/// PostgreSQL reports this alias of UTF8 as it was set, in capitals, unlike others.
#[test]
fn a_client_may_call_utf8_unicode() {
    let proxy = Proxy::start(&one_connection());
    let mut other = proxy.raw("synergy");
    for (set, told) in [
        ("SET client_encoding = 'UNICODE'", "UNICODE"),
        ("SET client_encoding TO unicode", "UTF8"),
        ("SET NAMES 'UNICODE'", "UNICODE"),
        (
            "SELECT set_config('client_encoding', 'UNICODE', false)",
            "UNICODE",
        ),
    ] {
        let mut client = proxy.raw("innovate");
        client.run_ok(set);
        assert_eq!(other.value("SHOW client_encoding"), "UTF8");
        assert_eq!(client.value("SHOW client_encoding"), told, "{set}");
        assert_eq!(client.value("SELECT 'ä'"), "ä");
        client.run_ok("RESET client_encoding");
        assert_eq!(client.value("SHOW client_encoding"), "UTF8");
    }
}

/// What would leave the tenant; every one must be refused.
const BREAKOUTS: &[(&str, &str)] = &[
    (
        "SET session.current_organization_id = '22222222-2222-2222-2222-222222222222'",
        "42501",
    ),
    ("SET LOCAL session.current_organization_id = ''", "42501"),
    ("RESET session.current_organization_id", "42501"),
    (
        "SELECT set_config('session.current_organization_id', 'x', false)",
        "42501",
    ),
    ("SET ROLE postgres", "42501"),
    ("SET row_security = off", "42501"),
    ("DO $$ BEGIN END $$", "42501"),
    ("LISTEN gossip", "42501"),
    ("SELEC 1", "42601"),
];

#[test]
fn a_refused_statement_leaves_the_session_as_an_error_would() {
    let proxy = Proxy::start(&one_connection());
    let mut client = proxy.raw("innovate");
    for (sql, code) in BREAKOUTS {
        for run in [Raw::query, Raw::extended] {
            // Alone.
            let answer = run(&mut client, sql);
            let error = answer.error();
            assert_eq!((error.code(), error.severity()), (*code, "ERROR"), "{sql}");
            assert!(!error.hint().is_empty(), "{sql}");
            assert_eq!((answer.tags(), answer.status()), ("EZ".to_owned(), 'I'));
            assert_eq!(client.value(WHOSE), ALICE);

            // In a transaction, which fails as if the server had refused.
            client.run_ok("BEGIN");
            let answer = run(&mut client, sql);
            let error = answer.error();
            assert_eq!(error.code(), *code, "{sql}");
            assert!(!error.hint().is_empty(), "{sql}");
            assert_eq!((answer.tags(), answer.status()), ("EZ".to_owned(), 'E'));
            assert_eq!(client.error("SELECT 1").code(), "25P02");
            // A statement that is refused anyhow cannot bring it back.
            assert_eq!(run(&mut client, sql).status(), 'E');
            assert_eq!(client.run_ok("COMMIT").commands(), ["ROLLBACK"]);
            assert_eq!(client.value(WHOSE), ALICE);

            // In a savepoint.
            client.run_ok("BEGIN; SAVEPOINT s");
            run(&mut client, sql).error();
            client.run_ok("ROLLBACK TO s");
            assert_eq!(client.value(WHOSE), ALICE);
            client.run_ok("COMMIT");
        }
    }
}

#[test]
fn a_refusal_in_a_pipeline_keeps_the_order_and_skips_to_the_sync() {
    let proxy = Proxy::start(&Options {
        database: site().fresh_database(),
        ..one_connection()
    });
    let mut client = proxy.raw("innovate");
    let breakout = "SET session.current_organization_id = ''";
    let insert = "INSERT INTO organizations (name) VALUES ('new')";
    let pipeline = Pipeline::new()
        .statement("SELECT 1")
        .statement(insert)
        .statement(breakout)
        .statement("SELECT 2")
        .sync()
        .statement("SELECT 3")
        .sync();
    for in_transaction in [false, true] {
        if in_transaction {
            client.run_ok("BEGIN");
        }
        client.send(pipeline.bytes());
        let first = client.until_ready();
        assert_eq!(first.tags(), "12TDC12nCEZ");
        assert_eq!(first.error().code(), "42501");
        let second = client.until_ready();
        if in_transaction {
            assert_eq!((first.status(), second.status()), ('E', 'E'));
            assert_eq!(second.error().code(), "25P02");
            client.run_ok("ROLLBACK");
        } else {
            assert_eq!((first.status(), second.status()), ('I', 'I'));
            assert_eq!(second.ok().value(), "3");
        }
        // The error undid what stood before it in the same pipeline.
        let count = "SELECT count(*) FROM organizations WHERE name = 'new'";
        assert_eq!(client.value(count), "0");
    }

    // At the front of a pipeline, without a server connection.
    let pipeline = Pipeline::new()
        .parse("", breakout)
        .bind("", "", &[])
        .execute("", 0)
        .flush()
        .sync()
        .query("SELECT 4");
    client.send(pipeline.bytes());
    assert_eq!(client.until_ready().tags(), "EZ");
    assert_eq!(client.until_ready().ok().value(), "4");

    // A statement that was refused does not exist.
    let pipeline = Pipeline::new().parse("s", breakout).sync();
    assert_eq!(client.run(&pipeline).error().code(), "42501");
    let pipeline = Pipeline::new().prepared("s", &[]).sync();
    assert_eq!(client.run(&pipeline).error().code(), "26000");
    // After an error of the server, a refusal is not told.
    let pipeline = Pipeline::new()
        .statement("SELECT 1/0")
        .statement(breakout)
        .sync();
    assert_eq!(client.run(&pipeline).error().code(), "22012");
}

#[test]
fn a_function_call_message_is_refused() {
    let proxy = Proxy::start(&one_connection());
    let mut client = proxy.raw("innovate");
    // set_config by its number: with the statement that is known to be refused.
    let mut body = 2078_u32.to_be_bytes().to_vec();
    body.extend_from_slice(&[0, 0, 0, 3]);
    for value in ["session.current_organization_id", SYNERGY, "f"] {
        body.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
        body.extend_from_slice(value.as_bytes());
    }
    body.extend_from_slice(&[0, 0]);
    let call = Pipeline::new().message(b'F', &body);
    let answer = client.run(&call);
    assert_eq!((&*answer.tags(), answer.status()), ("EZ", 'I'));
    assert_eq!(answer.error().code(), "42501");
    proxy.wait_for_log("rule=\"fast-path\"");
    assert_eq!(client.value(WHOSE), ALICE);
    client.run_ok("BEGIN");
    let answer = client.run(&call);
    assert_eq!((&*answer.tags(), answer.status()), ("EZ", 'E'));
    client.run_ok("ROLLBACK");
    assert_eq!(client.value(WHOSE), ALICE);
}

#[test]
fn refusals_are_audited_with_tenant_and_login() {
    let proxy = Proxy::start(&one_connection());
    let mut client = proxy.raw("synergy");
    client.error("SET ROLE postgres");
    let line = proxy.wait_for_log("statement_refused");
    for part in ["pgtenant::audit", "login=synergy", SYNERGY, "rule=\"role\""] {
        assert!(line.contains(part), "{part} is missing in {line}");
    }
    assert!(!proxy.log().contains(&proxy.password));
}

#[test]
fn rows_of_other_tenants_cannot_be_written_or_named() {
    let proxy = Proxy::start(&one_connection_of_ones_own());
    let mut client = proxy.raw("innovate");
    let insert = format!(
        "INSERT INTO users (organization_id, email, password_hash) VALUES ('{SYNERGY}', 'x', 'x')"
    );
    assert_eq!(client.error(&insert).code(), "42501");
    let update = client.run_ok("UPDATE users SET email = 'x' WHERE email LIKE 'bob%'");
    assert_eq!(update.commands(), ["UPDATE 0"]);
    assert_eq!(proxy.raw("synergy").value(WHOSE), BOB);

    // The schema kind: a qualified name reaches nothing either.
    let mut acme = proxy.raw("acme");
    let error = acme.error("SELECT * FROM globex.employee_logs");
    assert_eq!(error.code(), "42501");
    acme.run_ok("SET search_path = globex");
    assert_eq!(acme.error("SELECT * FROM employee_logs").code(), "42P01");
    // The database kind: there is no other to be chosen.
    let parameters = [("user", "initech"), ("database", "wellness_umbrella")];
    let refused = Raw::log_in(proxy.port, &proxy.password, &parameters).unwrap_err();
    assert_eq!(refused.code(), "3D000");
}
