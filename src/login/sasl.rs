//! The beginning of SASL (protocol section "SASL Authentication"): mechanisms are
//! offered, the client chooses one.

use super::wire::{Answer, LoginError, Wire};
use crate::protocol::ClientError;
use crate::protocol::backend::Authentication;

/// What a client chose: the mechanism, and the data that it sent along.
pub(super) struct Chosen {
    /// One of those that were offered.
    pub(super) mechanism: &'static str,
    /// The mechanism's first message, if one came.
    pub(super) data: Option<Vec<u8>>,
}

/// Offers the mechanisms, with `out` in front, and reads the choice. `None`: its
/// message is longer than `most` bytes.
pub(super) async fn offer(
    wire: &mut Wire,
    mut out: Vec<u8>,
    mechanisms: &[&'static str],
    most: usize,
) -> Result<Option<Chosen>, LoginError> {
    Authentication::Sasl(mechanisms).encode(&mut out);
    wire.send(&out).await?;
    match wire.answer_within(most).await? {
        Answer::Body(body) => initial_response(&body, mechanisms).map(Some),
        Answer::TooLong => Ok(None),
    }
}

/// Mechanism and data from a SASLInitialResponse.
fn initial_response(body: &[u8], offered: &[&'static str]) -> Result<Chosen, LoginError> {
    let end = body.iter().position(|b| *b == 0).ok_or_else(malformed)?;
    let (mechanism, rest) = body.split_at_checked(end).ok_or_else(malformed)?;
    let (len, data) = rest
        .get(1..)
        .and_then(|rest| rest.split_first_chunk::<4>())
        .ok_or_else(malformed)?;
    let data = match i32::from_be_bytes(*len) {
        -1 if data.is_empty() => None,
        len if usize::try_from(len) == Ok(data.len()) => Some(data.to_vec()),
        _ => return Err(malformed()),
    };
    let Some(mechanism) = offered.iter().find(|offer| offer.as_bytes() == mechanism) else {
        return Err(LoginError::told(ClientError::protocol(
            "client selected an invalid SASL authentication mechanism",
        )));
    };
    Ok(Chosen { mechanism, data })
}

/// The client's first message is not one.
pub(super) fn malformed() -> LoginError {
    LoginError::told(ClientError::protocol("malformed SASL initial response"))
}
