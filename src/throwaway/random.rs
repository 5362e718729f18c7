//! Random names and passwords.

use super::ClusterError;
use std::fmt::Write as _;

/// `bytes` random bytes as lower-case hexadecimal digits: two characters each,
/// none of which needs quoting anywhere.
///
/// # Errors
/// When the system has no random bytes to give.
pub fn random_hex(bytes: usize) -> Result<String, ClusterError> {
    let mut buffer = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut buffer).map_err(|_| ClusterError::Crypto("random bytes"))?;
    Ok(buffer.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
