//! The same messages, to PostgreSQL itself and through the proxy, in transaction
//! mode (where each transaction gets another server connection) and in session
//! mode: the answers must be the same, byte by byte. Masked are: keys and process ids, the OIDs of
//! tables, and the places in PostgreSQL's source that its errors name, which
//! those that the proxy gives in its stead do not have.

use crate::place::{DATABASE, Place, USER};
use crate::relay::{POOL, Turns};
use testkit::{Message, Pipeline, Raw};

#[test]
fn the_same_messages_get_the_same_bytes_in_answer() {
    let place = Place::start();
    place.renew();
    let proxy = place.proxy("transaction", POOL);
    let mut turns = Turns::new(&place, &proxy);
    compare(&place, proxy.port, || turns.turn());
}

#[test]
fn the_same_messages_get_the_same_bytes_in_session_mode() {
    let place = Place::start();
    place.renew();
    let proxy = place.proxy("session", 1);
    compare(&place, proxy.port, || {});
}

/// Runs all scripts both ways; `turn` comes between two transactions.
fn compare(place: &Place, port: u16, mut turn: impl FnMut()) {
    let startup = [
        ("DateStyle", "German"),
        ("options", "-c intervalstyle=iso_8601 -c work_mem=1234"),
    ];
    let mut differences = Vec::new();
    for (name, steps) in scripts() {
        let direct = run(place.raw(place.cluster.port(), &startup), &steps, || {});
        let proxied = run(place.raw(port, &startup), &steps, &mut turn);
        for (number, (step, answers)) in steps.iter().zip(direct.iter().zip(&proxied)).enumerate() {
            if answers.0 != answers.1 {
                differences.push(format!(
                    "{name}, step {number}: {:?}\n  direct  {:?}\n  proxied {:?}",
                    String::from_utf8_lossy(step.messages.bytes()),
                    answers.0,
                    answers.1
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn the_turns_bring_another_server_connection_each_time() {
    let place = Place::start();
    place.renew();
    let proxy = place.proxy("transaction", POOL);
    let mut turns = Turns::new(&place, &proxy);
    let mut client = place.raw(proxy.port, &[]);
    let mut last = String::new();
    for _ in 0..10 {
        turns.turn();
        let backend = client.backend();
        assert_ne!(backend, last);
        last = backend;
    }
}

/// One client has a statement prepared before its table changes, another prepares
/// the same text after it.
#[test]
fn statements_that_clients_share_follow_their_tables_as_they_do_directly() {
    let place = Place::start();
    let proxy = place.proxy("transaction", POOL);
    let prepare = |name: &str| {
        p().parse(name, "SELECT * FROM changing")
            .describe_statement(name)
            .sync()
    };
    let answers = [place.cluster.port(), proxy.port].map(|port| {
        place.renew();
        let change = |sql: &str| place.cluster.psql(DATABASE, sql).unwrap();
        change(&format!(
            "CREATE TABLE changing AS SELECT 1 AS a; GRANT ALL ON changing TO {USER}"
        ));
        let mut turns = (port == proxy.port).then(|| Turns::new(&place, &proxy));
        let mut turn = || turns.iter_mut().for_each(Turns::turn);
        let mut all = Vec::new();
        let [mut old, mut other] = [(); 2].map(|()| place.raw(port, &[]));
        for client in [&mut old, &mut other] {
            all.push(client.run(&prepare("s")));
            for _ in 0..2 * POOL {
                turn();
                all.push(client.run(&p().prepared("s", &[]).sync()));
            }
        }
        change("ALTER TABLE changing ADD b text DEFAULT 'b'");
        let mut new = place.raw(port, &[]);
        all.push(new.run(&prepare("s")));
        for _ in 0..2 * POOL {
            turn();
            all.push(new.run(&p().prepared("s", &[]).sync()));
            turn();
            all.push(old.run(&p().prepared("s", &[]).sync()));
            all.push(other.run(&p().statement("SELECT 1").prepared("s", &[]).sync()));
        }
        all.push(old.run(&prepare("t")));
        for _ in 0..2 * POOL {
            turn();
            all.push(old.run(&p().prepared("t", &[]).sync()));
        }
        // The same rows again.
        change("ALTER TABLE changing DROP b");
        for _ in 0..POOL {
            turn();
            all.push(other.run(&p().prepared("s", &[]).sync()));
        }
        all.iter_mut()
            .flat_map(|answer| &mut answer.messages)
            .for_each(mask);
        all
    });
    let [direct, proxied] = answers;
    for (number, (direct, proxied)) in direct.iter().zip(&proxied).enumerate() {
        assert_eq!(direct, proxied, "answer {number}");
    }
}

#[test]
fn a_login_is_answered_with_the_same_parameters_in_the_same_order() {
    let place = Place::start();
    place.renew();
    let proxy = place.proxy("transaction", POOL);
    for startup in [
        &[][..],
        &[("application_name", "x"), ("TimeZone", "Europe/Berlin")],
        &[("options", "-c DateStyle=German --work-mem=1MB")],
    ] {
        let answers = [place.cluster.port(), proxy.port].map(|port| {
            let mut raw = Raw::open(port);
            let mut all = vec![("user", USER), ("database", DATABASE)];
            all.extend_from_slice(startup);
            raw.send_startup(&all);
            raw.authenticate(&place.password).unwrap();
            let mut answer = raw.until_ready();
            answer.messages.iter_mut().for_each(mask);
            answer.messages
        });
        assert_eq!(answers[0], answers[1], "{startup:?}");
    }
}

/// What is sent at once, and how its answer ends.
struct Step {
    messages: Pipeline,
    end: End,
}

#[derive(Clone, Copy)]
enum End {
    /// So many ReadyForQuery.
    Ready(usize),
    /// The first message of this type.
    Tag(u8),
    /// The end of the connection.
    Closed,
}

fn run(mut client: Raw, steps: &[Step], mut between: impl FnMut()) -> Vec<Vec<Message>> {
    let mut idle = true;
    let answers = steps.iter().map(|step| {
        if idle {
            between();
        }
        client.send(step.messages.bytes());
        let mut messages = match step.end {
            End::Ready(times) => (0..times)
                .flat_map(|_| client.until_ready().messages)
                .collect(),
            End::Tag(tag) => client.until(tag).messages,
            End::Closed => client.until_closed().messages,
        };
        let last: Option<&Message> = messages.last();
        idle = last.is_some_and(|last| last.tag == b'Z' && last.body == b"I");
        messages.iter_mut().for_each(mask);
        messages
    });
    let answers = answers.collect();
    if !matches!(steps.last().map(|step| step.end), Some(End::Closed)) {
        client.send(Pipeline::new().terminate().bytes());
    }
    answers
}

fn mask(message: &mut Message) {
    match message.tag {
        b'K' => message.body.fill(0),
        b'A' => message.body[..4].fill(0),
        b'T' => mask_tables(&mut message.body),
        b'E' | b'N' => {
            let fields = message.body.split(|byte| *byte == 0);
            let kept = fields.filter(|field| !matches!(field.first(), Some(b'F' | b'L' | b'R')));
            message.body = kept.collect::<Vec<_>>().join(&0);
        }
        _ => {}
    }
}

/// RowDescription: each column's name, then the table's OID.
fn mask_tables(body: &mut [u8]) {
    let mut at = 2;
    while at < body.len() {
        at += body[at..].iter().position(|byte| *byte == 0).unwrap() + 1;
        body[at..at + 4].fill(0);
        at += 18;
    }
}

fn ready(messages: Pipeline) -> Step {
    Step {
        messages,
        end: End::Ready(1),
    }
}

fn ready_times(messages: Pipeline, times: usize) -> Step {
    Step {
        messages,
        end: End::Ready(times),
    }
}

fn until(tag: u8, messages: Pipeline) -> Step {
    Step {
        messages,
        end: End::Tag(tag),
    }
}

fn closed(messages: Pipeline) -> Step {
    Step {
        messages,
        end: End::Closed,
    }
}

fn p() -> Pipeline {
    Pipeline::new()
}

fn queries(all: &[&str]) -> Vec<Step> {
    all.iter().map(|sql| ready(p().query(sql))).collect()
}

fn extended(all: &[&str]) -> Vec<Step> {
    let one = |sql: &&str| ready(p().statement(sql).sync());
    all.iter().map(one).collect()
}

type Script = (&'static str, Vec<Step>);

fn scripts() -> Vec<Script> {
    let mut all = Vec::new();
    all.extend(queries_scripts());
    all.extend(settings_scripts());
    all.extend(portal_scripts());
    all.extend(pipeline_scripts());
    all.extend(copy_scripts());
    all.extend(statement_scripts());
    all.extend(end_scripts());
    all
}

fn queries_scripts() -> Vec<Script> {
    let transactions = [
        "BEGIN",
        "SELECT f1 FROM int4_tbl",
        "SELECT 1/0",
        "SELECT 1",
        "SAVEPOINT a",
        "COMMIT",
        "COMMIT",
        "ROLLBACK",
        "BEGIN; BEGIN",
        "SAVEPOINT a; SELECT nope; SELECT 1",
        "ROLLBACK TO a",
        "COMMIT AND CHAIN",
        "ROLLBACK AND CHAIN",
        "END",
        "BEGIN READ ONLY",
        "INSERT INTO int4_tbl VALUES (1)",
        "ABORT",
        "BEGIN ISOLATION LEVEL SERIALIZABLE; SHOW transaction_isolation",
        "SET TRANSACTION READ WRITE",
        "ROLLBACK",
        "SET TRANSACTION READ ONLY",
        "SET CONSTRAINTS ALL DEFERRED",
        "LOCK TABLE int4_tbl",
    ];
    let strings = [
        "",
        ";",
        ";;  ;",
        "-- nothing",
        "SELECT 1; ; SELECT 2",
        "SELECT 1; SELECT 1/0; SELECT 2",
        "SELECT 1; BEGIN; SELECT 2",
        "SELECT 3; COMMIT; SELECT 1/0",
        "CREATE TABLE gone (a int); INSERT INTO gone VALUES (1); SELECT * FROM gone; DROP TABLE gone",
        "SELECT * FROM gone",
        "VALUES (1, 'a'), (2, NULL)",
        "SELECT FROM int4_tbl LIMIT 2",
        "EXPLAIN (COSTS OFF) SELECT * FROM int4_tbl",
        "DO $$ BEGIN RAISE NOTICE 'n'; RAISE WARNING 'w' USING HINT = 'h'; END $$",
        "DO $$ BEGIN RAISE EXCEPTION 'e' USING ERRCODE = 'ABCDE', DETAIL = 'd', TABLE = 't'; END $$",
        "DROP TABLE IF EXISTS not_there",
        "SELECT 'unterminated' || E'\\x'",
        "VACUUM int4_tbl",
        "SELECT 1; VACUUM int4_tbl",
        "SELECT repeat('x', 100000)",
    ];
    let kept = [
        "CREATE TEMP TABLE t (a int); INSERT INTO t VALUES (1)",
        "SELECT * FROM t",
        "DROP TABLE t",
        "BEGIN; CREATE TEMP TABLE t (a int) ON COMMIT DROP; INSERT INTO t VALUES (1)",
        "SELECT * FROM t; COMMIT",
        "SELECT * FROM t",
        "PREPARE s (int) AS SELECT $1 + 1",
        "PREPARE s AS SELECT 1",
        "EXECUTE s (1)",
        "EXECUTE s",
        "DEALLOCATE s",
        "EXECUTE s (1)",
        "DEALLOCATE s",
        "BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT f1 FROM int4_tbl ORDER BY 1; FETCH 1 FROM c",
        "COMMIT",
        "FETCH 2 FROM c",
        "MOVE 1 IN c",
        "CLOSE c",
        "FETCH 1 FROM c",
        "DECLARE c CURSOR FOR SELECT 1",
        "BEGIN; DECLARE c CURSOR FOR SELECT 1; FETCH c",
        "COMMIT; FETCH c",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_advisory_unlock(1)",
        "SELECT pg_advisory_unlock(1)",
        "LISTEN ch",
        "NOTIFY ch, 'hello'",
        "BEGIN; NOTIFY ch; SELECT 1",
        "COMMIT",
        "SELECT pg_listening_channels()",
        "UNLISTEN *",
        "SELECT lo_create(4242)",
        "BEGIN; SELECT lo_open(4242, x'60000'::int); SELECT lowrite(0, 'abc'); COMMIT",
        "SELECT lo_get(4242)",
        "SELECT lo_unlink(4242)",
        "DISCARD TEMP",
        "DISCARD PLANS",
        "DISCARD SEQUENCES",
        "DEALLOCATE ALL",
    ];
    vec![
        ("transactions", queries(&transactions)),
        ("transactions, extended", extended(&transactions[..8])),
        ("query strings", queries(&strings)),
        ("kept objects", queries(&kept)),
        ("kept objects, extended", extended(&kept[1..3])),
        (
            "queries in one write",
            vec![ready_times(
                p().query("SELECT 1")
                    .query("")
                    .query("BEGIN")
                    .query("SELECT 1/0")
                    .query("ROLLBACK"),
                5,
            )],
        ),
    ]
}

fn end_scripts() -> Vec<Script> {
    let terminate = "SELECT pg_terminate_backend(pg_backend_pid())";
    let idle = "SET idle_in_transaction_session_timeout = 50";
    vec![
        ("the end by itself", vec![closed(p().query(terminate))]),
        (
            "the end within a pipeline",
            vec![closed(
                p().statement("SELECT 1")
                    .statement(terminate)
                    .sync()
                    .query("SELECT 2"),
            )],
        ),
        (
            "the end of an idle transaction",
            vec![ready(p().query(idle)), closed(p().query("BEGIN; SELECT 1"))],
        ),
        ("goodbye", vec![closed(p().terminate())]),
        (
            "goodbye behind answers",
            vec![closed(
                p().query("SELECT 1")
                    .statement("SELECT 2")
                    .sync()
                    .terminate(),
            )],
        ),
        (
            "timeouts",
            queries(&[
                "SET statement_timeout = 50",
                "SELECT pg_sleep(5)",
                "BEGIN",
                "SELECT pg_sleep(5)",
                "SELECT 1",
                "ROLLBACK",
                "SET statement_timeout = 0",
                "SELECT pg_sleep(0.1)",
            ]),
        ),
    ]
}

fn settings_scripts() -> Vec<Script> {
    let own = [
        "SHOW DateStyle",
        "SET DateStyle = 'SQL, DMY'",
        "SHOW DateStyle",
        "SELECT date '2024-02-01', interval '1 day 2 hours'",
        "RESET DateStyle",
        "SHOW DateStyle",
        "SET DateStyle TO DEFAULT",
        "SELECT date '2024-02-01'",
        "SET DateStyle = ISO",
        "RESET DateStyle; SELECT 1",
        "SELECT date '2024-02-01'",
        "SET DateStyle = ISO; RESET DateStyle; SELECT 1/0",
        "RESET DateStyle; SET DateStyle = 'SQL, DMY'",
        "SELECT date '2024-02-01'; RESET DateStyle; RESET IntervalStyle",
        "SET IntervalStyle = postgres",
        "RESET IntervalStyle",
        "SELECT interval '1 day 2 hours'",
        "RESET work_mem",
        "SHOW work_mem",
        "SET work_mem = '2MB'",
        "BEGIN; RESET work_mem",
        "SHOW work_mem",
        "ROLLBACK",
        "SHOW work_mem",
        "RESET work_mem; SELECT 1/0",
        "SHOW work_mem",
        "SELECT 1; RESET work_mem",
        "SHOW work_mem",
        "BEGIN; SET LOCAL work_mem = '3MB'; SHOW work_mem",
        "SET LOCAL work_mem TO DEFAULT",
        "SHOW work_mem",
        "COMMIT",
        "SHOW work_mem",
        "BEGIN; SET TimeZone = 'UTC'; SHOW TimeZone",
        "ROLLBACK",
        "SET TimeZone = 'Asia/Tokyo'",
        "BEGIN; SET LOCAL TimeZone = 'UTC'",
        "COMMIT",
        "SHOW TimeZone",
        "RESET TimeZone",
        "SET application_name = 'me'",
        "RESET application_name",
        "SET my.own = 'x'",
        "SELECT current_setting('my.own')",
        "RESET my.own",
        "SELECT current_setting('my.own')",
        "SET log_statement = 'all'",
        "SHOW log_statement",
        "RESET log_statement",
        "SET work_mem = 'nonsense'",
        "SHOW work_mem",
        "SET nonsense = 1",
        "SHOW nonsense",
        "BEGIN; SELECT 1/0",
        "RESET DateStyle",
        "ROLLBACK",
        "SELECT set_config('work_mem', '5MB', false), set_config('timezone', 'UTC', true)",
        "SHOW work_mem",
        "SHOW TimeZone",
        "SET LOCAL work_mem = '6MB'",
        "SHOW work_mem",
        "BEGIN; SET work_mem = '4MB'; SAVEPOINT a; SET work_mem = '5MB'",
        "ROLLBACK TO a; COMMIT",
        "SHOW work_mem",
        "SELECT 1; SET work_mem = '7MB'; SELECT 1/0",
        "SHOW work_mem",
        "SET search_path = pg_catalog, public",
        "SHOW search_path",
        "SET search_path = ''",
        "SELECT * FROM int4_tbl",
        "RESET search_path",
        "SET default_transaction_isolation = 'serializable'",
        "SHOW transaction_isolation",
        "RESET default_transaction_isolation",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SHOW transaction_read_only",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SELECT setseed(0.5)",
        "SELECT random()",
        "SELECT random()",
    ];
    let at_once = p()
        .query("SET DateStyle = ISO")
        .query("RESET DateStyle")
        .query("SHOW DateStyle")
        .query("BEGIN; SELECT 1/0")
        .query("RESET DateStyle")
        .query("ROLLBACK")
        .query("RESET DateStyle; SELECT 1")
        .query("SHOW DateStyle");
    let reset_all = [
        "SET work_mem = '2MB'",
        "RESET ALL",
        "SHOW work_mem",
        "SHOW DateStyle",
        "SET extra_float_digits = 0",
        "DISCARD ALL",
        "SHOW extra_float_digits",
        "SHOW IntervalStyle",
        "SET work_mem = '2MB'",
        "RESET ALL; SET DateStyle = 'SQL, DMY'; SELECT 1",
        "SHOW DateStyle",
        "SHOW work_mem",
        "BEGIN; SET DateStyle = ISO; SET work_mem = '2MB'",
        "RESET ALL; SET DateStyle = 'SQL, DMY'",
        "SELECT date '2024-02-01', current_setting('work_mem')",
        "ROLLBACK",
        "SHOW DateStyle",
        "SET DateStyle = ISO; SET work_mem = '2MB'",
        "RESET ALL; SET DateStyle = 'no style'",
        "SELECT current_setting('DateStyle'), current_setting('work_mem')",
        "RESET ALL; SET DateStyle = 'SQL, DMY'; RESET DateStyle",
        "SELECT current_setting('DateStyle'), current_setting('work_mem')",
        "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'",
        "SELECT current_setting('DateStyle'), current_setting('TimeZone')",
        "RESET ALL; DEALLOCATE nothing",
        "SELECT current_setting('DateStyle'), current_setting('TimeZone')",
        "BEGIN; SAVEPOINT s; SET work_mem = '2MB'",
        "RESET ALL; SET work_mem = 'nonsense'",
        "ROLLBACK TO s",
        "SHOW work_mem",
        "COMMIT",
        "SHOW DateStyle",
    ];
    vec![
        ("settings", queries(&own)),
        (
            "settings, extended",
            extended(
                &own.iter()
                    .copied()
                    .filter(|sql| !sql.contains(';'))
                    .collect::<Vec<_>>(),
            ),
        ),
        ("settings in one write", vec![ready_times(at_once, 8)]),
        ("all settings", queries(&reset_all)),
        (
            "settings within a pipeline",
            vec![
                ready(
                    p().statement("SET DateStyle = ISO")
                        .statement("RESET DateStyle")
                        .statement("SHOW DateStyle")
                        .statement("SELECT date '2024-02-01'")
                        .sync(),
                ),
                ready(p().statement("SET work_mem = '2MB'").sync()),
                ready(
                    p().statement("RESET work_mem")
                        .statement("SELECT 1/0")
                        .sync(),
                ),
                ready(p().statement("SHOW work_mem").sync()),
            ],
        ),
    ]
}

fn portal_scripts() -> Vec<Script> {
    let ten = "SELECT generate_series(1, 10)";
    vec![
        (
            "flushes",
            vec![
                until(b'1', p().parse("s", ten).flush()),
                until(b'T', p().describe_statement("s").flush()),
                until(b'2', p().bind("c", "s", &[]).flush()),
                until(b'T', p().describe("c").flush()),
                until(b's', p().execute("c", 3).flush()),
                until(b's', p().execute("c", 3).flush()),
                until(b'C', p().execute("c", 0).flush()),
                until(b'C', p().execute("c", 1).flush()),
                until(b'3', p().close("c").flush()),
                until(b'E', p().execute("c", 0).flush()),
                ready(p().bind("d", "s", &[]).flush().sync()),
                ready(p().execute("d", 0).sync()),
            ],
        ),
        (
            "portals across Sync",
            vec![
                ready(p().query("BEGIN")),
                ready(p().parse("", ten).bind("", "", &[]).execute("", 2).sync()),
                ready(p().execute("", 2).sync()),
                ready(
                    p().bind("x", "", &[])
                        .execute("x", 1)
                        .bind("y", "", &[])
                        .execute("y", 2)
                        .sync(),
                ),
                ready(p().execute("x", 1).execute("y", 0).execute("x", 0).sync()),
                ready(p().query("FETCH 1 FROM x")),
                ready(p().execute("", 1).sync()),
                ready(p().bind("x", "", &[]).sync()),
                ready(p().query("ROLLBACK")),
                ready(p().execute("x", 1).sync()),
                ready(p().describe("x").sync()),
                ready(p().close("x").close("never").sync()),
            ],
        ),
        (
            "portals without rows",
            vec![
                ready(
                    p().parse("", "UPDATE int4_tbl SET f1 = f1 WHERE f1 = 0")
                        .bind("u", "", &[])
                        .describe("u")
                        .execute("u", 1)
                        .execute("u", 1)
                        .sync(),
                ),
                ready(
                    p().parse("", "INSERT INTO int4_tbl VALUES (7), (8) RETURNING f1")
                        .bind("i", "", &[])
                        .execute("i", 1)
                        .sync(),
                ),
                ready(
                    p().parse("", "DELETE FROM int4_tbl WHERE f1 IN (7, 8)")
                        .bind("", "", &[])
                        .execute("", 0)
                        .sync(),
                ),
                ready(
                    p().parse("", "")
                        .bind("", "", &[])
                        .describe_statement("")
                        .describe("")
                        .execute("", 0)
                        .execute("", 0)
                        .sync(),
                ),
            ],
        ),
    ]
}

fn pipeline_scripts() -> Vec<Script> {
    let mut storm = p();
    for _ in 0..200 {
        storm = storm.sync();
    }
    let mut mixed = p();
    for n in 0..50 {
        mixed = match n % 5 {
            0 => mixed.statement("SELECT 1/0").statement("SELECT 2").sync(),
            1 => mixed.query("SELECT 3; SELECT 4"),
            2 => mixed.sync(),
            3 => mixed.statement("SELECT 5").flush().statement("").sync(),
            _ => mixed.query("SELECT 1/0"),
        };
    }
    vec![
        ("a storm of Sync", vec![ready_times(storm, 200)]),
        ("all mixed", vec![ready_times(mixed, 50)]),
        (
            "transactions in pipelines",
            vec![
                ready(
                    p().statement("BEGIN")
                        .statement("SELECT 1")
                        .statement("COMMIT")
                        .sync(),
                ),
                ready(
                    p().statement("BEGIN")
                        .statement("SELECT 1/0")
                        .statement("COMMIT")
                        .sync(),
                ),
                ready(p().statement("SELECT 1").sync()),
                ready_times(
                    p().statement("COMMIT").sync().statement("SELECT 2").sync(),
                    2,
                ),
                ready(
                    p().statement("INSERT INTO int4_tbl VALUES (9)")
                        .statement("SELECT 1/0")
                        .sync(),
                ),
                ready(p().query("SELECT * FROM int4_tbl WHERE f1 = 9")),
                ready(
                    p().statement("INSERT INTO int4_tbl VALUES (9)")
                        .statement("COMMIT")
                        .statement("SELECT 1/0")
                        .sync(),
                ),
                ready(p().query("DELETE FROM int4_tbl WHERE f1 = 9")),
                ready(
                    p().statement("SELECT 1")
                        .statement("VACUUM int4_tbl")
                        .sync(),
                ),
                ready_times(
                    p().query("BEGIN")
                        .statement("SELECT 1/0")
                        .sync()
                        .query("SELECT 1")
                        .statement("SELECT 1")
                        .sync()
                        .query("ROLLBACK"),
                    5,
                ),
                ready(p().statement("SAVEPOINT a").sync()),
            ],
        ),
        (
            "errors of layout and names",
            vec![
                ready(p().bind("", "nowhere", &[]).execute("", 0).sync()),
                ready(p().describe_statement("nowhere").sync()),
                ready(p().describe_statement("").sync()),
                ready(p().execute("nowhere", 0).sync()),
                ready(p().parse("a", "SELECT $1::int").bind("", "a", &[]).sync()),
                ready(p().parse("a", "SELECT 1").sync()),
                ready(p().bind("", "a", &["x"]).execute("", 0).sync()),
                ready(p().bind("", "a", &["1", "2"]).execute("", 0).sync()),
                ready(p().parse("b", "SELECT nope").describe_statement("b").sync()),
                ready(p().describe_statement("b").sync()),
                ready(p().parse("", "SELECT 1; SELECT 2").sync()),
                ready(
                    p().parse("", "SELECT $1")
                        .bind("", "", &["x"])
                        .describe("")
                        .execute("", 0)
                        .sync(),
                ),
                ready(
                    p().parse("", "SELECT $2::int")
                        .describe_statement("")
                        .sync(),
                ),
                ready(
                    p().close_statement("nowhere")
                        .close_statement("")
                        .close_statement("a")
                        .sync(),
                ),
                ready(p().bind("", "a", &["1"]).sync()),
            ],
        ),
    ]
}

fn copy_scripts() -> Vec<Script> {
    let copy = "COPY int4_tbl FROM STDIN";
    let undo = || ready(p().query("DELETE FROM int4_tbl WHERE f1 BETWEEN 20 AND 30"));
    vec![
        (
            "copy in",
            vec![
                ready(
                    p().query(copy)
                        .copy_data(b"20\n21\n")
                        .copy_data(b"22")
                        .copy_data(b"\n")
                        .copy_done(),
                ),
                undo(),
                ready(p().query(copy).copy_data(b"20\n").copy_fail("enough")),
                ready(
                    p().query(copy)
                        .copy_data(b"20\nx\n")
                        .copy_data(b"21\n")
                        .copy_done(),
                ),
                ready(p().query(copy).copy_data(b"20\n\\.\n").copy_done()),
                undo(),
                ready(p().query(copy).copy_done()),
                ready(
                    p().query(
                        "SELECT 1; COPY int4_tbl FROM STDIN; SELECT 2; COPY int4_tbl FROM STDIN",
                    )
                    .copy_data(b"20\n")
                    .copy_done()
                    .copy_data(b"21\n")
                    .copy_done(),
                ),
                undo(),
                until(b'G', p().query(copy)),
                ready(p().copy_data(b"23\n").flush().sync().copy_done()),
                undo(),
                ready(p().query("COPY nowhere FROM STDIN")),
                ready(p().copy_data(b"1\n").copy_done().query("SELECT 1")),
                ready(
                    p().query("COPY int4_tbl FROM STDIN (FORMAT csv, HEADER)")
                        .copy_data(b"f1\n20\n")
                        .copy_done(),
                ),
                ready(
                    p().query("COPY int4_tbl FROM STDIN (FORMAT binary)")
                        .copy_data(b"no")
                        .copy_done(),
                ),
                undo(),
            ],
        ),
        (
            "copy in, extended",
            vec![
                ready(p().statement(copy).copy_data(b"20\n").copy_done().sync()),
                undo(),
                ready(p().statement(copy).copy_data(b"x\n").copy_done().sync()),
                ready(p().statement(copy).copy_fail("no").sync()),
                until(b'G', p().statement(copy).flush()),
                until(b'C', p().copy_data(b"21\n").copy_done().flush()),
                ready(p().statement("SELECT 1/0").sync()),
                ready(p().query("SELECT * FROM int4_tbl WHERE f1 = 21")),
            ],
        ),
        (
            "copy out",
            vec![
                ready(p().query("COPY int4_tbl TO STDOUT")),
                ready(p().query("COPY (SELECT f1 FROM int4_tbl) TO STDOUT (FORMAT binary)")),
                ready(p().query("COPY (SELECT 1/f1 FROM int4_tbl ORDER BY f1 DESC) TO STDOUT")),
                ready(
                    p().statement("COPY int4_tbl TO STDOUT (FORMAT csv)")
                        .statement("SELECT 1")
                        .sync(),
                ),
                ready(p().query("COPY int4_tbl TO STDOUT; SELECT 1; COPY int4_tbl TO STDOUT")),
                ready(p().query("BEGIN")),
                ready(p().query(copy).copy_data(b"x\n").copy_done()),
                ready(p().query("COPY int4_tbl TO STDOUT")),
                ready(p().query("ROLLBACK")),
            ],
        ),
    ]
}

fn statement_scripts() -> Vec<Script> {
    let big = "y".repeat(3 << 20);
    vec![
        (
            "statements that last",
            vec![
                ready(
                    p().parse("s", "SELECT $1::int + 1, $2::text")
                        .describe_statement("s")
                        .sync(),
                ),
                ready(p().prepared("s", &["1", "a"]).sync()),
                ready(
                    p().prepared("s", &["x", "a"])
                        .prepared("s", &["2", "b"])
                        .sync(),
                ),
                ready(p().bind("", "s", &["1", &big]).execute("", 0).sync()),
                ready(p().query("DEALLOCATE s")),
                ready(p().prepared("s", &["1", "a"]).sync()),
                ready(p().parse("s", "SELECT 1").sync()),
                ready(p().statement("DEALLOCATE s").sync()),
                ready(p().prepared("s", &[]).sync()),
                ready(p().parse("s", "SELECT 1").sync()),
                ready(p().query("DEALLOCATE ALL")),
                ready(p().prepared("s", &[]).sync()),
                ready(p().parse("", "SELECT 1").sync()),
                ready(p().prepared("", &[]).sync()),
                ready(p().query("SELECT 2")),
                ready(p().prepared("", &[]).sync()),
            ],
        ),
        (
            "types and formats",
            vec![
                ready(
                    p().message(b'P', b"typed\0SELECT $1, $2\0\0\x02\0\0\0\x17\0\0\0\x11")
                        .describe_statement("typed")
                        .sync(),
                ),
                // The first as binary, the second as text; all results as binary.
                ready(
                    p().message(
                        b'B',
                        b"\0typed\0\0\x02\0\x01\0\0\0\x02\0\0\0\x04\0\0\0\x2a\0\0\0\x04\\x01\0\x01\0\x01",
                    )
                    .describe("")
                    .execute("", 0)
                    .sync(),
                ),
                // An integer of three bytes, then no parameter, then NULLs.
                ready(
                    p().message(
                        b'B',
                        b"\0typed\0\0\x01\0\x01\0\x02\0\0\0\x03abc\xff\xff\xff\xff\0\0",
                    )
                    .sync(),
                ),
                ready(p().bind("", "typed", &[]).sync()),
                ready(
                    p().message(
                        b'B',
                        b"\0typed\0\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff\0\0",
                    )
                    .execute("", 0)
                    .sync(),
                ),
                ready(p().message(b'P', b"\0SELECT $1\0\0\x01\0\x0f\xff\xff").sync()),
            ],
        ),
        (
            "a table that changes",
            vec![
                ready(p().query("CREATE TABLE changing AS SELECT 1 AS a")),
                ready(
                    p().parse("s", "SELECT * FROM changing")
                        .describe_statement("s")
                        .sync(),
                ),
                ready(p().prepared("s", &[]).sync()),
                ready(p().query("ALTER TABLE changing ADD b int DEFAULT 2")),
                ready(
                    p().parse("t", "SELECT * FROM changing")
                        .describe_statement("t")
                        .sync(),
                ),
                ready(p().prepared("t", &[]).sync()),
                ready(p().prepared("s", &[]).sync()),
                ready(p().query("DROP TABLE changing")),
                ready(p().parse("u", "SELECT * FROM changing").sync()),
                ready(p().prepared("t", &[]).sync()),
            ],
        ),
        (
            "local settings and statements",
            vec![
                ready(p().query("BEGIN; SET LOCAL DateStyle = 'ISO, MDY'")),
                ready(
                    p().parse("d", "SELECT '01/02/2024'::date")
                        .prepared("d", &[])
                        .sync(),
                ),
                ready(p().query("COMMIT")),
                ready(
                    p().parse("e", "SELECT '01/02/2024'::date")
                        .prepared("e", &[])
                        .sync(),
                ),
            ],
        ),
    ]
}
