-- What process_leads changes for a chunk of new leads, :first to :last, and nothing else: no rule is applied, nothing is read.
-- The texts are as long as those that it writes.
BEGIN;
INSERT INTO done_keys (key, at) VALUES ('bare/' || :first, now());
INSERT INTO lead_keys (key, lead_id)
    SELECT key, n FROM generate_series(:first, :last) n, LATERAL (VALUES ('e:bench' || n || '@example.com'), ('p:+447400' || n)) AS k (key)
    ORDER BY key ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING lead_id;
INSERT INTO leads (id, state, email, phone, name, company, country, name_key, last_key, company_key, fields, extra, submissions,
        score, parts, owner_id, owner_reason, created_at, updated_at)
    SELECT n, 'owned', 'bench' || n || '@example.com', '+447400' || n, 'Bench ' || n, 'Bench ' || n % 500 || ' Ltd', 'GB',
        'bench ' || n, n || ' bench', 'bench ' || n % 500 || ' ltd', fields::json, '{}', 1, 60, parts::json, n % 3 + 1,
        'credit 3 of 6 was the highest among 3', now(), now()
    FROM generate_series(:first, :last) n, texts;
INSERT INTO lead_blocks (key, lead_id)
    SELECT key, n FROM generate_series(:first, :last) n, LATERAL (VALUES ('n:bench ' || n), ('c:bench ' || n % 500 || ' ltd')) AS k (key);
INSERT INTO events (lead_id, at, kind, actor, data)
    SELECT n, now(), e.kind, 'job/1', e.data::json FROM generate_series(:first, :last) n, texts, LATERAL (VALUES
        ('received', '{"source": "bench", "intake": ' || n || ', "filled": ' || fields || '}'),
        ('scored', '{"score": 60, "parts": ' || parts || '}'),
        ('assigned', '{"among": 3, "total": 6, "credit": 3, "reason": "credit 3 of 6 was the highest among 3", "user_id": 1}'),
        ('delivery_planned', '{"delivery": ' || n || ', "destination": "bench"}')) AS e (kind, data);
INSERT INTO deliveries (lead_id, destination_id, intake_id, event, key, state, created_at, updated_at)
    SELECT n, 1, n, 'lead.created', 'msg_' || md5(n::text), 'pending', now(), now() FROM generate_series(:first, :last) n;
UPDATE intakes SET status = 'accepted', lead_id = id, done_at = now() WHERE id BETWEEN :first AND :last;
COMMIT;
