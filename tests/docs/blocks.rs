//! The blocks of code in a page.

/// A block between fences.
pub(super) struct Block {
    /// What stands behind the first fence: `sh`, `toml`, …
    pub(super) language: String,
    /// The number of its first line.
    pub(super) line: usize,
    pub(super) text: String,
}

/// The blocks between fences, without the indentation of these.
pub(super) fn blocks(page: &str) -> Vec<Block> {
    let mut all = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for (number, line) in (1..).zip(page.lines()) {
        let indent = line.len() - line.trim_start().len();
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => {
                let block = Block {
                    language: language.to_owned(),
                    line: number + 1,
                    text: String::new(),
                };
                open = Some((indent, block));
            }
            (None, None) => {}
            (Some(_), Some(_)) => all.extend(open.take().map(|(_, block)| block)),
            (Some((indent, block)), None) => {
                block.text.push_str(line.get(*indent..).unwrap_or_default());
                block.text.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a block of code does not end");
    all
}

/// The lines outside of such blocks.
pub(super) fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut within = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        within ^= fence;
        !within && !fence
    })
}
