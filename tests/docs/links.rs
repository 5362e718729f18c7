//! Links, within a page and between pages.

use super::blocks::prose;
use super::pages;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// What links may name in a page: its headings, as they are shortened for that. One that
/// stands twice gets a number.
fn anchors(text: &str) -> BTreeSet<String> {
    let shorten = |heading: &str| {
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let headings = prose(text).filter_map(|line| {
        let heading = line.trim_start_matches('#').strip_prefix(' ')?;
        line.starts_with('#').then(|| shorten(heading))
    });
    let mut seen = BTreeMap::<String, usize>::new();
    let numbered = headings.map(|heading| {
        let count = seen.entry(heading.clone()).or_default();
        *count += 1;
        match *count {
            1 => heading,
            count => format!("{heading}-{}", count - 1),
        }
    });
    numbered.collect()
}

/// The targets of links.
pub(super) fn links(text: &str) -> Vec<String> {
    let prose = prose(text).collect::<Vec<_>>().join("\n");
    let behind = prose.split("](").skip(1);
    behind
        .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    assert!(pages.len() > 20, "{pages:?}");
    let mut followed = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let links = links(&text);
        for link in links.iter().filter(|link| !link.starts_with("http")) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let file = match file {
                "" => page.clone(),
                file => page.with_file_name(file),
            };
            assert!(file.exists(), "{}: {link}", page.display());
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&file).unwrap());
                assert!(
                    there.contains(anchor),
                    "{}: {link}: {there:?}",
                    page.display()
                );
            }
            followed += 1;
        }
    }
    assert!(followed > 100, "{followed}");
}
