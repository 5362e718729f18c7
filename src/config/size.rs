//! Numbers of bytes, with their unit.

use super::reader::Entry;
use std::ops::RangeInclusive;

/// The units, the largest first, and what each is in bytes. PostgreSQL's own are
/// among them: its `kB` has 1024 bytes.
const UNITS: [(&str, usize); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1 << 30),
    ("MB", 1 << 20),
    ("kB", 1 << 10),
    ("B", 1),
];

/// The value as a number of bytes.
pub(super) fn read(entry: &Entry<'_>, range: RangeInclusive<usize>) -> Option<usize> {
    let size = parse(entry.text()?).filter(|size| range.contains(size));
    if size.is_none() {
        let (least, most) = range.into_inner();
        entry.refuse(format!(
            "must be a size with its unit, such as \"1MiB\", from {} to {}",
            shown(least),
            shown(most)
        ));
    }
    size
}

fn parse(text: &str) -> Option<usize> {
    let of_unit = |(unit, bytes): (&str, usize)| {
        let number = text.strip_suffix(unit)?.trim_end();
        let number = number.parse::<u32>().ok()?;
        (number as usize).checked_mul(bytes)
    };
    UNITS.into_iter().find_map(of_unit)
}

/// A size in the largest unit that needs no fraction.
fn shown(size: usize) -> String {
    let whole = UNITS.iter().find(|(_, bytes)| size.is_multiple_of(*bytes));
    match whole {
        Some((unit, bytes)) => format!("{}{unit}", size / bytes),
        None => format!("{size}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, size) in [
            ("1MiB", 1 << 20),
            ("128 MiB", 128 << 20),
            ("64kB", 64 << 10),
            ("2GB", 2 << 30),
            ("512B", 512),
        ] {
            assert_eq!(parse(text), Some(size), "{text}");
        }
        for text in [
            "",
            "1",
            "MiB",
            "1.5MiB",
            "-1MiB",
            "1mb",
            "1 M",
            "99999999999GB",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(shown(1 << 20), "1MiB");
        assert_eq!(shown(1023 << 20), "1023MiB");
        assert_eq!(shown(1000), "1000B");
    }
}
