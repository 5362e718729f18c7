//! What a throwaway server is to be like.

use super::CertifiedKey;
use std::path::PathBuf;

/// What a throwaway server is to be like. The default is a server that takes
/// 200 connections, with passwords in SCRAM-SHA-256 and without TLS.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// The folder of `initdb` and `postgres`; `None` searches for it.
    pub bin_dir: Option<PathBuf>,
    /// The directory for everything; `None` makes a new one among the system's
    /// temporary files. One that is named must be empty or not exist yet.
    pub directory: Option<PathBuf>,
    /// Whether the directory stays when the server is dropped.
    pub keep: bool,
    /// The most connections (`max_connections`).
    pub max_connections: u16,
    /// TLS; `None` leaves it off.
    pub tls: Option<TlsOptions>,
    /// More settings for `postgresql.conf`, name and value. They come last and
    /// so win over ours.
    pub settings: Vec<(String, String)>,
    /// The lines of `pg_hba.conf` for everybody but the superuser, whose own
    /// lines always stand first; `None` lets everybody in with a password.
    pub hba: Option<Vec<String>>,
    /// How the server stores passwords that it is told in clear text.
    pub password_encryption: PasswordEncryption,
}

/// The server's certificate, and whose client certificates it takes.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    /// Certificate and key of the server.
    pub server: CertifiedKey,
    /// Certificate of the authority whose client certificates are accepted
    /// (`ssl_ca_file`), in PEM.
    pub client_ca_pem: Option<String>,
}

/// The setting `password_encryption`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PasswordEncryption {
    /// `scram-sha-256`
    #[default]
    ScramSha256,
    /// `md5`
    Md5,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            bin_dir: None,
            directory: None,
            keep: false,
            max_connections: 200,
            tls: None,
            settings: Vec::new(),
            hba: None,
            password_encryption: PasswordEncryption::default(),
        }
    }
}
