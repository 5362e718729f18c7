//! A tenant-aware proxy that speaks the PostgreSQL wire protocol.
//!
//! Data flows one way through the rooms: bytes → [`protocol`] → [`login`] →
//! [`directory`] → Principal → [`session`] → ([`guard`]) → [`pool`] → [`attach`] →
//! [`server`] → bytes. The directory knows whose a login is, and where that
//! [`tenant`] has its data. Tokens that clients log in with are verified in
//! [`jwt`], certificates in [`x509`]. Imports point downwards only. Queries of our
//! own go through [`ops`], requests to cancel to other replicas through [`peers`],
//! beside that stream.

pub mod admin;
pub mod attach;
pub mod audit;
pub mod config;
pub mod console;
pub mod directory;
pub mod gateway;
pub mod guard;
pub mod import;
pub mod jwt;
pub mod login;
pub mod metrics;
pub mod observe;
pub mod ops;
pub mod peers;
pub mod pool;
mod problem;
pub mod protocol;
pub mod server;
pub mod session;
pub mod tenant;
#[cfg(feature = "demo")]
pub mod throwaway;
pub mod transport;
pub mod x509;
