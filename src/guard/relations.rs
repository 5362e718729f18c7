//! Relations by name, in any schema, as with [functions](super::functions).

use super::folding::folded;
use super::rules::{self, Rule};

/// The rule for reading or writing the relation `name`.
pub(super) fn rule(name: &str) -> Option<&'static Rule> {
    let name = &*folded(name);
    if !name.starts_with("pg_") {
        return None;
    }
    let known = RELATIONS.binary_search_by(|(known, _)| (*known).cmp(name));
    if let Some((_, rule)) = known.ok().and_then(|at| RELATIONS.get(at)) {
        return Some(rule);
    }
    let family = FAMILIES.iter().find(|(prefix, _)| name.starts_with(prefix));
    family.map(|(_, rule)| *rule)
}

/// Whether `name` is the view whose UPDATE is a SET.
pub(super) fn is_pg_settings(name: &str) -> bool {
    folded(name) == "pg_settings"
}

const RELATIONS: &[(&str, &Rule)] = &[
    ("pg_aios", &rules::SESSIONS),
    ("pg_largeobject", &rules::LARGE_OBJECTS),
    ("pg_largeobject_metadata", &rules::LARGE_OBJECTS),
    ("pg_locks", &rules::SESSIONS),
    ("pg_prepared_statements", &rules::SESSIONS),
    ("pg_prepared_xacts", &rules::SESSIONS),
    ("pg_replication_origin_status", &rules::SESSIONS),
    ("pg_replication_slots", &rules::SESSIONS),
    ("pg_stat_activity", &rules::SESSIONS),
    ("pg_stat_gssapi", &rules::SESSIONS),
    ("pg_stat_replication", &rules::SESSIONS),
    ("pg_stat_ssl", &rules::SESSIONS),
    ("pg_stat_subscription", &rules::SESSIONS),
    ("pg_stat_wal_receiver", &rules::SESSIONS),
    ("pg_statistic", &rules::STATISTICS),
    ("pg_statistic_ext_data", &rules::STATISTICS),
    ("pg_stats", &rules::STATISTICS),
    ("pg_stats_ext", &rules::STATISTICS),
    ("pg_stats_ext_exprs", &rules::STATISTICS),
];

/// Families that share a prefix.
const FAMILIES: &[(&str, &Rule)] = &[
    ("pg_qualstats", &rules::SESSIONS),
    ("pg_stat_kcache", &rules::SESSIONS),
    ("pg_stat_monitor", &rules::SESSIONS),
    ("pg_stat_progress_", &rules::SESSIONS),
    ("pg_stat_statements", &rules::SESSIONS),
    ("pg_stat_xact_", &rules::STATISTICS),
    ("pg_store_plans", &rules::SESSIONS),
    ("pg_wait_sampling", &rules::SESSIONS),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(RELATIONS.is_sorted_by(|a, b| a.0 < b.0));
    }
}
