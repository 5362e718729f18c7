//! Newtypes for the ids that pass between the rooms.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps `text` as it is.
            #[must_use]
            pub fn new(text: &str) -> Self {
                Self(Arc::from(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name! {
    /// The id of a tenant: a UUID in its canonical spelling, or any other text.
    TenantId
}
name! {
    /// The user name that a client logs in with.
    LoginName
}
name! {
    /// The name of a `[servers.NAME]` section.
    ServerName
}
name! {
    /// The name of an `[isolation.NAME]` section.
    IsolationName
}
name! {
    /// The name of a `[profiles.NAME]` section.
    ProfileName
}

impl TenantId {
    /// Takes `text` as a tenant's id. What is a UUID in any of its spellings
    /// becomes its canonical one, so that one tenant cannot have two ids.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match uuid::Uuid::try_parse(text) {
            Ok(uuid) => Self::new(&uuid.hyphenated().to_string()),
            Err(_) => Self::new(text),
        }
    }
}
