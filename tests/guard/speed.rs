//! Figures, on demand: `cargo test --release --test guard speed -- --ignored --nocapture`.

use crate::{SETTING, guard};

#[test]
#[ignore = "prints times; run it optimized"]
fn speed() {
    let guard = guard(SETTING);
    let orm = format!(
        "SELECT {} FROM \"public\".\"wellness_entries\" t0 INNER JOIN \"users\" t1 ON t1.id = t0.user_id WHERE t0.id = $1 AND lower(t1.email) = $2 ORDER BY t0.created_at DESC LIMIT 10",
        (0..30)
            .map(|i| format!("\"t0\".\"column_{i}\" AS \"c{i}\""))
            .collect::<Vec<_>>()
            .join(", ")
    );
    for sql in [
        "SELECT abalance FROM pgbench_accounts WHERE aid = 12345",
        "SELECT lower(a), b FROM t WHERE c = $1 AND d > 5",
        &orm,
    ] {
        let n = 200_000;
        let time = |work: &mut dyn FnMut(usize)| {
            let start = std::time::Instant::now();
            for i in 0..n {
                work(i);
            }
            start.elapsed().as_nanos() as f64 / n as f64
        };
        let parse = time(&mut |_| {
            std::hint::black_box(pg_raw_parse::parse(sql).unwrap());
        });
        let texts: Vec<String> = (0..n).map(|i| format!("{sql} -- {i}")).collect();
        let miss = time(&mut |i| {
            std::hint::black_box(guard.inspect(texts[i].as_bytes()));
        });
        let hit = time(&mut |_| {
            std::hint::black_box(guard.inspect(sql.as_bytes()));
        });
        println!(
            "{} bytes: parse {parse:.0} ns, miss {miss:.0} ns, hit {hit:.0} ns",
            sql.len()
        );
    }
}

#[test]
#[ignore = "prints times; run it optimized"]
fn hostile_speed() {
    let guard = guard(SETTING);
    let mib = 1 << 20;
    let fill = |part: &str| part.repeat(mib / part.len());
    let mut cases: Vec<(String, String)> = Vec::new();
    for part in [
        "/* */ ",
        "/*/*/**/*/*/ ",
        "'a' ",
        "'/*' ",
        "$a$x$a$ ",
        "$a$",
        "(",
        "a,",
        "1+",
        "select 1;",
        "U&'\\0041' ",
        "E'\\n' ",
        "\"/*\" ",
        "a$b$ /* */ ",
        "-- /*\n",
        ";",
        "/",
        "*/",
        "''",
        "$1",
        "1.",
        ".a",
        "::int",
        "[1]",
        "$a /* */",
        "not ",
        "- ",
        "@-",
        "/*-- \n*/",
    ] {
        cases.push((part.to_owned(), fill(part)));
        cases.push((
            format!("SELECT {part}"),
            format!("SELECT {}", fill(part)).chars().take(mib).collect(),
        ));
    }
    cases.push((
        "depth 32".into(),
        fill(&format!("{}{} ", "/*".repeat(32), "*/".repeat(32))),
    ));
    cases.push((
        "tags".into(),
        (0..120_000).map(|i| format!("$t{i}$ ")).collect::<String>() + &"/**/ ".repeat(40),
    ));
    cases.push((
        "string".into(),
        format!("SELECT '{}'", "/*".repeat(500_000)),
    ));
    cases.push((
        "quotes".into(),
        format!("SELECT '{}'", "''".repeat(500_000)),
    ));
    cases.push((
        "open comment".into(),
        format!("SELECT /*{}", "x".repeat(1_000_000)),
    ));
    cases.push((
        "settings".into(),
        (0..30_000)
            .map(|i| format!("SET a.b{i} = 1;"))
            .collect::<String>(),
    ));
    let mut times: Vec<(u128, String, Option<&str>)> = cases
        .iter()
        .map(|(name, sql)| {
            let sql = &sql.as_bytes()[..sql.len().min(mib)];
            let start = std::time::Instant::now();
            let verdict = guard.inspect(sql);
            (
                start.elapsed().as_millis(),
                name.clone(),
                verdict.refusal.as_ref().map(|r| r.rule),
            )
        })
        .collect();
    times.sort_by_key(|t| std::cmp::Reverse(t.0));
    for t in times.iter().take(25) {
        println!("HH {} ms {:?} {:?}", t.0, t.1, t.2);
    }
}
