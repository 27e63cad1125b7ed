-- +goose Up

-- Whoever shares this database puts a lead in from inside a transaction of their own:
--
--   SELECT enqueue_lead('web-form', '{"email": "ada@example.com"}'::jsonb, 'order-17');
--
-- It writes what jobs.Take writes: the intake and the job that works it. Both exist if the caller commits, and workers
-- hear of it then. The id of the intake is returned; the same key and payload again return the first one's.
--
-- It runs with the rights of its owner for callers who have none of their own. So our tables are named with their
-- schema, everything else is PostgreSQL's own, whatever the caller's search_path says, and no message repeats a value.
--
-- +goose StatementBegin
DO $migration$
BEGIN
    EXECUTE format($create$
CREATE FUNCTION %1$I.enqueue_lead(source text, payload jsonb, idempotency_key text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $function$
DECLARE
    sent_key  text := nullif(btrim(idempotency_key), '');
    sent_body text := payload::text;
    sent_hash text;
    sender    bigint;
    taken     bigint;
    known     text;
    arrived   timestamptz := clock_timestamp();
BEGIN
    IF payload IS NULL OR jsonb_typeof(payload) <> 'object' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the payload is not a JSON object',
            HINT = 'Send an object of fields: {"email": "..."}.';
    END IF;
    IF payload = '{}' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the payload is empty',
            HINT = 'Send at least an e-mail address or a telephone number.';
    END IF;
    IF octet_length(convert_to(sent_body, 'UTF8')) > 1048576 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the payload is too large', HINT = 'Send at most 1048576 bytes.';
    END IF;
    IF (SELECT count(*) FROM jsonb_object_keys(payload)) > 500
        OR jsonb_path_exists(payload, 'strict $.**{32 to last} ? (@.type() == "object" || @.type() == "array")') THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the payload has too many keys, or is nested too deep',
            HINT = 'Send at most 500 keys and 32 levels.';
    END IF;
    IF octet_length(sent_key) > 200 OR sent_key COLLATE "C" ~ '[^ -~]' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'the idempotency key is too long, or not plain',
            HINT = 'Send at most 200 printable ASCII characters.';
    END IF;

    SELECT s.id INTO sender FROM %1$I.sources s WHERE s.name = enqueue_lead.source;
    IF sender IS NULL THEN
        RAISE foreign_key_violation USING MESSAGE = 'there is no source of this name',
            HINT = 'Look at: leadmill source list. Make one with: leadmill source add NAME.';
    END IF;

    sent_hash := encode(sha256(convert_to(sent_body, 'UTF8')), 'hex');
    INSERT INTO %1$I.intakes (source_id, key, hash, payload, received_at)
        VALUES (sender, sent_key, sent_hash, sent_body, arrived)
        ON CONFLICT (source_id, key) WHERE key IS NOT NULL DO NOTHING RETURNING id INTO taken;
    IF taken IS NULL THEN
        SELECT i.id, i.hash INTO STRICT taken, known FROM %1$I.intakes i WHERE i.source_id = sender AND i.key = sent_key;
        IF known <> sent_hash THEN
            RAISE unique_violation USING MESSAGE = 'this idempotency key came with another payload before',
                HINT = 'Send each lead under a key of its own.';
        END IF;
        RETURN taken;
    END IF;

    -- As River inserts it and as River tells of it: a test compares the rows.
    INSERT INTO %1$I.river_job (kind, args, queue, max_attempts, created_at, scheduled_at)
        VALUES ('process_leads', jsonb_build_object('intake_ids', jsonb_build_array(taken)), 'live', 25, arrived, arrived);
    -- A commit that notifies waits for every other that does, and takes its turn at the disk: 320 commits a second instead of
    -- 1,250, for the whole server. So of many callers at once only four tell, and what the others bring is found in their
    -- wake, or by the workers' look around, 200 ms later at most.
    IF pg_try_advisory_xact_lock(48117206, mod(pg_backend_pid(), 4)) THEN
        PERFORM pg_notify(%2$L, '{"queue": "live"}');
    END IF;
    RETURN taken;
END
$function$
$create$, current_schema(), current_schema() || '.river_insert');
    REVOKE ALL ON FUNCTION enqueue_lead(text, jsonb, text) FROM PUBLIC;
END
$migration$;
-- +goose StatementEnd

-- The role that may do this and nothing else. Roles belong to the whole server: another database may make it at the same
-- time, and who migrates may not be allowed to.
--
-- +goose StatementBegin
DO $migration$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'leadmill_producer') THEN
        CREATE ROLE leadmill_producer NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN
        NULL;
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'an administrator makes the role that may call enqueue_lead; leadmill doctor says how';
END
$migration$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $migration$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'leadmill_producer') THEN
        RETURN; -- leadmill doctor says what an administrator runs
    END IF;
    GRANT EXECUTE ON FUNCTION enqueue_lead(text, jsonb, text) TO leadmill_producer;
    IF NOT has_schema_privilege('leadmill_producer', current_schema(), 'USAGE') THEN
        BEGIN
            EXECUTE format('GRANT USAGE ON SCHEMA %I TO leadmill_producer', current_schema());
        EXCEPTION WHEN insufficient_privilege THEN
            NULL; -- here too
        END;
    END IF;
END
$migration$;
-- +goose StatementEnd

-- +goose Down

-- The role stays: other databases of this server may use it.
DROP FUNCTION enqueue_lead(text, jsonb, text);
