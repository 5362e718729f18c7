//! What two replicas say to each other:
//!
//! | | |
//! |---|---|
//! | the one that asks | hello: who it is, whom it means, a nonce |
//! | the one that is asked | a nonce and a signature: it has the key |
//! | the one that asks | the request to cancel, signed |
//! | the one that is asked, in the end | whether the request had a right key, signed |
//!
//! The request is sent only to a replica that has proved that it has the key, and
//! carried out only for one that has. Nonces of both make each signature good for one
//! connection.

use super::bond::{Bond, HELLO, Hello, LEN, Said, nonce};
use super::channel::Channel;
use super::{CARRY_OUT, PeerError, REACH};
use crate::config::PeerKey;
use crate::protocol::startup::CancelRequest;
use std::ops::RangeInclusive;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

/// Bytes of a secret.
const SECRET: RangeInclusive<usize> = 4..=256;
/// What stands before the secret: its length and the process id.
const HEAD: usize = 2 + 4;

/// A replica that has proved what it is.
pub(super) struct Proven {
    channel: Channel,
    bond: Bond,
}

impl Proven {
    /// Lets the replica at the other end prove what it is. The caller bounds the time.
    pub(super) async fn new(
        mut channel: Channel,
        key: &PeerKey,
        hello: Hello,
    ) -> Result<Self, PeerError> {
        channel.stream.write_all(&hello.encode()).await?;
        channel.stream.flush().await?;
        let mut nonce = [0; LEN];
        let mut tag = [0; LEN];
        channel.stream.read_exact(&mut nonce).await?;
        channel.stream.read_exact(&mut tag).await?;
        let bond = Bond::new(key, &hello, &nonce, &channel.session);
        bond.verify(Said::Proof, b"", &tag)?;
        Ok(Self { channel, bond })
    }

    /// Asks it to carry a request out, and returns once it has. Says whether the
    /// request had a right key.
    pub(super) async fn ask(self, request: &CancelRequest) -> Result<bool, PeerError> {
        let Self { mut channel, bond } = self;
        let stream = &mut channel.stream;
        let body = encode(request)?;
        let tag = bond.sign(Said::Request, &body);
        stream
            .write_all(&[&body[..], tag.as_ref()].concat())
            .await?;
        stream.flush().await?;
        let mut outcome = [0; 1 + LEN];
        let answered = timeout(CARRY_OUT, stream.read_exact(&mut outcome)).await;
        answered.map_err(|_| PeerError::Timeout)??;
        let [code, tag @ ..] = outcome;
        bond.verify(Said::Outcome, &[code], &tag)?;
        Ok(code == 1)
    }
}

fn encode(request: &CancelRequest) -> Result<Vec<u8>, PeerError> {
    let len = u16::try_from(request.secret.len()).map_err(|_| PeerError::Stranger)?;
    Ok([
        &len.to_be_bytes()[..],
        &request.pid.to_be_bytes(),
        &request.secret,
    ]
    .concat())
}

/// Answers a replica that has connected: `carry_out` is given its request and says
/// whether that had a right key.
pub(super) async fn answer<F: Future<Output = bool>>(
    channel: Channel,
    key: &PeerKey,
    own: u8,
    carry_out: impl FnOnce(CancelRequest) -> F,
) -> Result<(), PeerError> {
    let asked = timeout(REACH, heard(channel, key, own)).await;
    let (mut channel, bond, request) = asked.map_err(|_| PeerError::Timeout)??;
    let code = u8::from(carry_out(request).await);
    let tag = bond.sign(Said::Outcome, &[code]);
    let outcome = [&[code], tag.as_ref()].concat();
    let told = timeout(REACH, async {
        channel.stream.write_all(&outcome).await?;
        channel.stream.shutdown().await
    });
    Ok(told.await.map_err(|_| PeerError::Timeout)??)
}

/// The request of a replica that has the key.
async fn heard(
    mut channel: Channel,
    key: &PeerKey,
    own: u8,
) -> Result<(Channel, Bond, CancelRequest), PeerError> {
    let stream = &mut channel.stream;
    let mut hello = [0; HELLO];
    stream.read_exact(&mut hello).await?;
    let hello = Hello::decode(&hello)?;
    if hello.to != own || hello.from == own {
        let asked = hello.to;
        return Err(PeerError::Misled { asked, own });
    }
    let nonce = nonce()?;
    let bond = Bond::new(key, &hello, &nonce, &channel.session);
    let tag = bond.sign(Said::Proof, b"");
    stream.write_all(&[&nonce, tag.as_ref()].concat()).await?;
    stream.flush().await?;

    let mut body = vec![0; HEAD];
    stream.read_exact(&mut body).await?;
    let (len, pid) = match body[..] {
        [high, low, ref pid @ ..] => (
            usize::from(u16::from_be_bytes([high, low])),
            pid.try_into().map_err(|_| PeerError::Stranger)?,
        ),
        _ => return Err(PeerError::Stranger),
    };
    if !SECRET.contains(&len) {
        return Err(PeerError::Stranger);
    }
    let mut secret = vec![0; len];
    let mut tag = [0; LEN];
    stream.read_exact(&mut secret).await?;
    stream.read_exact(&mut tag).await?;
    body.extend_from_slice(&secret);
    bond.verify(Said::Request, &body, &tag)?;
    let pid = u32::from_be_bytes(pid);
    Ok((channel, bond, CancelRequest { pid, secret }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::{DuplexStream, duplex};

    fn key(of: u8) -> PeerKey {
        PeerKey::new(&[of; 32])
    }

    fn ends(session: &[u8], other: &[u8]) -> (Channel, Channel) {
        let (one, two) = duplex(4096);
        let channel = |stream: DuplexStream, session: &[u8]| Channel {
            stream: Box::new(stream),
            session: session.to_vec(),
        };
        (channel(one, session), channel(two, other))
    }

    fn request() -> CancelRequest {
        CancelRequest {
            pid: 0x0200_1234,
            secret: b"a secret".to_vec(),
        }
    }

    async fn asks(channel: Channel, own: u8, to: u8, key: PeerKey) -> Result<bool, PeerError> {
        let proven = Proven::new(channel, &key, Hello::new(own, to)?).await?;
        proven.ask(&request()).await
    }

    #[tokio::test]
    async fn a_request_arrives_as_it_was_and_its_outcome_comes_back() {
        for outcome in [true, false] {
            let (one, two) = ends(&[7; LEN], &[7; LEN]);
            let two_key = key(1);
            let answering = answer(two, &two_key, 2, |asked| async move {
                assert_eq!(asked, request());
                outcome
            });
            let (asked, answered) = tokio::join!(asks(one, 1, 2, key(1)), answering);
            assert_eq!(asked.unwrap(), outcome);
            answered.unwrap();
        }
    }

    #[tokio::test]
    async fn without_the_same_key_and_the_same_tls_session_nothing_is_carried_out() {
        for (key_of_one, key_of_two, sessions, to) in [
            (1, 2, ([7; LEN], [7; LEN]), 2),
            (1, 1, ([7; LEN], [8; LEN]), 2),
            (1, 1, ([7; LEN], [7; LEN]), 3),
            (1, 1, ([7; LEN], [7; LEN]), 1),
        ] {
            let (one, two) = ends(&sessions.0, &sessions.1);
            let key_of_two = key(key_of_two);
            let never = |_| async { panic!("it is carried out") };
            let answering = answer(two, &key_of_two, 2, never);
            let (asked, answered) = tokio::join!(asks(one, 1, to, key(key_of_one)), answering);
            asked.unwrap_err();
            answered.unwrap_err();
        }
    }

    /// Sends these bytes, and takes what is answered meanwhile.
    async fn say(mut end: DuplexStream, bytes: &[u8]) {
        let _ = end.write_all(bytes).await;
        let _ = end.shutdown().await;
        let _ = end.read_to_end(&mut Vec::new()).await;
    }

    proptest! {
        #[test]
        fn no_bytes_of_a_stranger_panic_or_are_carried_out(
            hello in any::<bool>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let greeting = Hello::new(1, 2).unwrap().encode();
            let begin = if hello { &greeting[..] } else { &[] };
            let bytes = [begin, &bytes].concat();
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            runtime.block_on(async {
                let (one, two) = duplex(4096);
                let channel = Channel { stream: Box::new(two), session: Vec::new() };
                let key = key(1);
                let never = |_| async { panic!("it is carried out") };
                let (answered, ()) = tokio::join!(
                    answer(channel, &key, 2, never),
                    say(one, &bytes),
                );
                assert!(answered.is_err());
            });
        }
    }
}
