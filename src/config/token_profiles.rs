//! Which profiles the tokens of an issuer have: `profile_claim`, `profiles` and
//! `profile` of `[jwt.NAME]`.

use super::profiles::Profiles;
use super::reader::Section;
use crate::jwt::Shown;
use crate::tenant::{ProfileName, SharedProfile};

/// Which profiles the tokens of an issuer have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenProfiles {
    /// Those that tokens may name, where they may name one at all (`profile_claim`).
    nameable: Option<Box<[SharedProfile]>>,
    /// That of tokens which name none.
    default: Option<SharedProfile>,
}

/// Why a token has no profile that it could be served with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unprofiled {
    /// It must name one.
    #[error("the token names no profile, and its issuer has no default (`profile`)")]
    Unnamed,
    /// It may not name this one.
    #[error("the token names the profile {0}, which is not in its issuer's list (`profiles`)")]
    Unknown(Shown),
    /// The login has another one.
    #[error("the token names the profile {0}, the login has {1:?}")]
    Other(Shown, ProfileName),
}

impl TokenProfiles {
    /// The profile of a token that names this one, or none; `own`: that of the login which
    /// it is for, if it has one.
    ///
    /// # Errors
    /// If it names one that it may not, or none where it must, or not that of the login.
    pub fn of<'a>(
        &'a self,
        own: Option<&'a SharedProfile>,
        named: Option<&str>,
    ) -> Result<Option<&'a SharedProfile>, Unprofiled> {
        match (own, named) {
            (Some(own), None) => return Ok(Some(own)),
            (Some(own), Some(name)) if own.name.as_str() == name => return Ok(Some(own)),
            (Some(own), Some(name)) => {
                return Err(Unprofiled::Other(Shown::new(name), own.name.clone()));
            }
            (None, _) => {}
        }
        match (&self.nameable, named) {
            (Some(nameable), Some(name)) => {
                let mut nameable = nameable.iter();
                let found = nameable.find(|profile| profile.name.as_str() == name);
                found
                    .map(Some)
                    .ok_or_else(|| Unprofiled::Unknown(Shown::new(name)))
            }
            (Some(_), None) if self.default.is_none() => Err(Unprofiled::Unnamed),
            (_, _) => Ok(self.default.as_ref()),
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &SharedProfile> {
        self.nameable.iter().flatten().chain(&self.default)
    }
}

/// Reads the keys, but for the claim itself.
pub(super) fn read(section: &mut Section<'_>, profiles: &Profiles) -> Option<TokenProfiles> {
    let default = profiles.named(section);
    if !section.has("profile_claim") {
        section.refuse("profiles", "has no meaning without profile_claim");
        return Some(TokenProfiles {
            nameable: None,
            default: default?,
        });
    }
    let what = "the profiles that tokens may name in the claim: [\"…\"]";
    let nameable = section.required("profiles", what).and_then(|entry| {
        let found = entry.texts()?.into_iter();
        let found: Vec<_> = found.map(|name| profiles.find(&entry, name)).collect();
        found.into_iter().collect()
    });
    Some(TokenProfiles {
        nameable: Some(nameable?),
        default: default?,
    })
}
