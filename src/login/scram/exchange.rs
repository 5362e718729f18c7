//! The messages of SCRAM-SHA-256 as the server reads and writes them (RFC 5802,
//! section 7; PostgreSQL's `auth-scram.c`). No socket, no clock.

use crate::directory::Verifier;
use aws_lc_rs::{constant_time, digest, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Random bytes in the server's part of the nonce, as PostgreSQL has them.
const NONCE: usize = 18;

/// Why there is no proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The proof is not that of the password.
    #[error("wrong password")]
    Password,
    /// The client saw another certificate, or other mechanisms, than were shown.
    #[error("the channel binding does not fit")]
    ChannelBinding,
    /// The client broke the protocol.
    #[error("malformed SCRAM message")]
    Malformed,
    /// The system has no random numbers.
    #[error("no randomness for a nonce")]
    Randomness,
}

/// What a client must say of channel binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binding<'b> {
    /// It chose SCRAM-SHA-256-PLUS: this is the certificate's hash.
    EndPoint(&'b [u8]),
    /// It chose SCRAM-SHA-256, though the other was offered.
    Declined,
    /// It was offered nothing else.
    Unavailable,
}

/// An exchange in which the challenge has been made.
pub(super) struct Challenged {
    verifier: Verifier,
    /// What the client must send as `c=`.
    channel_binding: String,
    nonce: String,
    client_first_bare: String,
    server_first: String,
}

impl Challenged {
    /// Reads the client's first message. The challenge is what the verifier asks
    /// for.
    pub(super) fn new(
        client_first: &[u8],
        binding: Binding<'_>,
        verifier: Verifier,
    ) -> Result<Self, Failure> {
        let mut random = [0; NONCE];
        rand::fill(&mut random).map_err(|_| Failure::Randomness)?;
        let message = std::str::from_utf8(client_first).map_err(|_| Failure::Malformed)?;
        // The flag of channel binding, and no other identity to act as.
        let (flag, rest) = message.split_once(',').ok_or(Failure::Malformed)?;
        let bare = rest.strip_prefix(',').ok_or(Failure::Malformed)?;
        let channel_binding = channel_binding(flag, binding)?;
        let client_nonce = client_nonce(bare)?;
        let nonce = format!("{client_nonce}{}", STANDARD.encode(random));
        let server_first = format!(
            "r={nonce},s={},i={}",
            STANDARD.encode(&verifier.salt),
            verifier.iterations
        );
        Ok(Self {
            channel_binding,
            client_first_bare: bare.to_owned(),
            nonce,
            server_first,
            verifier,
        })
    }

    /// The challenge, to be sent.
    pub(super) fn challenge(&self) -> &str {
        &self.server_first
    }

    /// Checks the client's proof. Returns the server's own, to be sent.
    pub(super) fn prove(&self, client_final: &[u8]) -> Result<String, Failure> {
        let message = std::str::from_utf8(client_final).map_err(|_| Failure::Malformed)?;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(Failure::Malformed)?;
        let mut attributes = without_proof.split(',');
        let mut attribute = |name: &str| {
            let text = attributes.next().and_then(|text| text.strip_prefix(name));
            text.ok_or(Failure::Malformed)
        };
        if attribute("c=")? != self.channel_binding {
            return Err(Failure::ChannelBinding);
        }
        if attribute("r=")? != self.nonce {
            return Err(Failure::Malformed);
        }
        let proof = STANDARD.decode(proof).map_err(|_| Failure::Malformed)?;
        let proof: [u8; 32] = proof.try_into().map_err(|_| Failure::Malformed)?;
        let signed = format!(
            "{},{},{without_proof}",
            self.client_first_bare, self.server_first
        );
        let sign = |key: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, key);
            hmac::sign(&key, signed.as_bytes())
        };
        let mut client_key = proof;
        let signature = sign(&self.verifier.stored_key);
        for (byte, mask) in client_key.iter_mut().zip(signature.as_ref()) {
            *byte ^= mask;
        }
        let stored = digest::digest(&digest::SHA256, &client_key);
        constant_time::verify_slices_are_equal(stored.as_ref(), &self.verifier.stored_key)
            .map_err(|_| Failure::Password)?;
        let own = sign(&self.verifier.server_key);
        Ok(format!("v={}", STANDARD.encode(own)))
    }
}

/// What the client must send as `c=`, by its flag.
fn channel_binding(flag: &str, binding: Binding<'_>) -> Result<String, Failure> {
    match (binding, flag) {
        (Binding::EndPoint(hash), "p=tls-server-end-point") => {
            let mut data = format!("{flag},,").into_bytes();
            data.extend_from_slice(hash);
            Ok(STANDARD.encode(data))
        }
        (Binding::Declined | Binding::Unavailable, "n") | (Binding::Unavailable, "y") => {
            Ok(STANDARD.encode(format!("{flag},,")))
        }
        // It can do it, and believes that the server cannot: somebody in between
        // has taken the mechanism away.
        (Binding::Declined, "y") => Err(Failure::ChannelBinding),
        (_, flag) if flag.starts_with("p=") => Err(Failure::ChannelBinding),
        _ => Err(Failure::Malformed),
    }
}

/// The nonce of the client's first message: behind the name, which does not count,
/// since the startup packet has it.
fn client_nonce(bare: &str) -> Result<&str, Failure> {
    let mut attributes = bare.split(',');
    let name = attributes.next().ok_or(Failure::Malformed)?;
    let nonce = attributes.next().and_then(|text| text.strip_prefix("r="));
    let printable = |nonce: &&str| !nonce.is_empty() && nonce.bytes().all(|b| b.is_ascii_graphic());
    match nonce.filter(printable) {
        Some(nonce) if name.starts_with("n=") => Ok(nonce),
        // Among others an extension that must be understood (`m=`).
        _ => Err(Failure::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of RFC 7677, section 3: user "user", password "pencil".
    const NONCE_OF_SERVER: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    fn example(binding: &str) -> Challenged {
        let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        let verifier: Verifier = text.parse().unwrap();
        let nonce = format!("rOprNGfwEbeRWgbNEkqO{NONCE_OF_SERVER}");
        Challenged {
            server_first: format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
            client_first_bare: "n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned(),
            channel_binding: binding.to_owned(),
            nonce,
            verifier,
        }
    }

    #[test]
    fn the_example_of_the_rfc_is_proved() {
        let sent = format!(
            "c=biws,r=rOprNGfwEbeRWgbNEkqO{NONCE_OF_SERVER},\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        let own = example("biws").prove(sent.as_bytes());
        let expected = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(own.as_deref(), Ok(expected));
        let (most, _) = sent.rsplit_once(',').unwrap();
        for (proof, failure) in [
            (
                ",p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                Failure::Password,
            ),
            (
                ",x=y,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                Failure::Password,
            ),
            (",p=dHzb", Failure::Malformed),
            (",p=", Failure::Malformed),
            (",p=?", Failure::Malformed),
            ("", Failure::Malformed),
            (
                ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=,x=y",
                Failure::Malformed,
            ),
        ] {
            let sent = format!("{most}{proof}");
            let answer = example("biws").prove(sent.as_bytes());
            assert_eq!(answer, Err(failure), "{sent}");
        }
        let other = example("eSws").prove(sent.as_bytes());
        assert_eq!(other, Err(Failure::ChannelBinding));
        let other = sent.replace("$k0", "$k1");
        let answer = example("biws").prove(other.as_bytes());
        assert_eq!(answer, Err(Failure::Malformed));
    }

    #[test]
    fn the_flag_of_channel_binding_must_fit_the_mechanism() {
        let verifier = || example("").verifier;
        let begin = |flag: &str, binding| {
            let message = format!("{flag},,n=,r=abc");
            Challenged::new(message.as_bytes(), binding, verifier())
                .map(|made| made.channel_binding)
        };
        let bound = Binding::EndPoint(b"hash");
        let plus = STANDARD.encode(b"p=tls-server-end-point,,hash");
        assert_eq!(begin("p=tls-server-end-point", bound), Ok(plus));
        assert_eq!(begin("n", Binding::Declined).as_deref(), Ok("biws"));
        assert_eq!(begin("n", Binding::Unavailable).as_deref(), Ok("biws"));
        assert_eq!(begin("y", Binding::Unavailable).as_deref(), Ok("eSws"));
        for (flag, binding, failure) in [
            ("y", Binding::Declined, Failure::ChannelBinding),
            ("p=tls-unique", bound, Failure::ChannelBinding),
            (
                "p=tls-server-end-point",
                Binding::Unavailable,
                Failure::ChannelBinding,
            ),
            (
                "p=tls-server-end-point",
                Binding::Declined,
                Failure::ChannelBinding,
            ),
            ("n", bound, Failure::Malformed),
            ("y", bound, Failure::Malformed),
            ("", Binding::Unavailable, Failure::Malformed),
            ("nn", Binding::Unavailable, Failure::Malformed),
        ] {
            assert_eq!(begin(flag, binding), Err(failure), "{flag} {binding:?}");
        }
    }

    #[test]
    fn first_messages_that_are_none_are_refused() {
        for message in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=",
            "n,,n=,",
            "n,,n=,r=",
            "n,,r=abc",
            "n,,m=x,n=,r=abc",
            "n,a=other,n=,r=abc",
            "n,,n=,r=a b",
            "n,,n=,r=ä",
            "n,,n=,s=abc",
        ] {
            let verifier = example("").verifier;
            let answer = Challenged::new(message.as_bytes(), Binding::Unavailable, verifier);
            assert_eq!(answer.err(), Some(Failure::Malformed), "{message:?}");
        }
        let answer = Challenged::new(b"n,,n=,r=\xff", Binding::Unavailable, example("").verifier);
        assert_eq!(answer.err(), Some(Failure::Malformed));
    }
}
