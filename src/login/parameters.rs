//! Startup parameters: which of them a client may send, and what becomes of
//! them.

use crate::binding::OwnSettings;
use crate::guard::Guard;
use crate::wire::ClientError;
use crate::wire::options;
use crate::wire::startup::Startup;

/// Settings that a client may make at startup, in lower case. Custom ones (with
/// a dot) may be made too, where the guard does not protect them.
const ACCEPTED: &[&str] = &[
    "application_name",
    "array_nulls",
    "backslash_quote",
    "bytea_output",
    "check_function_bodies",
    "client_connection_check_interval",
    "client_encoding",
    "client_min_messages",
    "commit_delay",
    "commit_siblings",
    "constraint_exclusion",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "cpu_tuple_cost",
    "cursor_tuple_fraction",
    "datestyle",
    "deadlock_timeout",
    "default_statistics_target",
    "default_table_access_method",
    "default_text_search_config",
    "default_toast_compression",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "effective_cache_size",
    "effective_io_concurrency",
    "enable_async_append",
    "enable_bitmapscan",
    "enable_gathermerge",
    "enable_hashagg",
    "enable_hashjoin",
    "enable_incremental_sort",
    "enable_indexonlyscan",
    "enable_indexscan",
    "enable_material",
    "enable_memoize",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_parallel_append",
    "enable_parallel_hash",
    "enable_partition_pruning",
    "enable_partitionwise_aggregate",
    "enable_partitionwise_join",
    "enable_seqscan",
    "enable_sort",
    "enable_tidscan",
    "escape_string_warning",
    "exit_on_error",
    "extra_float_digits",
    "from_collapse_limit",
    "geqo",
    "geqo_effort",
    "geqo_generations",
    "geqo_pool_size",
    "geqo_seed",
    "geqo_selection_bias",
    "geqo_threshold",
    "gin_fuzzy_search_limit",
    "gin_pending_list_limit",
    "hash_mem_multiplier",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "intervalstyle",
    "jit",
    "jit_above_cost",
    "jit_inline_above_cost",
    "jit_optimize_above_cost",
    "join_collapse_limit",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lock_timeout",
    "logical_decoding_work_mem",
    "maintenance_work_mem",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "min_parallel_index_scan_size",
    "min_parallel_table_scan_size",
    "parallel_leader_participation",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "plan_cache_mode",
    "quote_all_identifiers",
    "random_page_cost",
    "recursive_worktable_factor",
    "search_path",
    "seq_page_cost",
    "standard_conforming_strings",
    "statement_timeout",
    "synchronize_seqscans",
    "synchronous_commit",
    "temp_buffers",
    "timezone",
    "timezone_abbreviations",
    "transaction_timeout",
    "transform_null_equals",
    "work_mem",
    "xmlbinary",
    "xmloption",
];

/// Most settings that a client may make at startup.
const MOST: usize = 64;

/// The settings that a startup packet makes, checked against what is accepted
/// at all and what the guard protects.
///
/// # Errors
/// What the client is told of the first that is not accepted.
pub fn settings_of(startup: &Startup, guard: &Guard) -> Result<OwnSettings, ClientError> {
    // As in PostgreSQL, a parameter of its own wins over one in `options`.
    let (mut settings, mut own) = (Vec::new(), Vec::new());
    for (name, value) in &startup.parameters {
        match name.as_str() {
            "user" | "database" => {}
            "replication" => no_replication(value)?,
            "options" => {
                let made = options::decode(value)
                    .map_err(|error| ClientError::fatal("08P01", error.to_string()))?;
                settings.extend(made);
            }
            name if name.starts_with("_pq_.") => {}
            _ => own.push((name.clone(), value.clone())),
        }
    }
    settings.append(&mut own);
    if settings.len() > MOST {
        return Err(ClientError::fatal(
            "54000",
            "too many settings in the startup packet",
        ));
    }
    settings.retain(|(name, value)| {
        !(name.eq_ignore_ascii_case("client_encoding") && is_sql_ascii(value))
    });
    for (name, value) in &settings {
        accept(name, value, guard)?;
    }
    // UTF-8 is what every server connection speaks already.
    settings.retain(|(name, _)| !name.eq_ignore_ascii_case("client_encoding"));
    Ok(OwnSettings::new(settings))
}

/// SQL_ASCII asks for no conversion: psql sends it in the C locale. Such a
/// client takes what comes, and gets UTF-8.
fn is_sql_ascii(encoding: &str) -> bool {
    let letters = encoding.chars().filter(char::is_ascii_alphanumeric);
    letters
        .map(|c| c.to_ascii_lowercase())
        .eq("sqlascii".chars())
}

fn accept(name: &str, value: &str, guard: &Guard) -> Result<(), ClientError> {
    let lower = name.to_ascii_lowercase();
    if let Some(refusal) = guard.startup_setting(&lower, value) {
        tracing::warn!(
            target: "pgtenant::audit",
            event = "startup_parameter_refused",
            rule = refusal.rule,
            sqlstate = refusal.sqlstate,
            reason = %refusal.message,
        );
        let detail = refusal.detail();
        return Err(ClientError::fatal(refusal.sqlstate, refusal.message)
            .detail(detail)
            .hint(refusal.hint));
    }
    if lower.contains('.') || ACCEPTED.binary_search(&&*lower).is_ok() {
        return Ok(());
    }
    Err(
        ClientError::fatal("0A000", format!("unsupported startup parameter \"{name}\""))
            .hint("pgtenant accepts session settings that PostgreSQL lets every user make."),
    )
}

/// `replication` is a boolean, or `database`.
fn no_replication(value: &str) -> Result<(), ClientError> {
    match value.to_ascii_lowercase().as_str() {
        "" | "false" | "off" | "no" | "0" => Ok(()),
        _ => Err(
            ClientError::fatal("0A000", "replication connections are not accepted")
                .hint("They read the data of all tenants; connect to PostgreSQL directly."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted() {
        assert!(ACCEPTED.is_sorted());
    }
}
