//! Where two outputs differ.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// A stretch in which they differ.
#[derive(Debug, Clone)]
pub struct Hunk {
    /// Lines of the first, from 1; empty where the second has more.
    pub lines: std::ops::RangeInclusive<usize>,
    /// `< ` and `> ` before the lines of either.
    pub text: String,
}

/// The stretches in which two files differ, by diff(1).
pub fn hunks(first: &Path, second: &Path) -> Vec<Hunk> {
    let mut diff = Command::new("diff");
    let output = diff.arg("-a").args([first, second]).output().unwrap();
    assert!(output.status.code().unwrap() < 2, "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut hunks: Vec<Hunk> = Vec::new();
    for line in text.split_inclusive('\n') {
        match line.chars().next() {
            Some('0'..='9') => {
                let at = line.find(['a', 'c', 'd']).unwrap();
                let mut numbers = line[..at].split(',').map(|n| n.parse::<usize>().unwrap());
                let from = numbers.next().unwrap();
                let to = match line.as_bytes()[at] {
                    b'a' => from - from.min(1),
                    _ => numbers.next().unwrap_or(from),
                };
                let from = from.max(1);
                hunks.push(Hunk {
                    lines: from..=to,
                    text: String::new(),
                });
            }
            _ => hunks.last_mut().unwrap().text.push_str(line),
        }
    }
    hunks
}

/// Lines of the first that are not the same in the second.
pub fn changed_lines(hunks: &[Hunk]) -> BTreeSet<usize> {
    hunks.iter().flat_map(|hunk| hunk.lines.clone()).collect()
}
