//! Whatever a client sends whose statements may answer little: it is answered, with no more
//! rows than it may get, and the connections go on or are given up.

use crate::{bi, options};
use testkit::{Message, Options, Pipeline, Programs, Proxy, Random, Raw, Site};

const MOST: usize = 2;
const ROUNDS: usize = 100;

const QUERIES: [&str; 16] = [
    "SELECT generate_series(1, 2)",
    "SELECT generate_series(1, 3)",
    "SELECT generate_series(1, 3000)",
    "SELECT generate_series(1, 2000000000)",
    "SELECT generate_series(1, 3); SELECT 1",
    "SELECT generate_series(1, 2); SELECT generate_series(1, 2)",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "BEGIN; SELECT generate_series(1, 3); COMMIT",
    "SELECT 1/0",
    "COPY (SELECT generate_series(1, 3)) TO STDOUT",
    "SET application_name = 'x'; SELECT generate_series(1, 3)",
    "INSERT INTO notes SELECT generate_series(1, 3) RETURNING n",
];

fn some(random: &mut Random, mut pipeline: Pipeline) -> Pipeline {
    for _ in 0..=random.below(8) {
        let sql = QUERIES[random.below(QUERIES.len())];
        let sql = sql.split(';').next().unwrap();
        let portal = ["", "p", "q"][random.below(3)];
        let rows = [0, 1, 2, 5][random.below(4)];
        pipeline = match random.below(12) {
            0..=2 => pipeline.query(QUERIES[random.below(QUERIES.len())]),
            3..=5 => pipeline
                .parse("", sql)
                .bind(portal, "", &[])
                .execute(portal, rows),
            6 => pipeline.execute(portal, rows),
            7 => pipeline.describe(portal),
            8 => pipeline.flush(),
            9 => pipeline.close(portal),
            _ => pipeline.sync(),
        };
    }
    pipeline
}

/// Everything up to the end of what was sent; `false` where the session is over.
fn is_answered(client: &mut Raw) -> bool {
    let mut rows = 0;
    let end = |message: &Message| message.tag == b'D' && message.row() == [Some("the end".into())];
    let mut ends = false;
    while let Some(message) = client.try_read() {
        match message.tag {
            b'D' | b'd' => rows += 1,
            b'C' | b's' | b'I' | b'E' | b'Z' => rows = 0,
            _ => {}
        }
        assert!(rows <= MOST, "{message:?}");
        if message.tag == b'E' && message.fields().severity() == "FATAL" {
            let fields = message.fields();
            assert!(["40003", "54000"].contains(&fields.code()), "{fields:?}");
        }
        ends |= end(&message);
        if ends && message.tag == b'Z' {
            return true;
        }
    }
    false
}

fn run(profile: &str, mode: &'static str, seed: u64) {
    for major in [15, 18] {
        let Some(programs) = Programs::find(major) else {
            continue;
        };
        let site = Site::start_on(&programs);
        site.sql(
            "wellness_corp_db",
            "CREATE TABLE notes (n integer); GRANT ALL ON notes TO wellness_app",
        );
        let mut options = Options {
            size: 3,
            mode,
            ..options(&format!("{profile}\nmax_rows = {MOST}"))
        };
        let verifier = &testkit::site().login_verifier;
        options.more = options.more.replace(verifier, &site.login_verifier);
        let proxy = Proxy::start_before(&site, &options);
        let mut random = Random::new(seed);
        let (mut client, mut ended) = (bi(&proxy), 0);
        for _ in 0..ROUNDS {
            let pipeline = some(&mut random, Pipeline::new()).sync();
            let pipeline = pipeline.query("ROLLBACK").query("SELECT 'the end'");
            client.send(pipeline.bytes());
            if !is_answered(&mut client) {
                ended += 1;
                client = bi(&proxy);
            }
        }
        assert!(ended < ROUNDS / 2, "{ended}");
        drop(client);
        testkit::assert_whole("all is given back", &proxy, "innovate", 3);
    }
}

#[test]
fn one_that_writes_is_answered_or_ended() {
    run("", "transaction", 1);
}

#[test]
fn one_that_reads_is_answered() {
    run("read_only = true", "transaction", 2);
}

#[test]
fn one_in_session_mode_is_answered_or_ended() {
    run("", "session", 3);
}
