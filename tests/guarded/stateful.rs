//! Attempts to break out, or to harm others, that take several messages.

use testkit::{Options, Pipeline, Proxy, Raw};

const WHOSE: &str = "SELECT email FROM users";
const ALICE: &str = "alice@innovate.example";

fn one_connection() -> (Proxy, Raw, Raw) {
    let proxy = Proxy::start(&Options {
        size: 1,
        ..Options::default()
    });
    let (client, other) = (proxy.raw("innovate"), proxy.raw("innovate"));
    (proxy, client, other)
}

#[test]
fn a_reset_that_is_bound_now_and_run_later_keeps_the_tenant() {
    let (_proxy, mut client, mut other) = one_connection();
    for reset in ["RESET ALL", "SET SESSION AUTHORIZATION DEFAULT"] {
        client.run_ok("BEGIN");
        let bind = Pipeline::new()
            .parse("", reset)
            .bind("later", "", &[])
            .sync();
        client.run(&bind).ok();
        client.run(&Pipeline::new().statement(WHOSE).sync()).ok();
        let run = Pipeline::new().execute("later", 0).sync().query(WHOSE);
        client.send(run.bytes());
        client.until_ready().ok();
        assert_eq!(client.until_ready().ok().value(), ALICE, "{reset}");
        client.run_ok("COMMIT");
        for client in [&mut other, &mut client] {
            assert_eq!(client.value(WHOSE), ALICE, "{reset}");
        }
    }
}

#[test]
fn a_colleagues_prepared_statements_cannot_be_taken_away() {
    let (_proxy, mut client, mut other) = one_connection();
    let call = Pipeline::new().prepared("s", &[]).sync();
    client.run(&Pipeline::new().parse("s", WHOSE).sync()).ok();
    for name in (1..10).map(|n| format!("pgtenant_{n}")) {
        client.run(&call).ok();
        // Perhaps there is none of this name.
        other.query(&format!("DEALLOCATE {name}"));
        other.query(&format!("DEALLOCATE {name}; SELECT 1"));
        assert_eq!(client.run(&call).ok().value(), ALICE, "{name}");
        other.extended(&format!("DEALLOCATE \"{name}\""));
        assert_eq!(client.run(&call).ok().value(), ALICE, "{name}");
    }
}

#[test]
fn settings_of_ones_own_are_bounded() {
    let (_proxy, mut client, mut other) = one_connection();
    let set = |kilobytes: usize| format!("SET my.big = '{}'", "x".repeat(kilobytes << 10));
    client.run_ok(&set(30));
    other.run_ok("SELECT 1");
    assert_eq!(
        client.value("SELECT length(current_setting('my.big'))"),
        "30720"
    );
    client.run_ok("SET LOCAL my.other = 'x'");
    client.send_query(&set(70));
    let error = client.until_closed().error();
    assert_eq!((error.severity(), error.code()), ("FATAL", "54000"));
    // Snapshots of them count as what they are kept with.
    for n in 0..1000 {
        let answer = other.run(&Pipeline::new().parse(&format!("s{n}"), "SELECT 1").sync());
        if let [error] = &answer.errors()[..] {
            assert_eq!(error.code(), "54000");
            assert!(n > 100, "{n}");
            return;
        }
        other.run_ok(&set(60 - n % 2));
    }
    panic!("a thousand statements with 60 KB of settings each were kept");
}

#[test]
fn what_a_client_sets_for_itself_does_not_harm_the_next() {
    let (proxy, mut client, _) = one_connection();
    let mut stranger = proxy.raw("synergy");
    for set in [
        "SET statement_timeout = 1",
        "SET idle_session_timeout = 1",
        "SET lock_timeout = 1",
        "SET exit_on_error = on",
        "SET client_min_messages = debug5",
        "SET default_transaction_read_only = on",
        "SET default_transaction_isolation = serializable",
        "SET DateStyle = 'SQL, DMY'",
        "SET bytea_output = escape",
        "SET intervalstyle = sql_standard",
        "SET quote_all_identifiers = on",
        "SET transform_null_equals = on",
        "SET enable_seqscan = off",
        "SET my.setting = 'x'",
        "CREATE TEMP TABLE users (email text)",
        "CREATE TEMP TABLE text (a int)",
        "CREATE TEMP TABLE organizations (id text)",
    ] {
        let mut client = proxy.raw("innovate");
        // Its own timeout may end it.
        client.send_query(set);
        client.try_ready();
        drop(client);
        assert_eq!(stranger.value(WHOSE), "bob@synergy.example", "{set}");
        assert_eq!(stranger.value("SHOW DateStyle"), "ISO, MDY");
    }
    assert_eq!(client.value(WHOSE), ALICE);
}
