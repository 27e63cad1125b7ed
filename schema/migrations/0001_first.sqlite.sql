-- +goose Up

-- The fence: one row per piece of work whose effects are committed. dbctx.Once writes it.
CREATE TABLE done_keys (
    key TEXT PRIMARY KEY,
    at  TIMESTAMP NOT NULL
);

CREATE TABLE users (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    email         TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL DEFAULT '',
    role          TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'viewer')),
    password_hash TEXT NOT NULL DEFAULT '', -- '' cannot log in
    active        BOOLEAN NOT NULL DEFAULT true,
    weight        INTEGER NOT NULL DEFAULT 1 CHECK (weight BETWEEN 0 AND 1000), -- share of new leads; 0 gets none
    credit        INTEGER NOT NULL DEFAULT 0, -- state of the weighted round robin
    created_at    TIMESTAMP NOT NULL
);

CREATE TABLE sessions (
    token_hash TEXT PRIMARY KEY,
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at TIMESTAMP NOT NULL,
    expires_at TIMESTAMP NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);

CREATE TABLE sources (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    country    TEXT NOT NULL DEFAULT '', -- ISO 3166 alpha-2, for telephone numbers without a country
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE source_keys (
    key_hash   TEXT PRIMARY KEY, -- SHA-256 of the key, hex
    source_id  INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX source_keys_source ON source_keys (source_id);

CREATE TABLE imports (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id  INTEGER NOT NULL REFERENCES sources (id),
    file       TEXT NOT NULL,
    hash       TEXT NOT NULL, -- SHA-256 of the bytes, hex: the same file again is the same import
    state      TEXT NOT NULL CHECK (state IN ('waiting', 'reading', 'done', 'failed')),
    rows       INTEGER NOT NULL DEFAULT 0, -- the cursor: rows stored as intakes so far
    error      TEXT NOT NULL DEFAULT '',
    created_at TIMESTAMP NOT NULL,
    done_at    TIMESTAMP,
    UNIQUE (source_id, hash)
);

-- The bytes of a file while it waits to be read; removed once it is.
CREATE TABLE import_parts (
    import_id INTEGER NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    no        INTEGER NOT NULL,
    bytes     BLOB NOT NULL,
    PRIMARY KEY (import_id, no)
);

-- What they sent. The payload is kept as it came: byte for byte.
CREATE TABLE intakes (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id   INTEGER NOT NULL REFERENCES sources (id),
    key         TEXT, -- the sender's idempotency key
    hash        TEXT NOT NULL,
    payload     TEXT NOT NULL,
    import_id   INTEGER REFERENCES imports (id),
    row_no      INTEGER,
    status      TEXT NOT NULL DEFAULT 'pending'
                CHECK (status IN ('pending', 'accepted', 'duplicate', 'rejected', 'quarantined')),
    reasons     TEXT NOT NULL DEFAULT '[]',
    lead_id     INTEGER,
    released    BOOLEAN NOT NULL DEFAULT false, -- a person let it out of quarantine
    received_at TIMESTAMP NOT NULL,
    done_at     TIMESTAMP
);
CREATE UNIQUE INDEX intakes_key ON intakes (source_id, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX intakes_import_row ON intakes (import_id, row_no) WHERE import_id IS NOT NULL;
CREATE INDEX intakes_lead ON intakes (lead_id, id) WHERE lead_id IS NOT NULL;
CREATE INDEX intakes_status ON intakes (status, id);
CREATE INDEX intakes_received ON intakes (received_at, status, id); -- today's funnel reads nothing else

-- Derived from intakes and events. A lead's id is the id of the intake that founded it; its row is its lock.
CREATE TABLE leads (
    id           INTEGER PRIMARY KEY,
    state        TEXT NOT NULL CHECK (state IN ('new', 'owned', 'unowned')),
    email        TEXT NOT NULL,
    phone        TEXT NOT NULL,
    name         TEXT NOT NULL,
    company      TEXT NOT NULL,
    country      TEXT NOT NULL,
    name_key     TEXT NOT NULL, -- folded "first last"
    last_key     TEXT NOT NULL, -- folded "last first"
    company_key  TEXT NOT NULL,
    fields       TEXT NOT NULL, -- field: value, raw, note, source, intake, at
    extra        TEXT NOT NULL,
    submissions  INTEGER NOT NULL,
    score        INTEGER NOT NULL CHECK (score BETWEEN 0 AND 100),
    parts        TEXT NOT NULL,
    owner_id     INTEGER REFERENCES users (id),
    owner_reason TEXT NOT NULL,
    created_at   TIMESTAMP NOT NULL,
    updated_at   TIMESTAMP NOT NULL
);
CREATE INDEX leads_name ON leads (name_key, id);
CREATE INDEX leads_last ON leads (last_key, id);
CREATE INDEX leads_company ON leads (company_key, id);
CREATE INDEX leads_unowned ON leads (id) WHERE state = 'unowned';

-- Who an e-mail address or a telephone number belongs to. No foreign key: a key is claimed before
-- its lead is written, in the same transaction.
CREATE TABLE lead_keys (
    key     TEXT PRIMARY KEY,
    lead_id INTEGER NOT NULL
);

-- What we did. Only ever added to.
CREATE TABLE events (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    lead_id INTEGER NOT NULL,
    at      TIMESTAMP NOT NULL,
    kind    TEXT NOT NULL,
    actor   TEXT NOT NULL,
    data    TEXT NOT NULL
);
CREATE INDEX events_lead ON events (lead_id, id);

CREATE TABLE destinations (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    name           TEXT NOT NULL UNIQUE,
    url            TEXT NOT NULL,
    secret         TEXT NOT NULL,
    allow_private  BOOLEAN NOT NULL DEFAULT false,
    active         BOOLEAN NOT NULL DEFAULT true,
    stopped_reason TEXT NOT NULL DEFAULT '',
    created_at     TIMESTAMP NOT NULL
);

CREATE TABLE deliveries (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    lead_id        INTEGER NOT NULL,
    destination_id INTEGER NOT NULL REFERENCES destinations (id),
    intake_id      INTEGER NOT NULL, -- the submission that caused it
    event          TEXT NOT NULL,
    key            TEXT NOT NULL UNIQUE, -- sent as webhook-id, the same at every try
    state          TEXT NOT NULL CHECK (state IN ('pending', 'calling', 'retrying', 'done', 'parked')),
    tries          INTEGER NOT NULL DEFAULT 0,
    last_status    INTEGER NOT NULL DEFAULT 0, -- 0: no answer
    last_answer    TEXT NOT NULL DEFAULT '',
    next_at        TIMESTAMP,
    job_id         INTEGER NOT NULL DEFAULT 0, -- the job that may work it; 0: the first that comes
    created_at     TIMESTAMP NOT NULL,
    updated_at     TIMESTAMP NOT NULL,
    UNIQUE (lead_id, destination_id, intake_id)
);
CREATE INDEX deliveries_state ON deliveries (state, id);
CREATE INDEX deliveries_created ON deliveries (created_at);

CREATE TABLE schedules (
    name    TEXT PRIMARY KEY,
    cron    TEXT NOT NULL,
    zone    TEXT NOT NULL,
    missed  TEXT NOT NULL CHECK (missed IN ('skip', 'once', 'all')),
    last_at TIMESTAMP,
    next_at TIMESTAMP NOT NULL
);

-- +goose Down
DROP TABLE schedules;
DROP TABLE deliveries;
DROP TABLE destinations;
DROP TABLE events;
DROP TABLE lead_keys;
DROP TABLE leads;
DROP TABLE intakes;
DROP TABLE import_parts;
DROP TABLE imports;
DROP TABLE source_keys;
DROP TABLE sources;
DROP TABLE sessions;
DROP TABLE users;
DROP TABLE done_keys;
