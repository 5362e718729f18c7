//! `DateStyle`: a value for it may leave one of its two parts as it was.

/// The setting's name, in lower case.
pub(crate) const DATE_STYLE: &str = "datestyle";

/// What values for `DateStyle`, one after the other, say of its parts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DateStyle {
    style: Option<&'static str>,
    order: Option<&'static str>,
}

impl DateStyle {
    /// Whether the setting `name` returns to its default by these values.
    pub(super) fn is_default(name: &str, values: &[String]) -> bool {
        name == DATE_STYLE
            && matches!(values, [value] if value.trim().eq_ignore_ascii_case("default"))
    }

    /// Takes a value, as PostgreSQL's `check_datestyle` does. One that PostgreSQL
    /// refuses fails the statement, so that it does not matter what is taken of it.
    pub(super) fn take(&mut self, value: &str) {
        let mut german = false;
        let mut said = Self::default();
        for word in value.split(',') {
            let word = word.trim_matches(|c: char| c.is_ascii_whitespace() || c == '"');
            let word = word.to_ascii_lowercase();
            match &*word {
                "iso" => said.style = Some("ISO"),
                "sql" => said.style = Some("SQL"),
                "german" => {
                    said.style = Some("German");
                    german = true;
                }
                word if word.starts_with("postgres") => said.style = Some("Postgres"),
                "ymd" => said.order = Some("YMD"),
                "dmy" => said.order = Some("DMY"),
                "mdy" | "us" => said.order = Some("MDY"),
                word if word.starts_with("euro") => said.order = Some("DMY"),
                word if word.starts_with("noneuro") => said.order = Some("MDY"),
                "default" => *self = Self::default(),
                _ => {}
            }
        }
        if german && said.order.is_none() {
            said.order = Some("DMY");
        }
        self.style = said.style.or(self.style);
        self.order = said.order.or(self.order);
    }

    /// The part that is known, where the other one is not.
    pub(super) fn part(self) -> Option<&'static str> {
        match (self.style, self.order) {
            (Some(part), None) | (None, Some(part)) => Some(part),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DateStyle;

    #[test]
    fn a_value_that_leaves_a_part_as_it_was_is_told() {
        for (values, part) in [
            (&["ISO"][..], Some("ISO")),
            (&["dmy"], Some("DMY")),
            (&["European"], Some("DMY")),
            (&["\"US\""], Some("MDY")),
            (&["postgresql"], Some("Postgres")),
            (&["SQL", "ISO"], Some("ISO")),
            (&["ISO, MDY", "default", " YMD "], Some("YMD")),
            (&["German"], None),
            (&["ISO, DMY"], None),
            (&["ISO", "DMY"], None),
            (&["default"], None),
            (&[], None),
        ] {
            let mut date = DateStyle::default();
            for value in values {
                date.take(value);
            }
            assert_eq!(date.part(), part, "{values:?}");
        }
    }
}
