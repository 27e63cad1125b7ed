-- A migrated database with :leads submissions that wait, people who may own leads and a place to send them to.
\o /dev/null
CREATE TABLE lead_blocks (key text COLLATE "C", lead_id bigint, PRIMARY KEY (key, lead_id));
CREATE TABLE texts AS SELECT
    (SELECT json_object_agg(f, '{"at": "2026-11-27T00:19:58.680878Z", "value": "bench@example.com", "intake": 1, "source": "bench"}'::json)
        FROM unnest('{name,email,phone,company,country,last_name,first_name}'::text[]) f)::text AS fields,
    (SELECT json_agg('{"max": 24, "why": "The email address is at a domain that is known.", "name": "domain"}'::json)
        FROM generate_series(1, 10))::text AS parts;
INSERT INTO sources (id, name, created_at) VALUES (1, 'bare', now());
INSERT INTO users (id, email, role, created_at) SELECT n, n || '@example.com', 'operator', now() FROM generate_series(1, 3) n;
INSERT INTO destinations (id, name, url, secret, created_at) VALUES (1, 'bare', 'https://example.com', '', now());
INSERT INTO intakes (id, source_id, hash, payload, received_at)
    SELECT n, 1, n, format('{"email":"bench%s@example.com","name":"Bench %1$s","phone":"+44 7400 %1$s","company":"Bench %1$s Ltd","country":"GB"}', n), now()
    FROM generate_series(1, :leads) n;
ANALYZE;
