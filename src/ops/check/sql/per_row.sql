SELECT DISTINCT format('policy %I on %s', p.polname, t.name), NULL,
       format('ALTER POLICY %I ON %s%s%s;', p.polname, t.name,
              ' USING (' || regexp_replace(p.qual, s.call, '(SELECT \1)', 'gi') || ')',
              ' WITH CHECK (' || regexp_replace(p.checks, s.call, '(SELECT \1)', 'gi') || ')')
FROM given, policies p JOIN protected t ON t.oid = p.polrelid,
LATERAL (SELECT '(?<!SELECT |SELECT \(|SELECT \(\()(current_setting\('''
                || regexp_replace(given.setting, '\W', '.', 'g')
                || '''::text(?:, \w+)?\))' AS call) s
WHERE p.qual ~* s.call OR p.checks ~* s.call
