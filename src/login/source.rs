//! Whose connection a balancer passes on.

use super::arrive::Arrived;
use super::wire::LoginError;
use crate::protocol::ClientError;
use crate::protocol::proxied::{self, HeaderError, Source};
use std::io;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout_at;

impl Arrived {
    /// Reads the PROXY protocol's header, with which the connection must begin, and not
    /// a byte behind it.
    ///
    /// # Errors
    /// If there is none, or it does not come in time.
    pub async fn source(&mut self) -> Result<Source, LoginError> {
        let header = timeout_at(self.deadline, self.header());
        let header = header.await.map_err(|_| LoginError::Timeout)??;
        Ok(proxied::decode(&header)?)
    }

    async fn header(&mut self) -> Result<Vec<u8>, LoginError> {
        let mut header = Vec::new();
        let mut seen = vec![0; proxied::MOST];
        loop {
            let count = self.stream.peek(&mut seen).await?;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let known = header.len();
            header.extend_from_slice(seen.get(..count).unwrap_or_default());
            let len = proxied::header_len(&header)?;
            header.truncate(len.unwrap_or(header.len()));
            // Not more than belongs to the header: the rest is the client's.
            let taken = seen.get_mut(..header.len() - known).unwrap_or_default();
            self.stream.read_exact(taken).await?;
            if len.is_some() {
                return Ok(header);
            }
        }
    }
}

impl From<HeaderError> for LoginError {
    fn from(error: HeaderError) -> Self {
        let told = ClientError::protocol(error.to_string()).hint(
            "The address is in listen.proxy_protocol: its connections must begin with the header \
             that a balancer sends (HAProxy: send-proxy-v2).",
        );
        Self::told(told)
    }
}
