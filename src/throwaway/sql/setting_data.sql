INSERT INTO organizations (id, name) VALUES
    ('11111111-1111-1111-1111-111111111111', 'Innovate Inc.'),
    ('22222222-2222-2222-2222-222222222222', 'Synergy Corp');

INSERT INTO users (id, organization_id, email, password_hash) VALUES
    ('aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', '11111111-1111-1111-1111-111111111111',
     'alice@innovate.example', 'hashed_password_1'),
    ('bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb', '22222222-2222-2222-2222-222222222222',
     'bob@synergy.example', 'hashed_password_2');

INSERT INTO wellness_entries (user_id, organization_id, entry_type, value, created_at)
SELECT 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', '11111111-1111-1111-1111-111111111111',
       entry_type, value, date_trunc('day', now()) - days_ago * interval '1 day'
FROM (VALUES
    ('steps', 8214, 0), ('steps', 10342, 1), ('steps', 6120, 2), ('steps', 9377, 3),
    ('steps', 12051, 4), ('steps', 7448, 5),
    ('mood_check_in', 7, 0), ('mood_check_in', 8, 1), ('mood_check_in', 6, 2),
    ('mood_check_in', 8, 4)
) AS entries (entry_type, value, days_ago);

INSERT INTO wellness_entries (user_id, organization_id, entry_type, value, created_at)
SELECT 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb', '22222222-2222-2222-2222-222222222222',
       entry_type, value, date_trunc('day', now()) - days_ago * interval '1 day'
FROM (VALUES
    ('steps', 4310, 0), ('steps', 5127, 1), ('steps', 3988, 2), ('steps', 11204, 3),
    ('steps', 6615, 4), ('steps', 5890, 5), ('steps', 7031, 6),
    ('mood_check_in', 5, 0), ('mood_check_in', 6, 1), ('mood_check_in', 4, 2),
    ('mood_check_in', 7, 3), ('mood_check_in', 6, 5)
) AS entries (entry_type, value, days_ago);
