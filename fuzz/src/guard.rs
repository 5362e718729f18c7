//! The guard: what must hold for the verdict on any text.

use super::sql;
use pgtenant::guard::{Guard, Mode, Options, Permission, Policy, Verdict};

/// The setting that carries the tenant.
const SETTING: &str = "session.current_organization_id";

/// Longer inputs tell no more, and take longer.
const LONGEST: usize = 8 << 10;

thread_local! {
    static GUARDS: [Guard; 4] = guards(4 << 20);
}

/// Guards from the strictest to the most lenient, and one that protects another
/// setting.
fn guards(cache_size: usize) -> [Guard; 4] {
    use Permission::{Allow, Reject};
    let guard = |protected, mode, opaque, channels| {
        let options = Options {
            mode,
            opaque,
            channels,
        };
        let mut policy = Policy::new(options, [protected]);
        policy.cache_size = cache_size;
        Guard::new(policy)
    };
    [
        guard(SETTING, Mode::Enforce, Reject, Reject),
        guard(SETTING, Mode::Enforce, Reject, Allow),
        guard(SETTING, Mode::Report, Allow, Allow),
        guard("search_path", Mode::Enforce, Reject, Reject),
    ]
}

/// Any bytes as a query string.
pub fn guard(data: &[u8]) {
    if data.len() <= LONGEST {
        GUARDS.with(|guards| check(guards, data));
    }
}

/// Statements of [`sql`]'s grammar: a call that must not pass does not pass,
/// wherever it stands.
pub fn statements(data: &[u8]) {
    let generated = sql::generate(data);
    let text = generated.text.as_bytes();
    if text.len() > LONGEST {
        return;
    }
    GUARDS.with(|guards| {
        check(guards, text);
        if generated.forbidden {
            for guard in &guards[..3] {
                let verdict = guard.inspect(text);
                assert!(verdict.refusal.is_some(), "passed: {}", generated.text);
            }
        }
    });
}

fn check(guards: &[Guard; 4], text: &[u8]) {
    let verdicts = guards.each_ref().map(|guard| guard.inspect(text));
    for (guard, verdict) in guards.iter().zip(&verdicts) {
        assert_ne!(rule(verdict), Some("internal"), "{}", shown(text));
        // From the cache, and by a guard that has seen nothing yet.
        assert_eq!(guard.inspect(text), *verdict, "{}", shown(text));
        same_with_more_space(guard, verdict, text);
    }
    for (guard, verdict) in self::guards(0).iter().zip(&verdicts) {
        assert_eq!(guard.inspect(text), *verdict, "{}", shown(text));
    }
    let [strict, channels, lenient, _] = &verdicts;
    for (strict, lenient) in [(strict, channels), (channels, lenient)] {
        assert!(
            strict.refusal.is_some() || lenient.refusal.is_none(),
            "a switch that opens refuses {}",
            shown(text)
        );
    }
    if strict.refusal.is_none() {
        joined_with_others(&guards[0], text);
    }
}

/// Space and comments around a text mean nothing.
fn same_with_more_space(guard: &Guard, verdict: &Verdict, text: &[u8]) {
    let around: [(&[u8], &[u8]); 4] = [
        (b"", b"\n"),
        (b"", b"\n-- x"),
        (b"", b"\n /* /* */ ; */ "),
        (b"/* ' */ -- \" $$\n", b""),
    ];
    for (before, after) in around {
        let other = guard.inspect(&[before, text, after].concat());
        // A text that cannot be read ends elsewhere.
        let unread = ["syntax", "nesting", "text-encoding", "statement-length"];
        if rule(verdict).is_none_or(|rule| !unread.contains(&rule)) {
            assert_eq!(rule(&other), rule(verdict), "{}", shown(text));
            assert_eq!(other.effects, verdict.effects, "{}", shown(text));
        } else if rule(&other).is_none() {
            // What the comment's end made of an open comment.
            assert!(text.windows(2).any(|pair| pair == b"/*"), "{}", shown(text));
        }
    }
}

/// What passes hides nothing that stands beside it.
fn joined_with_others(guard: &Guard, text: &[u8]) {
    const SET: &[u8] = b"SET session.current_organization_id = 'x'";
    for joined in [
        [text, b"\n;", SET].concat(),
        [SET, b";", text].concat(),
        [b"SELECT 1;", text, b"\n;", SET].concat(),
    ] {
        let verdict = guard.inspect(&joined);
        assert!(
            matches!(rule(&verdict), Some("tenant-setting" | "reset-not-last")),
            "{:?}: {}",
            rule(&verdict),
            shown(&joined)
        );
    }
    let twice = guard.inspect(&[text, b"\n;", text].concat());
    // So many views are rewritten, and no more.
    let is_rewritten = guard.inspect(text).instead.is_some();
    assert!(
        matches!(rule(&twice), None | Some("reset-not-last"))
            || (is_rewritten && rule(&twice) == Some("other-sessions")),
        "{:?}: {}",
        rule(&twice),
        shown(text)
    );
}

fn rule(verdict: &Verdict) -> Option<&'static str> {
    verdict.refusal.as_ref().map(|refusal| refusal.rule)
}

fn shown(text: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(text)
}
