-- The keys, readable by pgtenant_seal alone. As HMAC needs them: padded to a
-- block of SHA-256, once for the inner hash and once for the outer.
SET LOCAL ROLE pgtenant_seal;
CREATE TABLE IF NOT EXISTS pgtenant.keys (
    setting text NOT NULL,
    id text NOT NULL,
    inner_pad bytea NOT NULL,
    outer_pad bytea NOT NULL,
    added timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (setting, id)
);
REVOKE ALL ON pgtenant.keys FROM PUBLIC;
