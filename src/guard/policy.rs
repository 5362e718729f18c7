//! What one isolation protects.

use super::rules::{Rule, Switch};
use super::{Options, Permission};
use std::time::Duration;

/// What of the server is the tenant's own, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Own {
    /// Rows of tables that tenants share, which row-level security keeps apart.
    Rows,
    /// A schema, in a role that tenants share.
    Schema,
    /// A schema, and the role that reaches it.
    Role,
    /// A database.
    Database,
}

/// What one isolation protects, and the limits of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `[guard]`
    pub options: Options,
    /// The settings that carry the tenant, in lower case: the tenant's setting,
    /// `search_path` for schemas, the seal's names.
    pub protected: Vec<Box<str>>,
    /// What a tenant has for itself.
    pub own: Own,
    /// Whether transactions may only read.
    pub read_only: bool,
    /// Settings that are lengths of time, in lower case, and what they may be at
    /// most: at least a millisecond, because 0 means no limit.
    pub most: Vec<(Box<str>, Duration)>,
    /// Whether statements are described for the audit log.
    pub describes: bool,
    /// The longest query string, in bytes.
    pub max_length: usize,
    /// How deep comments may nest.
    pub max_comment_depth: usize,
    /// The memory of the verdict cache, in bytes.
    pub cache_size: usize,
}

impl Policy {
    /// A policy for tables that tenants share, with the default limits: 1 MiB of
    /// text, 32 levels of comments, 4 MiB of cache.
    #[must_use]
    pub fn new<'a>(options: Options, protected: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            options,
            protected: protected
                .into_iter()
                .map(|name| name.to_ascii_lowercase().into())
                .collect(),
            own: Own::Rows,
            read_only: false,
            most: Vec::new(),
            describes: false,
            max_length: 1 << 20,
            max_comment_depth: 32,
            cache_size: 4 << 20,
        }
    }

    /// Whether what `rule` catches passes: by an option, or because it reaches nothing
    /// but what is the tenant's own.
    pub(super) fn permits(&self, rule: &Rule) -> bool {
        let permission = match rule.opened_by {
            None => return false,
            Some(Switch::Opaque) => self.options.opaque,
            Some(Switch::Channels) => self.options.channels,
        };
        match permission {
            Permission::Allow => true,
            Permission::Own => rule.within.is_some_and(|within| within <= self.own),
            Permission::Reject => false,
        }
    }

    /// Whether `name`, in lower case, carries the tenant.
    pub(super) fn protects(&self, name: &str) -> bool {
        self.protected.iter().any(|protected| &**protected == name)
    }

    /// What the setting `name`, in lower case, may be at most.
    pub(super) fn most_of(&self, name: &str) -> Option<Duration> {
        let mut most = self.most.iter();
        most.find(|(limited, _)| &**limited == name)
            .map(|(_, most)| *most)
    }
}
