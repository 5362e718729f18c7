//! The differences that are known, each with its reason:
//! `tests/data/faithful/differences.txt`.

/// One line of the file.
#[derive(Debug)]
pub struct Known {
    pub file: &'static str,
    /// `session`, `transaction`, or both.
    pub modes: Vec<&'static str>,
    /// What the difference contains; `*`: whatever it is.
    pub text: &'static str,
    /// It does not differ each time.
    pub by_chance: bool,
}

pub fn known() -> Vec<Known> {
    let lines = include_str!("../data/faithful/differences.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(parse).collect()
}

fn parse(line: &'static str) -> Known {
    let parts: Vec<_> = line.split(" | ").map(str::trim).collect();
    let &[file, modes, text, reason] = &parts[..] else {
        panic!("not FILE | MODES | TEXT | REASON: {line}");
    };
    assert!(!text.is_empty() && !reason.is_empty(), "{line}");
    let modes = modes.split('+').collect();
    Known {
        file,
        modes,
        text,
        by_chance: reason.starts_with("by chance:"),
    }
}
