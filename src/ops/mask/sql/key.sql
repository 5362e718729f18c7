-- The key of hashes and noise. A tenant's own is derived of it where the view is read,
-- with the rights of the views' owner: no function gives a masked login the mask of a
-- value of its choice, and no right lets it read a key.
DO $pgtenant$
BEGIN
    SET LOCAL ROLE @ident_owner@;
    CREATE TABLE IF NOT EXISTS @ident_schema@.pgtenant_mask_secret (key bytea NOT NULL);
    INSERT INTO @ident_schema@.pgtenant_mask_secret
        SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
        WHERE NOT EXISTS (SELECT FROM @ident_schema@.pgtenant_mask_secret);
    CREATE OR REPLACE VIEW @ident_schema@.pgtenant_mask_key WITH (security_barrier) AS
        SELECT sha256(s.key || sha256(s.key || '\x01'::bytea || t.tenant)) AS inner_key,
            sha256(s.key || sha256(s.key || '\x02'::bytea || t.tenant)) AS outer_key
        FROM @ident_schema@.pgtenant_mask_secret s, (SELECT @tenant@) AS t (tenant);
    RESET ROLE;
END
$pgtenant$;
