//! The book: its contents list every page once.

use super::links::links;
use super::pages;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use testkit::root;

/// The pages that docs/SUMMARY.md lists, in its order.
fn contents() -> Vec<PathBuf> {
    let docs = root().join("docs");
    let listed = links(include_str!("../../docs/SUMMARY.md"));
    let pages = listed.iter().map(|page| docs.join(page).canonicalize());
    pages.map(Result::unwrap).collect()
}

#[test]
fn every_page_is_in_the_contents_once() {
    let contents = contents();
    let listed: BTreeSet<_> = contents.iter().cloned().collect();
    assert_eq!(listed.len(), contents.len(), "a page is listed twice");
    let summary = root().join("docs/SUMMARY.md");
    for page in pages().into_iter().filter(|page| *page != summary) {
        let page = page.canonicalize().unwrap();
        assert!(listed.contains(&page), "{} is not listed", page.display());
    }
}

#[test]
fn pages_of_the_book_link_to_no_others() {
    let contents = contents();
    for page in &contents {
        let links = links(&fs::read_to_string(page).unwrap());
        let local = links.iter().filter(|link| !link.starts_with("http"));
        let files = local.map(|link| link.split('#').next().unwrap_or_default());
        for file in files.filter(|file| !file.is_empty()) {
            let target = page.with_file_name(file).canonicalize().unwrap();
            let page = page.display();
            // A folder has no page.
            assert!(target.is_file(), "{page}: {file} is no file");
            assert!(
                !file.ends_with(".md") || contents.contains(&target),
                "{page}: {file} is not in the book"
            );
        }
    }
}
