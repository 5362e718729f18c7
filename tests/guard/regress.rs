//! PostgreSQL's own regression tests: files in `tests/data/regress`, and all
//! of them when PGTENANT_REGRESS_DIR names their folder.

use crate::{SETTING, guard};
use pgtenant::guard::Guard;
use std::path::{Path, PathBuf};

#[test]
fn the_guard_answers_on_every_statement() {
    let guard = guard(SETTING);
    let mut counts = (0, 0);
    for file in files() {
        let text = std::fs::read(&file).unwrap();
        answers(&guard, &text, &file);
        let text = String::from_utf8_lossy(&text);
        for statement in text.split_inclusive(";\n") {
            counts.0 += 1;
            counts.1 += usize::from(answers(&guard, statement.as_bytes(), &file));
        }
    }
    assert!(counts.0 > 1000 && counts.1 > counts.0 / 2, "{counts:?}");
    println!("{} of {} statements pass", counts.1, counts.0);
}

fn answers(guard: &Guard, sql: &[u8], file: &Path) -> bool {
    let verdict = guard.inspect(sql);
    let rule = verdict.refusal.as_ref().map(|refusal| refusal.rule);
    let text = String::from_utf8_lossy(sql);
    let known = text.contains("FOREIGN TABLE");
    let wrong = matches!(rule, Some("internal")) || (rule == Some("unknown-statement") && !known);
    assert!(!wrong, "{}: {text}", file.display());
    rule.is_none()
}

fn files() -> Vec<PathBuf> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/regress");
    let folder = std::env::var_os("PGTENANT_REGRESS_DIR").map_or(ours, PathBuf::from);
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|e| e == "sql"))
        .collect()
}
