//! The end of the log.

use super::reading::Unreadable;
use super::record::Record;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Most bytes that are read.
const MOST_BYTES: u64 = 256 << 10;

/// The last records of the file at this path, the latest first, at most `most` of them.
///
/// # Errors
/// If it cannot be read.
pub fn tail(path: &Path, most: usize) -> Result<Vec<Map<String, Value>>, Unreadable> {
    let bytes = end_of(path).map_err(|error| Unreadable {
        path: path.to_owned(),
        error,
    })?;
    // The first line may lack its beginning and the last one its end: neither is a
    // record then.
    let lines = bytes.split(|byte| *byte == b'\n').rev();
    let records = lines.filter_map(|line| Record::read(line).ok()?.fields());
    Ok(records.take(most).collect())
}

fn end_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(MOST_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}
