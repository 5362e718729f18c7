-- The key of the file, as SHA-256('pgtenant seal key v1', 0, content); its pads.
-- Where statements are logged (log_statement = 'mod' or 'all'), turn that off for
-- this session: the text has the key in it.
INSERT INTO pgtenant.keys (setting, id, inner_pad, outer_pad)
    SELECT @setting@, left(encode(sha256('pgtenant seal key id v1'::bytea || '\x00' || key), 'hex'), 16),
        (SELECT string_agg(set_byte('\x00', 0, get_byte(key || zeros, i) # 54), '' ORDER BY i)
            FROM generate_series(0, 63) AS i),
        (SELECT string_agg(set_byte('\x00', 0, get_byte(key || zeros, i) # 92), '' ORDER BY i)
            FROM generate_series(0, 63) AS i)
    FROM (SELECT decode(substring(:'@variable@' from '^((?:..)*?)(?:0a|0d)*$'), 'hex')) AS file (content),
        LATERAL (SELECT sha256('pgtenant seal key v1'::bytea || '\x00' || content),
            decode(repeat('00', 32), 'hex')) AS derived (key, zeros)
    WHERE length(content) >= 32;
