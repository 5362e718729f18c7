INSERT INTO companies (id, name, schema_name) VALUES
    ('33333333-3333-3333-3333-333333333333', 'Acme Health', 'acme_health'),
    ('44444444-4444-4444-4444-444444444444', 'Globex', 'globex');

INSERT INTO acme_health.employee_logs (employee_email, log_type, note) VALUES
    ('carol@acme-health.example', 'check_in', 'Slept well, short run before work'),
    ('carol@acme-health.example', 'workshop', 'Ergonomics at the desk'),
    ('dan@acme-health.example', 'check_in', 'Back pain is better');
INSERT INTO acme_health.wellness_metrics (employee_email, metric, value) VALUES
    ('carol@acme-health.example', 'steps', 9120),
    ('carol@acme-health.example', 'mood_check_in', 8),
    ('dan@acme-health.example', 'steps', 7033),
    ('dan@acme-health.example', 'mood_check_in', 6);

INSERT INTO globex.employee_logs (employee_email, log_type, note) VALUES
    ('erin@globex.example', 'check_in', 'Two late shifts this week'),
    ('frank@globex.example', 'workshop', 'Stress and sleep');
INSERT INTO globex.wellness_metrics (employee_email, metric, value) VALUES
    ('erin@globex.example', 'steps', 4208),
    ('erin@globex.example', 'mood_check_in', 5),
    ('frank@globex.example', 'steps', 12770),
    ('frank@globex.example', 'mood_check_in', 7),
    ('frank@globex.example', 'steps', 11892);
