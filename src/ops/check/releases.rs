//! Which minor releases of PostgreSQL closed holes that matter between tenants.

/// A hole, and the first minor release of each major version without it. Major
/// versions that are not named never had it, or never got the fix.
pub(super) struct Hole {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) fixed: &'static [(i32, i32)],
}

/// From PostgreSQL's security page and release notes
/// (<https://www.postgresql.org/support/security/>), newest first.
pub(super) const HOLES: [Hole; 6] = [
    Hole {
        name: "CVE-2026-6473",
        what: "any role that can run SQL can make the server write out of bounds",
        fixed: &[(18, 4), (17, 10), (16, 14), (15, 18), (14, 23)],
    },
    Hole {
        name: "CVE-2025-8713",
        what: "statistics show values that row-level security hides in partitions and children",
        fixed: &[(17, 6), (16, 10), (15, 14), (14, 19), (13, 22)],
    },
    Hole {
        name: "CVE-2024-10976",
        what: "a plan that is used again for another role keeps the first one's policies",
        fixed: &[(17, 1), (16, 5), (15, 9), (14, 14), (13, 17), (12, 21)],
    },
    Hole {
        name: "CVE-2024-4317",
        what: "pg_stats_ext shows values of tables that the reader cannot read",
        fixed: &[(16, 3), (15, 7), (14, 12)],
    },
    Hole {
        name: "CVE-2023-39418",
        what: "MERGE does not ask all policies",
        fixed: &[(15, 4)],
    },
    Hole {
        name: "CVE-2023-2455",
        what: "policies of another role apply after a function was inlined",
        fixed: &[(15, 3), (14, 8), (13, 11), (12, 15), (11, 20)],
    },
];

/// The oldest major version that still gets fixes for [`HOLES`].
pub(super) const OLDEST_MAINTAINED: i32 = 15;

/// The holes that a server of this `server_version_num` has.
pub(super) fn holes_of(version: i32) -> impl Iterator<Item = &'static Hole> {
    let (major, minor) = (version / 10_000, version % 10_000);
    HOLES.iter().filter(move |hole| {
        let fixed = hole.fixed.iter().find(|(of, _)| *of == major);
        fixed.is_some_and(|(_, first)| minor < *first)
    })
}

/// The first minor release of the server's major version without any of them.
pub(super) fn safe_minor(version: i32) -> Option<String> {
    let major = version / 10_000;
    let fixes = HOLES.iter().flat_map(|hole| hole.fixed);
    let newest = fixes.filter(|(of, _)| *of == major).max()?;
    Some(format!("{}.{}", newest.0, newest.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_the_holes_that_were_closed_after_it() {
        let names = |version| holes_of(version).map(|hole| hole.name).collect::<Vec<_>>();
        assert_eq!(names(170_000).len(), 3);
        assert_eq!(names(170_001), ["CVE-2026-6473", "CVE-2025-8713"]);
        assert!(names(170_010).is_empty());
        assert!(names(180_004).is_empty());
        assert_eq!(safe_minor(170_001).as_deref(), Some("17.10"));
        assert_eq!(safe_minor(190_000), None);
    }
}
