//! Checks of keys that go across tenants.

use super::Check;
use super::Kind::Setting;
use super::Severity::{Notice, Warning};

pub(in crate::ops::check) static UNIQUE_KEYS: Check = Check {
    id: "PGT501",
    severity: Warning,
    title: "a unique key goes across tenants",
    why: "Uniqueness is checked without policies: an INSERT that fails tells that another \
          tenant has this value (an e-mail address, a name). ON CONFLICT names the columns of the key: \
          where the application has it, it must name the new ones.",
    heuristic: Some("Keys of uuid columns alone are left out: they cannot be guessed."),
    kind: Setting,
    sql: Some(include_str!("../sql/unique_keys.sql")),
};

pub(in crate::ops::check) static PRIMARY_KEY: Check = Check {
    id: "PGT502",
    severity: Notice,
    title: "a primary key with guessable values goes across tenants",
    why: "As with unique keys, an INSERT that names a key tells whether another tenant has it. \
          With keys from a sequence, also how many rows there are. Keys of type uuid avoid both.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/primary_key.sql")),
};

pub(in crate::ops::check) static FOREIGN_KEY: Check = Check {
    id: "PGT503",
    severity: Warning,
    title: "a foreign key lets a row refer to another tenant's row",
    why: "Foreign keys are checked without policies: a tenant can refer to a row that it cannot \
          see, learns that it exists, and can keep it from being deleted or have it deleted \
          along. A key with the tenant column in it cannot.",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/foreign_key.sql")),
};

pub(in crate::ops::check) static DIRECTORY_KEYS: Check = Check {
    id: "PGT504",
    severity: Notice,
    title: "a unique column of the table of the tenants",
    why: "Clients may write to the table of the tenants: an INSERT or UPDATE that \
          fails tells that another tenant has this value (a domain, a name).",
    heuristic: None,
    kind: Setting,
    sql: Some(include_str!("../sql/directory_keys.sql")),
};
