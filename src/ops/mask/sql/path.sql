-- The names of a masked login mean the masked views first.
DO $pgtenant$
BEGIN
    EXECUTE format('ALTER ROLE @ident_role@ IN DATABASE @ident_database@ SET search_path = %s',
        (SELECT '@ident_schema@, ' || string_agg(CASE btrim(name, ' ') WHEN '"$user"' THEN quote_ident(@app@) WHEN '$user' THEN quote_ident(@app@)
                ELSE quote_ident(btrim(name, ' "')) END, ', ')
            FROM pgtenant_path, string_to_table(text, ',') AS name));
END
$pgtenant$;
