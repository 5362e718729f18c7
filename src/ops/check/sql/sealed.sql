SELECT DISTINCT 'table ' || t.name,
       'its policies ask for a seal of ' || given.setting || ', and the configuration has none',
       '-- set seal and seal_key_file in the isolation''s section, or run: pgtenant harden --config FILE --unseal-all --apply URL'
FROM given, protected t JOIN policies p ON p.polrelid = t.oid
WHERE t.relrowsecurity AND NOT p.polpermissive AND p.applies
  AND p.polname ~ '^pgtenant_seal(_|$)'
  AND strpos(concat(p.qual, p.checks), quote_literal(given.setting)) > 0
