//! Logins that may see masked data alone. What they see, `tests/masking` looks at.

use crate::{bi, start};
use std::fs;

#[test]
fn a_profile_that_is_masked_is_no_configuration_where_masking_is_not_set_up() {
    let proxy = start("masked = false");
    let mut before = bi(&proxy);
    let text = fs::read_to_string(&proxy.config).unwrap();
    let masked = text.replace("masked = false", "masked = true");
    fs::write(&proxy.config, masked).unwrap();
    proxy.signal("HUP");
    proxy.wait_for_log("profiles.bi.masked");
    // It is ignored, as every file with a mistake.
    before.run_ok("SELECT 1");
    bi(&proxy).run_ok("SELECT 1");
}
