//! What is said of files that PgBouncer would not take.

use pgtenant::import;
use std::path::Path;
use std::process::Command;
use testkit::{fed, stderr, stdout};

/// The problems of a file and a user list, one a line.
fn told(ini: &str, users: Option<&str>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgbouncer.ini");
    std::fs::write(&file, ini).unwrap();
    let list = folder.path().join("userlist.txt");
    if let Some(users) = users {
        std::fs::write(&list, users).unwrap();
    }
    let users = users.is_some().then_some(list.as_path());
    let problems = import::pgbouncer(&file, users).unwrap_err();
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let prefix = format!("{}/", folder.path().display());
    lines.join("\n").replace(&prefix, "")
}

#[test]
fn errors_name_file_line_and_key() {
    for (ini, error) in [
        (
            "[pgbouncer]\ndefault_pool_size = many\n",
            "pgbouncer.ini:2:1: default_pool_size: must be a whole number",
        ),
        (
            "[pgbouncer]\n\nquery_timeout = 5s\n",
            "pgbouncer.ini:3:1: query_timeout: must be a number of seconds",
        ),
        (
            "[pgbouncer]\npool_mode = statment\n",
            "pgbouncer.ini:2:1: pool_mode: must be one of session",
        ),
        (
            "listen_port = 1\n",
            "pgbouncer.ini:1:1: listen_port: stands before the first section",
        ),
        (
            "[pgbounce]\nlisten_port = 1\n",
            "pgbouncer.ini:1:1: \"pgbounce\" is no section",
        ),
        (
            "[pgbouncer\n",
            "pgbouncer.ini:1:1: the name of a section has no closing",
        ),
        (
            "[pgbouncer]\nlisten_port 1\n",
            "pgbouncer.ini:2:1: the line is neither",
        ),
        (
            "[pgbouncer]\n%include nowhere.ini\n",
            "pgbouncer.ini:2:1: %include: nowhere.ini: cannot be read",
        ),
        (
            "[pgbouncer]\n%include pgbouncer.ini\n",
            "include each other too deeply",
        ),
        (
            "[databases]\na = host\n",
            "pgbouncer.ini:2:1: a: is not made of key=value pairs",
        ),
        (
            "[databases]\na = host='db\n",
            "pgbouncer.ini:2:1: a: host has no closing quote",
        ),
        (
            "[databases]\na = host=\n",
            "pgbouncer.ini:2:1: a: host has no value",
        ),
        (
            "[databases]\na = host=x host=y\n",
            "pgbouncer.ini:2:1: a: host stands twice",
        ),
        (
            "[databases]\na = port=70000\n",
            "pgbouncer.ini:2:1: a.port: must be a number from 1",
        ),
        (
            "[databases]\na = pool_size=x\n",
            "pgbouncer.ini:2:1: a.pool_size: must be a whole number",
        ),
        (
            "[databases]\na = pool_mode=x\n",
            "pgbouncer.ini:2:1: a.pool_mode: must be one of",
        ),
        (
            "[databases]\npgbouncer = host=x\n",
            "pgbouncer.ini:2:1: pgbouncer: is the name of the console",
        ),
        (
            "[databases]\n\"a = host=x\n",
            "pgbouncer.ini:2:1: the name has no closing quote",
        ),
        (
            "[pgbouncer]\n\0\n",
            "pgbouncer.ini:2:1: the line holds a zero byte",
        ),
    ] {
        let told = told(ini, None);
        assert!(told.contains(error), "{ini:?}: {told}");
    }
}

#[test]
fn errors_of_the_user_list_name_its_line_and_show_no_password() {
    for (users, error) in [
        (
            "\"a\" \"b\"\nsecret-text\n",
            "userlist.txt:2:1: must be \"user\" \"password\"",
        ),
        ("\"a\" \"secret-text\n", "userlist.txt:1:1: must be"),
        (
            "\"\" \"secret-text\"\n",
            "userlist.txt:1:1: the user's name is empty",
        ),
    ] {
        let told = told("[pgbouncer]\n", Some(users));
        assert!(told.contains(error), "{users:?}: {told}");
        assert!(!told.contains("secret-text"), "{told}");
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let told = told(
        "[pgbouncer]\nmax_client_conn = x\nlisten_port = y\n[databases]\na = b\n",
        None,
    );
    assert_eq!(told.lines().count(), 3, "{told}");
}

#[test]
fn the_command_fails_as_for_a_wrong_configuration() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgtenant"));
    let output = fed(command.args(["import", "/nowhere/pgbouncer.ini"]), "");
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).is_empty());
    assert!(stderr(&output).contains("/nowhere/pgbouncer.ini"));
}

#[test]
fn a_user_list_that_is_named_in_the_file_is_found_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgbouncer.ini");
    std::fs::write(
        &file,
        "[databases]\na = user=b\n[pgbouncer]\nauth_file = list\n",
    )
    .unwrap();
    std::fs::write(folder.path().join("list"), "\"app\" \"pass\"\n").unwrap();
    let toml = import::pgbouncer(Path::new(&file), None).unwrap().toml;
    assert!(toml.contains("user = \"app\"  # list:1"), "{toml}");
}

#[test]
fn a_mark_stays_in_one_line_however_long_its_key_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgbouncer.ini");
    let host = format!("{}.example", "a-long-label.".repeat(12));
    let ini = format!("[databases]\na = host=x user=b\nc = host={host}\n[pgbouncer]\n");
    std::fs::write(&file, ini).unwrap();
    let imported = import::pgbouncer(&file, None).unwrap();
    assert!(imported.decisions.iter().any(|key| key.len() > 100));
    super::assert_told(&imported, "");
}
