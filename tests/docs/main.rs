//! The documentation holds together, and what it shows is true.

#![allow(clippy::unwrap_used, clippy::panic)]

mod blocks;
mod book;
mod first_database;
mod links;
mod settings;

use std::fs;
use std::path::PathBuf;
use testkit::root;

/// README and its kin, and the pages of docs/.
fn pages() -> Vec<PathBuf> {
    let folders = [root().to_owned(), root().join("docs")];
    let files = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.map(|file| file.unwrap().path());
    files
        .filter(|file| file.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

#[test]
fn readme_is_for_a_first_reader() {
    let readme = include_str!("../../README.md");
    assert!(readme.lines().count() <= 200);
}
