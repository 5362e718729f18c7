//! Names with placeholders.

/// A text with `{tenant}` and `{login}` in it. Each stands for one or more
/// characters without `/`; the pattern fits whole names alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificatePattern {
    /// What stands before, between and behind the placeholders.
    literals: Vec<Box<str>>,
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Tenant,
    Login,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PatternError {
    /// Braces with something else in them, or without a partner.
    #[error("only {{tenant}} and {{login}} may stand in braces")]
    Placeholder,
    /// A placeholder twice.
    #[error("a placeholder may stand in it only once")]
    Twice,
    /// Placeholders without anything between.
    #[error("something must stand between {{tenant}} and {{login}}, such as \"/\"")]
    Adjacent,
}

pub(super) type Reading<'n> = Vec<(Slot, &'n str)>;

impl CertificatePattern {
    /// Parses the text.
    ///
    /// # Errors
    /// Says what is not a pattern about it.
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        let (mut literals, mut slots) = (Vec::new(), Vec::new());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(PatternError::Placeholder)?;
            let slot = match name {
                "tenant" => Slot::Tenant,
                "login" => Slot::Login,
                _ => return Err(PatternError::Placeholder),
            };
            if slots.contains(&slot) {
                return Err(PatternError::Twice);
            }
            if before.is_empty() && !slots.is_empty() {
                return Err(PatternError::Adjacent);
            }
            literals.push(literal(before)?);
            slots.push(slot);
            rest = after;
        }
        literals.push(literal(rest)?);
        Ok(Self { literals, slots })
    }

    /// Whether there is a placeholder in it.
    #[must_use]
    pub(crate) fn has_placeholders(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Whether `{tenant}` is in it.
    #[must_use]
    pub(crate) fn names_tenant(&self) -> bool {
        self.slots.contains(&Slot::Tenant)
    }

    /// All ways in which the pattern fits the name.
    pub(super) fn readings<'n>(&self, name: &'n str) -> Vec<Reading<'n>> {
        let inner = |first: &str, last: &str| name.strip_prefix(first)?.strip_suffix(last);
        match (&self.literals[..], &self.slots[..]) {
            ([whole], []) if **whole == *name => vec![Vec::new()],
            ([first, last], [slot]) => match inner(first, last) {
                Some(value) if is_value(value) => vec![vec![(*slot, value)]],
                _ => Vec::new(),
            },
            ([first, between, last], [a, b]) => {
                let Some(inner) = inner(first, last) else {
                    return Vec::new();
                };
                let cuts = inner.char_indices().filter_map(|(at, _)| {
                    let (left, right) = inner.split_at_checked(at)?;
                    let right = right.strip_prefix(&**between)?;
                    (is_value(left) && is_value(right)).then(|| vec![(*a, left), (*b, right)])
                });
                cuts.collect()
            }
            _ => Vec::new(),
        }
    }
}

fn literal(text: &str) -> Result<Box<str>, PatternError> {
    if text.contains('}') {
        return Err(PatternError::Placeholder);
    }
    Ok(Box::from(text))
}

/// What a placeholder may stand for.
fn is_value(text: &str) -> bool {
    !text.is_empty() && !text.contains('/') && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_a_pattern_is_refused() {
        for (text, error) in [
            ("{tenants}", PatternError::Placeholder),
            ("{", PatternError::Placeholder),
            ("}", PatternError::Placeholder),
            ("a}{tenant}", PatternError::Placeholder),
            ("{tenant}}", PatternError::Placeholder),
            ("{{tenant}}", PatternError::Placeholder),
            ("{tenant}/{tenant}", PatternError::Twice),
            ("{tenant}{login}", PatternError::Adjacent),
        ] {
            assert_eq!(CertificatePattern::parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_a_rule_reads_makes_the_name_again(name in "[abx./-]{0,12}") {
            for text in ["{tenant}", "a{tenant}", "{tenant}.{login}", "x/{login}/{tenant}b", "{tenant}-x-{login}"] {
                let pattern = CertificatePattern::parse(text).unwrap();
                for reading in pattern.readings(&name) {
                    let mut made = text.to_owned();
                    for (slot, value) in reading {
                        prop_assert!(is_value(value));
                        let placeholder = if slot == Slot::Tenant { "{tenant}" } else { "{login}" };
                        made = made.replace(placeholder, value);
                    }
                    prop_assert_eq!(&made, &name);
                }
            }
        }
    }
}
