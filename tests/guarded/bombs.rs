//! Statements that are made to hurt: a clear refusal or an answer, and others
//! go on meanwhile.

use std::time::{Duration, Instant};
use testkit::{Options, Proxy, Raw};

fn bombs() -> Vec<(&'static str, String, &'static [&'static str])> {
    vec![
        (
            "1 MB of parentheses",
            format!("SELECT {}1{}", "(".repeat(500_000), ")".repeat(500_000)),
            &["42601", "54001", "54000"],
        ),
        (
            "1 MB of open parentheses",
            format!("SELECT {}", "(".repeat(1_000_000)),
            &["42601"],
        ),
        (
            "10,000 terms",
            format!("SELECT 1{}", " + 1".repeat(10_000)),
            &["", "54001"],
        ),
        (
            "200,000 terms",
            format!("SELECT 1{}", "+1".repeat(200_000)),
            &["54001", "42601", ""],
        ),
        (
            "100,000 comments",
            format!("SELECT {}{}1", "/*".repeat(100_000), "*/".repeat(100_000)),
            &["54001"],
        ),
        (
            "100,000 open comments",
            format!("SELECT {}", "/*".repeat(100_000)),
            &["54001", "42601"],
        ),
        (
            "20 MB",
            format!("SELECT '{}'", "x".repeat(20 << 20)),
            &["54000"],
        ),
        (
            "1 MB",
            format!("SELECT '{}'", "x".repeat((1 << 20) - 50)),
            &[""],
        ),
        (
            "subselects",
            format!(
                "SELECT {}1{}",
                "(SELECT ".repeat(50_000),
                ")".repeat(50_000)
            ),
            &["54001", "42601"],
        ),
        (
            "NOT",
            format!("SELECT {} true", "NOT ".repeat(200_000)),
            &["54001", "42601", ""],
        ),
        (
            "casts",
            format!("SELECT 1{}", "::int".repeat(150_000)),
            &["54001", "42601", ""],
        ),
        (
            "indirection",
            format!("SELECT a{} FROM users", "[1]".repeat(200_000)),
            &["54001", "42601", "42703", "54000", "42804"],
        ),
        (
            "joins",
            format!(
                "SELECT 1 FROM users a{}",
                " CROSS JOIN users".repeat(40_000)
            ),
            &["54001", "42712", "42601"],
        ),
        (
            "unions",
            format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(40_000)),
            &["54001", "42601", ""],
        ),
        ("statements", "SELECT 1;".repeat(100_000), &[""]),
        (
            "arrays",
            format!(
                "SELECT {}1{}",
                "ARRAY[".repeat(100_000),
                "]".repeat(100_000)
            ),
            &["54001", "42601"],
        ),
        (
            "case",
            format!(
                "SELECT {}1{}",
                "CASE WHEN true THEN ".repeat(30_000),
                " END".repeat(30_000)
            ),
            &["54001", "42601"],
        ),
        (
            "identifiers",
            format!("SELECT {}x FROM users", "a.".repeat(300_000)),
            &["42601", "54001", "42P01", "0A000", "42622"],
        ),
    ]
}

#[test]
fn bombs_are_refused_or_answered_and_others_go_on() {
    let proxy = Proxy::start(&Options {
        size: 2,
        ..Options::default()
    });
    // As long as the bombs come, another client counts how long it waits.
    let mut bystander = proxy.raw("synergy");
    let (done, stop) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let mut longest = Duration::ZERO;
        while stop.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            let begin = Instant::now();
            assert_eq!(
                bystander.value("SELECT email FROM users"),
                "bob@synergy.example"
            );
            longest = longest.max(begin.elapsed());
        }
        longest
    });
    for (what, sql, codes) in bombs() {
        let mut client = proxy.raw("innovate");
        let begin = Instant::now();
        let simple = client.query(&sql);
        let took = begin.elapsed();
        let code = |answer: &testkit::Answer| {
            answer
                .errors()
                .first()
                .map_or(String::new(), |error| error.code().to_owned())
        };
        assert!(
            codes.contains(&&*code(&simple)),
            "{what}: {:?}",
            simple.errors()
        );
        let extended = client.extended(&sql);
        let code = code(&extended);
        assert!(
            codes.contains(&&*code) || (what == "statements" && code == "42601"),
            "{what}: {:?}",
            extended.errors()
        );
        still_works(&mut client);
        eprintln!("{what}: {took:?} {code}");
    }
    drop(done);
    eprintln!("a bystander waited at most {:?}", watch.join().unwrap());
}

fn still_works(client: &mut Raw) {
    assert_eq!(
        client.value("SELECT email FROM users"),
        "alice@innovate.example"
    );
}
