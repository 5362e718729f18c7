//! Files: that they verify, whatever was done to them is found, and the log goes on.

use super::{Audited, audit, log_files, records, verify};
use std::fs;
use testkit::{site, wait_until};

fn signed(audited_lines: &str) -> (Audited, String) {
    let keys = tempfile::tempdir().unwrap().keep();
    let key = keys.join("audit.key");
    let made = audit(&["key", key.to_str().unwrap()]);
    assert!(made.status.success());
    let lines = format!("key_file = {:?}\n{audited_lines}", key.to_str().unwrap());
    (Audited::start(&lines), format!("{}.pub", key.display()))
}

#[test]
fn the_last_of_many_checkpoints_is_kept_beside_the_log() {
    let (audited, key) = signed("statements = \"all\"\ncheckpoint_records = 2");
    let mut client = audited.proxy.raw("innovate");
    for _ in 0..50 {
        client.run_ok("SELECT 1");
    }
    let statements = audited.wait_for("statement", 50);
    assert_eq!(statements.len(), 50);
    // Not each of them, and not at once.
    let file = audited.file();
    let path = file.to_str().unwrap();
    let kept = format!("{path}.checkpoint");
    wait_until("the last one is kept", || {
        let text = fs::read_to_string(&file).unwrap();
        let mut lines = text.lines().rev();
        let last = lines.find(|line| line.contains("\"event\":\"checkpoint\""));
        let kept = fs::read_to_string(&kept).unwrap_or_default();
        kept.lines().next() == last
    });
    let (well, said) = verify(&["--key", &key, path]);
    assert!(well && !said.contains(", 0 signed"), "{said}");
}

#[test]
fn a_signed_log_verifies_and_a_change_is_told_by_its_place() {
    let (mut audited, key) = signed("checkpoint_records = 2");
    for _ in 0..3 {
        drop(audited.proxy.raw("innovate"));
    }
    audited.wait_for("logout", 3);
    audited.stop();
    let file = audited.file();
    let path = file.to_str().unwrap();
    let (well, said) = verify(&["--key", &key, path]);
    assert!(
        well && said.contains("0 findings") && !said.contains(", 0 signed"),
        "{said}"
    );
    let (_, other) = signed("");
    assert!(!verify(&["--key", &other, path]).0);

    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let at = lines
        .iter()
        .position(|line| line.contains("\"logout\""))
        .unwrap();
    fs::write(&file, text.replacen("\"logout\"", "\"logged\"", 1)).unwrap();
    let (well, said) = verify(&[path]);
    assert!(
        !well && said.contains(&format!("{path}:{}: record {at} was changed", at + 1)),
        "{said}"
    );
    let without = [&lines[..at], &lines[at + 1..]].concat().concat();
    fs::write(&file, without).unwrap();
    let (well, said) = verify(&[path]);
    assert!(
        !well && said.contains(&format!("records {at} to {at} are missing")),
        "{said}"
    );
    fs::write(&file, lines[..lines.len() - 3].concat()).unwrap();
    let (well, said) = verify(&[path]);
    assert!(!well && said.contains("its end was cut off"), "{said}");
    fs::write(&file, "").unwrap();
    let (well, said) = verify(&[path]);
    assert!(!well && said.contains("the file is empty"), "{said}");
}

#[test]
fn the_log_goes_on_in_other_files_and_in_another_process() {
    let mut audited = Audited::start("rotate_size = \"64KiB\"");
    let mut client = audited.proxy.raw("innovate");
    for _ in 0..400 {
        assert_eq!(client.error("SET ROLE postgres").code(), "42501");
    }
    drop(client);
    audited.wait_for("logout", 1);
    audited.stop();
    audited.restart();
    audited.stop();
    // As logrotate does, with a process that runs.
    audited.restart();
    fs::rename(audited.file(), audited.folder.path().join("audit.jsonl.1")).unwrap();
    audited.proxy.signal("HUP");
    audited.wait_for("log_file", 1);
    audited.stop();
    let files = log_files(audited.folder.path());
    assert!(files.len() > 3, "{files:?}");
    let paths: Vec<_> = files.iter().map(String::as_str).collect();
    let (well, said) = verify(&paths);
    assert!(well, "{said}");
    let all: Vec<_> = files
        .iter()
        .flat_map(|file| records(file.as_ref()))
        .collect();
    let count = |event: &str| all.iter().filter(|record| record["event"] == event).count();
    assert_eq!(
        (count("statement_refused"), count("start"), count("stop")),
        (400, 3, 3)
    );
    let (well, said) = verify(&[&paths[..2], &paths[3..]].concat());
    assert!(!well && said.contains("are missing"), "{said}");
}

#[test]
fn a_stop_at_once_records_who_was_in_and_what_ran() {
    let mut audited = Audited::start("statements = \"all\"");
    let _idle = audited.proxy.raw("innovate");
    let mut within = audited.proxy.raw("innovate");
    within.run_ok("BEGIN");
    let mut busy = audited.proxy.raw("innovate");
    busy.send_query("SELECT pg_sleep(602)");
    let running = "SELECT count(*) FROM pg_stat_activity \
                   WHERE query = 'SELECT pg_sleep(602)' AND state = 'active'";
    wait_until("it runs", || site().sql("postgres", running) == "1");
    audited.proxy.signal("INT");
    audited.proxy.signal("INT");
    audited.proxy.wait();
    let records = audited.records();
    let of = |event: &str| {
        let found = records.iter().filter(|record| record["event"] == event);
        let sessions = found.map(|record| record["session"].as_u64().unwrap());
        sessions.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(of("login").len(), 3);
    assert_eq!(of("login"), of("logout"), "{records:?}");
    let lost = |record: &&serde_json::Value| record["outcome"] == "unknown";
    assert_eq!(records.iter().filter(lost).count(), 1, "{records:?}");
}

#[test]
fn what_a_crash_leaves_is_set_apart_and_the_log_goes_on() {
    let mut audited = Audited::start("");
    drop(audited.proxy.raw("innovate"));
    audited.wait_for("logout", 1);
    audited.proxy.signal("KILL");
    audited.proxy.wait();
    let file = audited.file();
    let whole = fs::read(&file).unwrap();
    let torn = b"{\"seq\":99,\"time\":\"2026-01";
    fs::write(&file, [&whole, &torn[..]].concat()).unwrap();
    let path = file.to_str().unwrap();
    let (well, said) = verify(&[path]);
    assert!(
        !well && said.contains("the last record is cut off"),
        "{said}"
    );
    audited.restart();
    let noted = audited.wait_for("torn_record_set_apart", 1).remove(0);
    assert_eq!(noted["bytes"], torn.len());
    assert_eq!(fs::read(noted["file"].as_str().unwrap()).unwrap(), torn);
    audited.stop();
    let (well, said) = verify(&[path]);
    assert!(well, "{said}");
    assert!(fs::read(&file).unwrap().starts_with(&whole));
    // Without its end, although a checkpoint says that there was more.
    let lines = whole.split_inclusive(|c| *c == b'\n').take(2);
    fs::write(&file, lines.collect::<Vec<_>>().concat()).unwrap();
    audited.restart();
    audited.wait_for("log_cut", 1);
    audited.stop();
    // Changed in its midst, while no proxy ran.
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("\"start\"", "\"stark\"", 1)).unwrap();
    audited.restart();
    let noted = audited.wait_for("damaged_log_set_apart", 1).remove(0);
    let aside = noted["file"].as_str().unwrap();
    assert!(fs::read_to_string(aside).unwrap().contains("stark"));
    assert_eq!(audited.records()[0]["seq"], 0);
}

#[test]
fn commands_that_change_something_are_recorded_beside_the_proxy_s_log() {
    let audited = Audited::start("");
    let config = audited.proxy.config.to_str().unwrap();
    let output = std::process::Command::new(testkit::program())
        .args([
            "harden",
            "--config",
            config,
            "--isolation",
            "setting",
            "--unseal-all",
        ])
        .args(["--apply", "postgresql://nobody@127.0.0.1:1/nowhere"])
        .output();
    assert!(!output.unwrap().status.success());
    let file = audited.folder.path().join("commands.audit.jsonl");
    let commands = records(&file);
    let commands: Vec<_> = commands
        .iter()
        .filter(|one| one["event"] == "command")
        .collect();
    let [begun, failed] = commands[..] else {
        panic!("{commands:#?}");
    };
    assert_eq!(
        (&begun["command"], &begun["outcome"]),
        (&"harden".into(), &"begun".into())
    );
    assert_eq!(begun["subject"], "isolation \"setting\"");
    assert!(begun["user"].as_str().unwrap().contains("uid"));
    assert!(
        failed["outcome"]
            .as_str()
            .unwrap()
            .starts_with("pgtenant: ")
    );
    let (well, said) = verify(&[file.to_str().unwrap()]);
    assert!(well, "{said}");
}

#[test]
fn two_processes_do_not_write_one_log() {
    let audited = Audited::start("");
    let run = std::process::Command::new(testkit::program())
        .args(["run", "--config", audited.proxy.config.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1));
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(said.contains("another process writes it"), "{said}");
}
