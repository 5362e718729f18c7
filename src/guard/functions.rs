//! Functions by name.
//!
//! A name counts in any schema: extensions can be installed anywhere, and a
//! wrapper that bears the name of a dangerous function is hardly harmless.

use super::folding::folded;
use super::rules::{self, Rule};

/// What a call of a function means to the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// `set_config`
    SetConfig,
    /// It takes a lock that the session keeps, and a rule catches it.
    Lock(&'static Rule),
    /// It changes the state of `random()`.
    Seed,
    /// It reads that state, and moves it on.
    Draw,
    /// A rule catches it.
    Caught(&'static Rule),
}

/// What a call of the function `name` means, when it is not an ordinary one.
pub(super) fn call(name: &str) -> Option<Call> {
    if !name.is_ascii() {
        return known(&folded(name));
    }
    if may_be_known(name) {
        return known(name);
    }
    None
}

fn known(name: &str) -> Option<Call> {
    if let Ok(at) = CALLS.binary_search_by(|(known, _)| (*known).cmp(name)) {
        return CALLS.get(at).map(|(_, call)| *call);
    }
    let family = FAMILIES.iter().find(|(prefix, _)| name.starts_with(prefix));
    family.map(|(_, rule)| Call::Caught(rule))
}

/// A quick first look: whether any known name begins with the same two letters.
fn may_be_known(name: &str) -> bool {
    match name.as_bytes() {
        [first, second, ..] => FIRST_LETTERS[letter(*first)] & (1 << letter(*second)) != 0,
        _ => false,
    }
}

/// For each first letter the second letters of [`CALLS`] and [`FAMILIES`].
const FIRST_LETTERS: [u32; 32] = {
    let mut letters = [0; 32];
    let mut at = 0;
    while at < CALLS.len() {
        let name = CALLS[at].0.as_bytes();
        letters[letter(name[0])] |= 1 << letter(name[1]);
        at += 1;
    }
    at = 0;
    while at < FAMILIES.len() {
        let name = FAMILIES[at].0.as_bytes();
        letters[letter(name[0])] |= 1 << letter(name[1]);
        at += 1;
    }
    letters
};

/// Letters, and some other bytes that share a number with them.
const fn letter(byte: u8) -> usize {
    (byte & 31) as usize
}

/// The rule for the functions of an extension's `schema`, or of pgtenant's own.
pub(super) fn schema(schema: &str, function: &str) -> Option<&'static Rule> {
    match (schema, function) {
        ("cron", _) => Some(&rules::TEXT_AS_SQL),
        // They tell a session its own tenant.
        ("pgtenant", "tenant" | "tenant_of_token") => None,
        ("pgtenant", _) => Some(&rules::SEAL),
        _ => None,
    }
}

/// Whether `name` is a function of pg_catalog in PostgreSQL 15 to 18.
pub(super) fn is_builtin(name: &str) -> bool {
    let mut slot = hash(name.as_bytes()) % SLOTS;
    while let Some(known) = SLOT_OF
        .get(slot)
        .and_then(|at| BUILTINS.get(usize::from(*at)))
    {
        if *known == name {
            return true;
        }
        slot = (slot + 1) % SLOTS;
    }
    false
}

/// Whether `name` is an operator of pg_catalog.
pub(super) fn is_builtin_operator(name: &str) -> bool {
    matches!(name, "=" | "<" | ">" | "+" | "-") || OPERATORS.binary_search(&name).is_ok()
}

/// Families of functions that share a prefix.
const FAMILIES: &[(&str, &Rule)] = &[
    ("binary_upgrade_", &rules::SERVER),
    ("crosstab", &rules::TEXT_AS_SQL),
    ("dblink", &rules::TEXT_AS_SQL),
    ("pg_backup_", &rules::SERVER),
    ("pg_create_", &rules::SERVER),
    ("pg_file_", &rules::FILES),
    ("pg_logical_", &rules::SERVER),
    ("pg_ls_", &rules::FILES),
    ("pg_read_", &rules::FILES),
    ("pg_replication_", &rules::SERVER),
    ("pg_stat_get_backend_", &rules::SESSIONS),
    ("pg_qualstats", &rules::SESSIONS),
    ("pg_stat_get_xact_", &rules::STATISTICS),
    ("pg_stat_kcache", &rules::SESSIONS),
    ("pg_stat_monitor", &rules::SESSIONS),
    ("pg_stat_reset", &rules::SERVER),
    ("pg_stat_statements", &rules::SESSIONS),
    ("pg_store_plans", &rules::SESSIONS),
    ("pg_wait_sampling", &rules::SESSIONS),
];

const CALLS: &[(&str, Call)] = &[
    ("connectby", Call::Caught(&rules::TEXT_AS_SQL)),
    (
        "create_distributed_function",
        Call::Caught(&rules::TEXT_AS_SQL),
    ),
    ("currtid", Call::Caught(&rules::STATISTICS)),
    ("currtid2", Call::Caught(&rules::STATISTICS)),
    ("cursor_to_xml", Call::Caught(&rules::TEXT_AS_SQL)),
    ("cursor_to_xmlschema", Call::Caught(&rules::TEXT_AS_SQL)),
    ("database_to_xml", Call::Caught(&rules::TEXT_AS_SQL)),
    (
        "database_to_xml_and_xmlschema",
        Call::Caught(&rules::TEXT_AS_SQL),
    ),
    ("database_to_xmlschema", Call::Caught(&rules::TEXT_AS_SQL)),
    ("hypopg_create_index", Call::Caught(&rules::TEXT_AS_SQL)),
    ("lo_close", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_creat", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_create", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_export", Call::Caught(&rules::FILES)),
    ("lo_from_bytea", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_get", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_import", Call::Caught(&rules::FILES)),
    ("lo_lseek", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_lseek64", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_manage", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_oid", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_open", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_put", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_tell", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_tell64", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_truncate", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_truncate64", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lo_unlink", Call::Caught(&rules::LARGE_OBJECTS)),
    ("loread", Call::Caught(&rules::LARGE_OBJECTS)),
    ("lowrite", Call::Caught(&rules::LARGE_OBJECTS)),
    ("pg_advisory_lock", Call::Lock(&rules::ADVISORY)),
    ("pg_advisory_lock_shared", Call::Lock(&rules::ADVISORY)),
    ("pg_advisory_xact_lock", Call::Caught(&rules::ADVISORY)),
    (
        "pg_advisory_xact_lock_shared",
        Call::Caught(&rules::ADVISORY),
    ),
    ("pg_background_launch", Call::Caught(&rules::TEXT_AS_SQL)),
    ("pg_blocking_pids", Call::Caught(&rules::SESSIONS)),
    ("pg_cancel_backend", Call::Caught(&rules::SESSIONS)),
    ("pg_clear_attribute_stats", Call::Caught(&rules::SERVER)),
    ("pg_clear_relation_stats", Call::Caught(&rules::SERVER)),
    (
        "pg_copy_logical_replication_slot",
        Call::Caught(&rules::SERVER),
    ),
    (
        "pg_copy_physical_replication_slot",
        Call::Caught(&rules::SERVER),
    ),
    ("pg_current_logfile", Call::Caught(&rules::FILES)),
    ("pg_drop_replication_slot", Call::Caught(&rules::SERVER)),
    ("pg_get_aios", Call::Caught(&rules::SESSIONS)),
    ("pg_get_replication_slots", Call::Caught(&rules::SESSIONS)),
    ("pg_hba_file_rules", Call::Caught(&rules::FILES)),
    ("pg_ident_file_mappings", Call::Caught(&rules::FILES)),
    ("pg_import_system_collations", Call::Caught(&rules::SERVER)),
    (
        "pg_isolation_test_session_is_blocked",
        Call::Caught(&rules::SESSIONS),
    ),
    ("pg_lock_status", Call::Caught(&rules::SESSIONS)),
    (
        "pg_log_backend_memory_contexts",
        Call::Caught(&rules::SESSIONS),
    ),
    ("pg_log_standby_snapshot", Call::Caught(&rules::SERVER)),
    ("pg_nextoid", Call::Caught(&rules::SERVER)),
    ("pg_notify", Call::Caught(&rules::NOTIFY)),
    ("pg_prepared_statement", Call::Caught(&rules::SESSIONS)),
    ("pg_prepared_xact", Call::Caught(&rules::SESSIONS)),
    ("pg_promote", Call::Caught(&rules::SERVER)),
    ("pg_reload_conf", Call::Caught(&rules::SERVER)),
    ("pg_restore_attribute_stats", Call::Caught(&rules::SERVER)),
    ("pg_restore_relation_stats", Call::Caught(&rules::SERVER)),
    ("pg_rotate_logfile", Call::Caught(&rules::SERVER)),
    ("pg_rotate_logfile_old", Call::Caught(&rules::SERVER)),
    (
        "pg_safe_snapshot_blocking_pids",
        Call::Caught(&rules::SESSIONS),
    ),
    ("pg_show_all_file_settings", Call::Caught(&rules::FILES)),
    (
        "pg_show_replication_origin_status",
        Call::Caught(&rules::SESSIONS),
    ),
    ("pg_stat_file", Call::Caught(&rules::FILES)),
    ("pg_stat_get_activity", Call::Caught(&rules::SESSIONS)),
    ("pg_stat_get_progress_info", Call::Caught(&rules::SESSIONS)),
    ("pg_stat_get_subscription", Call::Caught(&rules::SESSIONS)),
    ("pg_stat_get_wal_receiver", Call::Caught(&rules::SESSIONS)),
    ("pg_stat_get_wal_senders", Call::Caught(&rules::SESSIONS)),
    (
        "pg_stop_making_pinned_objects",
        Call::Caught(&rules::SERVER),
    ),
    ("pg_switch_wal", Call::Caught(&rules::SERVER)),
    ("pg_sync_replication_slots", Call::Caught(&rules::SERVER)),
    ("pg_terminate_backend", Call::Caught(&rules::SESSIONS)),
    ("pg_try_advisory_lock", Call::Lock(&rules::ADVISORY)),
    ("pg_try_advisory_lock_shared", Call::Lock(&rules::ADVISORY)),
    ("pg_try_advisory_xact_lock", Call::Caught(&rules::ADVISORY)),
    (
        "pg_try_advisory_xact_lock_shared",
        Call::Caught(&rules::ADVISORY),
    ),
    ("pg_wal_replay_pause", Call::Caught(&rules::SERVER)),
    ("pg_wal_replay_resume", Call::Caught(&rules::SERVER)),
    ("pgrowlocks", Call::Caught(&rules::SESSIONS)),
    ("query_to_xml", Call::Caught(&rules::TEXT_AS_SQL)),
    (
        "query_to_xml_and_xmlschema",
        Call::Caught(&rules::TEXT_AS_SQL),
    ),
    ("query_to_xmlschema", Call::Caught(&rules::TEXT_AS_SQL)),
    ("random", Call::Draw),
    ("random_normal", Call::Draw),
    (
        "run_command_on_all_nodes",
        Call::Caught(&rules::TEXT_AS_SQL),
    ),
    (
        "run_command_on_colocated_placements",
        Call::Caught(&rules::TEXT_AS_SQL),
    ),
    (
        "run_command_on_coordinator",
        Call::Caught(&rules::TEXT_AS_SQL),
    ),
    (
        "run_command_on_placements",
        Call::Caught(&rules::TEXT_AS_SQL),
    ),
    ("run_command_on_shards", Call::Caught(&rules::TEXT_AS_SQL)),
    ("run_command_on_workers", Call::Caught(&rules::TEXT_AS_SQL)),
    ("schema_to_xml", Call::Caught(&rules::TEXT_AS_SQL)),
    (
        "schema_to_xml_and_xmlschema",
        Call::Caught(&rules::TEXT_AS_SQL),
    ),
    ("schema_to_xmlschema", Call::Caught(&rules::TEXT_AS_SQL)),
    ("set_config", Call::SetConfig),
    ("setseed", Call::Seed),
    ("table_to_xml", Call::Caught(&rules::TEXT_AS_SQL)),
    (
        "table_to_xml_and_xmlschema",
        Call::Caught(&rules::TEXT_AS_SQL),
    ),
    ("table_to_xmlschema", Call::Caught(&rules::TEXT_AS_SQL)),
    ("ts_rewrite", Call::Caught(&rules::TEXT_AS_SQL)),
    ("ts_stat", Call::Caught(&rules::TEXT_AS_SQL)),
    ("xpath_table", Call::Caught(&rules::TEXT_AS_SQL)),
];

const OPERATORS: &[&str] = &[
    "!!", "!=", "!~", "!~*", "!~~", "!~~*", "#", "##", "#-", "#>", "#>>", "%", "&", "&&", "&<",
    "&<|", "&>", "*", "*<", "*<=", "*<>", "*=", "*>", "*>=", "+", "-", "->", "->>", "-|-", "/",
    "<", "<->", "<<", "<<=", "<<|", "<=", "<>", "<@", "<^", "=", ">", ">=", ">>", ">>=", ">^", "?",
    "?#", "?&", "?-", "?-|", "?|", "?||", "@", "@-@", "@>", "@?", "@@", "@@@", "^", "^@", "|",
    "|&>", "|/", "|>>", "||", "||/", "~", "~*", "~<=~", "~<~", "~=", "~>=~", "~>~", "~~", "~~*",
];

/// The functions of pg_catalog, in byte order.
static BUILTINS: &[&str] = include!("builtins.in");

/// Three times the names, and a power of two.
const SLOTS: usize = 8192;

/// A hash table over [`BUILTINS`] with open addressing, made at compile time:
/// the places of the names; no place of one in an empty slot.
static SLOT_OF: [u16; SLOTS] = {
    assert!(BUILTINS.len() < SLOTS / 2);
    let mut slots = [u16::MAX; SLOTS];
    let mut at: u16 = 0;
    while (at as usize) < BUILTINS.len() {
        let mut slot = hash(BUILTINS[at as usize].as_bytes()) % SLOTS;
        while slots[slot] != u16::MAX {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = at;
        at += 1;
    }
    slots
};

/// FNV-1a.
const fn hash(name: &[u8]) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut at = 0;
    while at < name.len() {
        hash = (hash ^ name[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_order() {
        assert!(CALLS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(OPERATORS.is_sorted_by(|a, b| a < b));
        assert!(BUILTINS.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn the_first_look_misses_no_known_name() {
        for (name, _) in CALLS {
            assert!(call(name).is_some(), "{name}");
        }
        for (prefix, _) in FAMILIES {
            assert!(call(prefix).is_some(), "{prefix}");
        }
        assert_eq!(call("created_at"), None);
    }

    #[test]
    fn the_hash_table_holds_the_builtins_and_no_other_name() {
        for name in BUILTINS {
            assert!(is_builtin(name), "{name}");
            assert!(!is_builtin(&format!("{name}_x")), "{name}_x");
        }
        assert!(!is_builtin(""));
    }

    #[test]
    fn what_tells_of_other_sessions_is_caught() {
        const OWN: &[&str] = &[
            "pg_advisory_unlock",
            "pg_advisory_unlock_all",
            "pg_advisory_unlock_shared",
            "pg_backend_pid",
            "pg_get_backend_memory_contexts",
            "pg_indexam_progress_phasename",
            "pg_replication_origin_progress",
        ];
        const WORDS: &[&str] = &[
            "activity",
            "advisory",
            "_backend",
            "block",
            "prepared",
            "progress",
            "stat_get_xact",
        ];
        let told = |name: &&&str| WORDS.iter().any(|word| name.contains(word));
        for name in BUILTINS.iter().filter(told) {
            let sums = ["_blocks_", "_blk_", "_get_buf_"];
            let own = OWN.contains(name) || sums.iter().any(|sum| name.contains(sum));
            assert!(own || call(name).is_some(), "{name}");
        }
    }

    #[test]
    fn every_caught_function_of_postgresql_is_known_as_builtin() {
        for name in ["set_config", "query_to_xml", "lo_get", "pg_read_file"] {
            assert!(call(name).is_some() && is_builtin(name), "{name}");
        }
    }
}
