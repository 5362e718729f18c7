//! The process ids that clients are given.
//!
//! Clients take them for signed numbers: 31 bits. Where the proxy is one of several
//! replicas, the first 7 of them are its number, so that every replica knows whom a
//! request to cancel is for; 24 are drawn. Process ids are no secret (`pg_backend_pid()`
//! tells them): what keeps strangers from cancelling is the secret beside them, of which
//! not a bit is spent.

/// The bits behind the number of the replica.
const DRAWN: u32 = 24;

/// A process id of what was drawn. `replica`: the number of this one, from 1 to 127.
pub(super) fn of(drawn: u32, replica: Option<u8>) -> u32 {
    match replica {
        Some(replica) => (u32::from(replica) << DRAWN) | (drawn >> (u32::BITS - DRAWN)),
        None => drawn >> 1,
    }
}

/// The number of the replica that has given this process id, where replicas have
/// numbers.
#[must_use]
pub fn replica_of(pid: u32) -> u8 {
    let [replica, ..] = pid.to_be_bytes();
    replica
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_id_is_positive_and_names_its_replica() {
        for drawn in [0, 1, 0x1234_5678, u32::MAX] {
            for replica in [1, 64, 127] {
                let pid = of(drawn, Some(replica));
                assert_eq!(replica_of(pid), replica);
                assert!(pid <= 0x7fff_ffff && pid > 0);
            }
            assert!(of(drawn, None) <= 0x7fff_ffff);
        }
        assert_eq!(of(u32::MAX, Some(2)), 0x02ff_ffff);
    }
}
