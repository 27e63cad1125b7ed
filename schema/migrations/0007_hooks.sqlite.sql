-- +goose Up

ALTER TABLE intakes ADD COLUMN format TEXT NOT NULL DEFAULT ''; -- how the payload is read: '' a plain object, or a kind of hook

-- Where platforms post leads, and what shows that it is they.
CREATE TABLE hooks (
    source_id     INTEGER NOT NULL REFERENCES sources (id),
    kind          TEXT NOT NULL CHECK (kind IN ('google', 'meta', 'standard')),
    secret        TEXT NOT NULL, -- google: SHA-256 of the key, hex; meta: of the app, standard: whsec_: needed to check signatures
    old_secret    TEXT NOT NULL DEFAULT '', -- the one before; '' none
    old_until     TIMESTAMP,
    verify_hash   TEXT NOT NULL DEFAULT '', -- meta: SHA-256 of the verify token, hex
    access_token  TEXT NOT NULL DEFAULT '', -- meta: of the page, to fetch leads with
    graph_url     TEXT NOT NULL DEFAULT '', -- meta: '' the one of this release
    allow_private BOOLEAN NOT NULL DEFAULT false,
    problem       TEXT NOT NULL DEFAULT '', -- meta: why no lead can be fetched until a person has done something; '' none
    created_at    TIMESTAMP NOT NULL,
    PRIMARY KEY (source_id, kind)
);

-- Leads that Meta has told of and that are fetched by their id. One row for each, whatever is told again.
CREATE TABLE fetches (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id   INTEGER NOT NULL REFERENCES sources (id),
    ref         TEXT NOT NULL, -- leadgen_id
    notice      TEXT NOT NULL, -- what was told, as it came
    state       TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'parked')),
    tries       INTEGER NOT NULL DEFAULT 0,
    reason      TEXT NOT NULL DEFAULT '', -- why it was not fetched at the last try
    intake_id   INTEGER,
    created_at  TIMESTAMP NOT NULL,
    updated_at  TIMESTAMP NOT NULL,
    UNIQUE (source_id, ref)
);
CREATE INDEX fetches_undone ON fetches (source_id, state) WHERE state <> 'done';

-- +goose Down
DROP TABLE fetches;
DROP TABLE hooks;
ALTER TABLE intakes DROP COLUMN format;
