//! Logins that may see masked data alone.

use crate::{bi, start, try_bi};

#[test]
fn a_login_that_is_masked_is_refused_where_masking_is_not_set_up() {
    let proxy = start("masked = false");
    let mut before = bi(&proxy);
    before.run_ok("BEGIN");
    let mut app = proxy.raw("innovate");
    proxy.reload(|text| text.replace("masked = false", "masked = true"));
    let error = try_bi(&proxy).err().unwrap();
    assert_eq!((error.severity(), error.code()), ("FATAL", "55000"));
    assert!(
        error.message().contains("masking is not set up"),
        "{error:?}"
    );
    assert!(error.hint().contains("profile"), "{error:?}");
    // Whoever was there before is not left to see more.
    let error = before.refusal();
    assert_eq!((error.severity(), error.code()), ("FATAL", "57P01"));
    assert!(
        error.message().contains("masking is not set up"),
        "{error:?}"
    );
    app.run_ok("SELECT 1");
    proxy.reload(|text| text.replace("masked = true", "masked = false"));
    bi(&proxy).run_ok("SELECT 1");
}
