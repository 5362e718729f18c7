//! Clients that hold a server connection, are not idle, and do nothing: others
//! who wait get it after `pool.reclaim_after`.

use crate::with_bulk;
use testkit::{Options, Pipeline, answers_soon, assert_whole, pool};

/// Sends what holds the connection, and goes no further.
fn stalled(name: &str, bytes: &[u8], seen: Option<u8>) {
    let proxy = with_bulk(Options {
        size: 1,
        wait_timeout: pool::WAIT_TIMEOUT,
        reclaim_after: "200ms",
        ..Options::default()
    });
    for begin in [false, true] {
        let mut holder = proxy.raw("innovate");
        if begin {
            holder.run_ok("BEGIN");
        }
        holder.send(bytes);
        if let Some(tag) = seen {
            holder.until(tag);
        }
        let what = format!("{name}, BEGIN: {begin}");
        assert_whole(&what, &proxy, "synergy", 1);
        // Those who wait need not be of another tenant.
        assert_whole(&what, &proxy, "innovate", 1);
        drop(holder);
    }
}

fn one() -> Pipeline {
    Pipeline::new().parse("", "SELECT 1")
}

#[test]
fn a_parse_without_more() {
    stalled("P", one().bytes(), None);
    stalled("P H", one().flush().bytes(), Some(b'1'));
}

#[test]
fn a_pipeline_without_its_sync() {
    let whole = one().bind("", "", &[]).execute("", 0);
    stalled("P B E", whole.bytes(), None);
    stalled("P B E H", whole.flush().bytes(), Some(b'C'));
}

#[test]
fn a_pipeline_with_an_error_without_its_sync() {
    let failed = Pipeline::new().statement("SELECT 1/0").flush();
    stalled("P B E (1/0) H", failed.bytes(), Some(b'E'));
}

#[test]
fn half_a_bind() {
    let bind = Pipeline::new().bind("", "", &["some parameter"]);
    let (half, _) = bind.bytes().split_at(bind.bytes().len() - 8);
    stalled("half a Bind", &[one().bytes(), half].concat(), None);
}

#[test]
fn a_large_bind_that_stops_halfway() {
    let large = "x".repeat(4 << 20);
    let bind = Pipeline::new().bind("", "", &[&large]);
    let (half, _) = bind.bytes().split_at(2 << 20);
    let parse = Pipeline::new().parse("", "SELECT length($1::text)");
    stalled("half a large Bind", &[parse.bytes(), half].concat(), None);
}

#[test]
fn a_copy_without_data() {
    let copy = "COPY bulk FROM STDIN";
    stalled("COPY", Pipeline::new().query(copy).bytes(), Some(b'G'));
    let extended = Pipeline::new().statement(copy).sync();
    stalled("P B E (COPY) S", extended.bytes(), Some(b'G'));
    let some = Pipeline::new().query(copy).copy_data(b"1\tx\n");
    stalled("COPY d", some.bytes(), Some(b'G'));
    let half = [Pipeline::new().query(copy).bytes(), b"d\0\x10\0\0one"].concat();
    stalled("COPY, half a CopyData", &half, Some(b'G'));
}

#[test]
fn a_result_that_is_not_read() {
    let sql = "SELECT repeat('x', 1000) FROM generate_series(1, 100000)";
    stalled("Q", Pipeline::new().query(sql).bytes(), Some(b'D'));
    let extended = Pipeline::new().statement(sql).sync();
    stalled("P B E S", extended.bytes(), Some(b'D'));
    let copy = Pipeline::new().query(&format!("COPY ({sql}) TO STDOUT"));
    stalled("COPY TO STDOUT", copy.bytes(), Some(b'd'));
}

#[test]
fn five_results_that_are_not_read_are_taken_from_their_tenant() {
    let proxy = with_bulk(Options {
        size: 5,
        wait_timeout: pool::WAIT_TIMEOUT,
        reclaim_after: "200ms",
        reclaim_own_after: Some("1h"),
        ..Options::default()
    });
    let sql = "SELECT repeat('x', 1000) FROM generate_series(1, 100000)";
    let unread: Vec<_> = (0..5)
        .map(|_| {
            let mut client = proxy.raw("innovate");
            client.send_query(sql);
            client.until(b'D');
            client
        })
        .collect();
    // As long as the other tenant holds fewer.
    assert_whole("five results", &proxy, "synergy", 3);
    drop(unread);
}

/// Who does something, though slowly, is not disturbed.
#[test]
fn a_copy_that_goes_on_is_not_ended() {
    let proxy = with_bulk(Options {
        size: 1,
        reclaim_after: "1s",
        ..Options::default()
    });
    let mut busy = proxy.raw("innovate");
    busy.send_query("COPY bulk FROM STDIN");
    busy.until(b'G');
    let mut waiting = proxy.raw("synergy");
    waiting.send_query("SELECT 1");
    // Twice as long as it could be idle; its pace is what is tested.
    for _ in 0..20 {
        busy.send(Pipeline::new().copy_data(b"1\tx\n").bytes());
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let answer = busy.run(&Pipeline::new().copy_done());
    assert_eq!(answer.ok().commands(), ["COPY 20"]);
    assert!(answers_soon(&waiting));
    waiting.until_ready().ok();
}
