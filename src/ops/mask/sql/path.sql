-- The names of a masked login mean the masked views first.
DO $pgtenant$
BEGIN
    EXECUTE format('ALTER ROLE %I IN DATABASE %I SET search_path = %s', @role@::text, current_database(),
        (SELECT quote_ident(@schema@) || ', ' || string_agg(CASE btrim(name, ' ') WHEN '"$user"' THEN quote_ident(@app@) WHEN '$user' THEN quote_ident(@app@)
                ELSE quote_ident(btrim(name, ' "')) END, ', ')
            FROM pgtenant_path, string_to_table(text, ',') AS name));
END
$pgtenant$;
