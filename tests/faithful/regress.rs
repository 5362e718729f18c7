//! PostgreSQL's regression SQL through psql: straight to the server, through the
//! proxy in session mode, and in transaction mode with another server connection
//! for each transaction. Lines that two direct runs have differently (process
//! ids, OIDs, times) are not compared; everything else is.
//!
//! The files are those in `tests/data/regress`, or all of them when
//! PGTENANT_REGRESS_DIR names their folder; PGTENANT_REGRESS_ONLY names some of
//! them, with commas between.

use crate::compare::{Hunk, changed_lines, hunks};
use crate::differences::{Known, known};
use crate::place::{DATABASE, Place, USER};
use crate::relay::{Kind, POOL, Relay, Seen, Turns};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use testkit::regress_folder;

/// Most time for one run of one file.
const MOST_TIME: Duration = Duration::from_secs(600);
/// What they set up is in the template already.
const LEFT_OUT: &[&str] = &["test_setup.sql"];

#[test]
fn psql_sees_no_difference_to_a_direct_connection() {
    let files = Mutex::new(files(&regress_folder()));
    let reports = Mutex::new(BTreeMap::new());
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(1, 4));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let place = Place::start();
                while let Some(file) = { files.lock().unwrap().pop() } {
                    let report = compare(&place, &file);
                    let name = file.file_name().unwrap().to_string_lossy().into_owned();
                    reports.lock().unwrap().insert(name, report);
                }
            });
        }
    });
    judge(&reports.into_inner().unwrap());
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let only = std::env::var("PGTENANT_REGRESS_ONLY").ok();
    let wanted = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let asked = only
            .as_deref()
            .is_none_or(|only| only.split(',').any(|o| o == name));
        name.ends_with(".sql") && !LEFT_OUT.contains(&name) && asked
    };
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(wanted);
    files.sort();
    files
}

/// What came of one file.
struct Report {
    lines: usize,
    unstable: usize,
    reference: Seen,
    transaction: Seen,
    differences: Vec<(&'static str, Hunk)>,
}

fn compare(place: &Place, file: &Path) -> Report {
    let name = file.file_stem().unwrap().to_str().unwrap();
    let directory = place.cluster.directory();
    let out = |run: &str| directory.join(format!("{name}.{run}.out"));

    let direct = |run: &str| {
        place.renew();
        let relay = Relay::start(place.cluster.port(), Kind::reference());
        psql(place, file, relay.port, &out(run));
        relay.seen()
    };
    let reference = direct("direct");
    place.renew();
    {
        let proxy = place.proxy("session", POOL);
        psql(place, file, proxy.port, &out("session"));
    }
    place.renew();
    let transaction = {
        let proxy = place.proxy("transaction", POOL);
        let turns = Turns::new(place, &proxy);
        let relay = Relay::start(proxy.port, Kind::Turning(Box::new(Mutex::new(turns))));
        psql(place, file, relay.port, &out("transaction"));
        relay.seen()
    };

    let modes = ["session", "transaction"];
    let found = modes.map(|mode| hunks(&out("direct"), &out(mode)));
    let mut unstable = BTreeSet::new();
    if found.iter().any(|hunks| !hunks.is_empty()) {
        direct("again");
        unstable = changed_lines(&hunks(&out("direct"), &out("again")));
    }
    let mut differences = Vec::new();
    for (mode, mut found) in modes.into_iter().zip(found) {
        found.retain(|hunk| {
            hunk.lines.is_empty() || !hunk.lines.clone().all(|line| unstable.contains(&line))
        });
        differences.extend(found.into_iter().map(|hunk| (mode, hunk)));
    }
    let report = Report {
        lines: fs::read(out("direct"))
            .unwrap()
            .iter()
            .filter(|b| **b == b'\n')
            .count(),
        unstable: unstable.len(),
        reference,
        transaction,
        differences,
    };
    for run in ["direct", "again", "session", "transaction"] {
        let _ = fs::remove_file(out(run));
    }
    report
}

/// As PostgreSQL's own pg_regress calls it.
fn psql(place: &Place, file: &Path, port: u16, out: &Path) {
    let output = File::create(out).unwrap();
    let mut child = Command::new(place.cluster.client_program("psql"))
        .args(["-X", "-a", "-q", "-v", "HIDE_TABLEAM=on"])
        .args(["-v", "HIDE_TOAST_COMPRESSION=on", "-f"])
        .arg(file)
        .current_dir(place.cluster.directory())
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", port.to_string())
        .env("PGUSER", USER)
        .env("PGPASSWORD", &place.password)
        .env("PGDATABASE", DATABASE)
        .env("PGSSLMODE", "disable")
        .env("PGGSSENCMODE", "disable")
        .env("PGTZ", "PST8PDT")
        .env("PGDATESTYLE", "Postgres, MDY")
        .env("PGOPTIONS", "-c intervalstyle=postgres_verbose")
        .env("PG_ABS_SRCDIR", file.parent().unwrap())
        .env("PG_ABS_BUILDDIR", place.cluster.directory())
        .env("PG_LIBDIR", "/nonexistent")
        .env("PG_DLSUFFIX", ".so")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + MOST_TIME;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("{} takes too long", file.display());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let text = fs::read(out).unwrap();
    fs::write(out, normalised(&String::from_utf8_lossy(&text))).unwrap();
}

/// Without what differs for reasons of chance, but not between two direct runs:
/// - the number of a temporary schema is that of the place among the server's
///   processes;
/// - psql tells the line that it has read up to when a notice arrives, and while
///   it sends the data of a COPY that is a matter of time.
fn normalised(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let notice = line.split_once(".sql:").and_then(|(file, rest)| {
            let (number, rest) = rest.split_once(':')?;
            let is_notice = file.starts_with("psql:")
                && number.parse::<usize>().is_ok()
                && (rest.starts_with(" NOTICE:") || rest.starts_with(" WARNING:"));
            is_notice.then(|| format!("{file}.sql:N:{rest}"))
        });
        let line = notice.as_deref().unwrap_or(line);
        for (n, part) in line.split("pg_temp_").enumerate() {
            match n {
                0 => out.push_str(part),
                _ => {
                    out.push_str("pg_temp_N");
                    out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
                }
            }
        }
    }
    out
}

fn judge(reports: &BTreeMap<String, Report>) {
    let known = known();
    let mut used = vec![Vec::new(); known.len()];
    let mut new = Vec::new();
    for (name, report) in reports {
        for (mode, hunk) in &report.differences {
            let excuses = |known: &Known| {
                let text = known.text == "*" || hunk.text.contains(known.text);
                known.file == name && known.modes.contains(mode) && text
            };
            match known.iter().position(excuses) {
                Some(at) => used[at].push(*mode),
                None => new.push(format!(
                    "{name}, {mode} mode, line {}:\n{}",
                    hunk.lines.start(),
                    hunk.text
                )),
            }
        }
    }
    let (mut queries, mut lines, mut unstable, mut rules) = (0, 0, 0, BTreeMap::new());
    let (mut moved, mut pinned) = (0, Vec::new());
    for (name, report) in reports {
        queries += report.reference.queries;
        lines += report.lines;
        unstable += report.unstable;
        for (rule, count) in &report.reference.refused {
            *rules.entry(*rule).or_insert(0) += count;
        }
        match report.transaction.servers.len() {
            0 | 1 => pinned.push(name),
            _ => moved += 1,
        }
    }
    println!(
        "{} files, {queries} queries, {lines} lines; {unstable} lines are never the same",
        reports.len()
    );
    println!("refused: {rules:?}");
    println!("{moved} files used several server connections; one alone: {pinned:?}");
    let mut stale = Vec::new();
    for (entry, used) in known.iter().zip(&used) {
        for mode in &entry.modes {
            if reports.contains_key(entry.file) && !used.contains(mode) && !entry.by_chance {
                stale.push(format!("{} | {mode} | {}", entry.file, entry.text));
            }
        }
    }
    assert!(
        new.is_empty() && stale.is_empty(),
        "{} differences, {} entries of differences.txt that differ no more\n{}\nno more: {stale:#?}",
        new.len(),
        stale.len(),
        new.join("\n"),
    );
}
