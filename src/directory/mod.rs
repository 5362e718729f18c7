//! Tenants and logins: from a credential to a tenant.
//!
//! - `model`, `verifier`, `certificates`: the [`Directory`], which is in memory as a
//!   whole; a lookup never asks a source. A credential names a login, a login names
//!   one [`Tenant`](crate::tenant::Tenant); certificates may name a tenant without a
//!   login that is listed.
//! - `vouched`: the profile that a credential names.
//! - `declared`, `uniqueness`, `stand_ins`, `builder`: what sources say becomes a
//!   directory, in which two tenants never turn out to be one.
//! - `rows`, `row_cache`: what a database says, and what was read of it before.
//! - `sources`: files, a folder, a database; that they have changed.
//! - `follower`, `left_out`: a new directory whenever the database says something
//!   else, and what was left out of it.
//!
//! What the keys of `[[tenants]]` and `[[logins]]` mean, in a file as in a row, the
//! configuration knows: it hands tenants and logins of files in, and a `RowReader`
//! for rows. The way to the database is handed in too, as an `SqlDatabase`.

mod builder;
mod certificates;
mod declared;
mod follower;
mod left_out;
mod model;
mod row_cache;
mod rows;
mod sources;
mod stand_ins;
mod uniqueness;
mod verifier;
mod vouched;

pub(crate) use builder::{Awaited, Declared, RowReader, no_masking};
pub use builder::{Built, DirectoryBuilder, Incumbents};
pub use certificates::{CertificateMap, CertificateName, Holder, Misfit, NameKind};
pub(crate) use certificates::{CertificatePattern, CertificateRule};
pub(crate) use declared::{DeclaredLogin, DeclaredTenant};
pub use follower::Follower;
pub use model::{Directory, Login, Method, Principal};
pub(crate) use rows::Row;
pub use rows::{Cell, Rows, Snapshot, TooLarge};
pub(crate) use sources::{Connected, Connecting, Location, SqlDatabase, SqlSource, files_of, load};
pub use sources::{Files, LoadError, Queries, Watch};
pub(crate) use stand_ins::StandIns;
pub(crate) use uniqueness::{CommonSchemas, Hosts, conflicts};
pub use verifier::{Verifier, VerifierError};
pub use vouched::{NotThere, Vouched};
