//! What one isolation protects.

use super::Options;

/// What one isolation protects, and the limits of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `[guard]`
    pub options: Options,
    /// The settings that carry the tenant, in lower case: the tenant's setting,
    /// `search_path` for schemas, the seal's names.
    pub protected: Vec<Box<str>>,
    /// The longest query string, in bytes.
    pub max_length: usize,
    /// How deep comments may nest.
    pub max_comment_depth: usize,
    /// The memory of the verdict cache, in bytes.
    pub cache_size: usize,
}

impl Policy {
    /// A policy with the default limits: 1 MiB of text, 32 levels of comments,
    /// 4 MiB of cache.
    #[must_use]
    pub fn new<'a>(options: Options, protected: impl IntoIterator<Item = &'a str>) -> Self {
        Self {
            options,
            protected: protected
                .into_iter()
                .map(|name| name.to_ascii_lowercase().into())
                .collect(),
            max_length: 1 << 20,
            max_comment_depth: 32,
            cache_size: 4 << 20,
        }
    }

    /// Whether `name`, in lower case, carries the tenant.
    pub(super) fn protects(&self, name: &str) -> bool {
        self.protected.iter().any(|protected| &**protected == name)
    }
}
