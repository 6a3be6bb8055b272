-- The issuer's own record. Times are Unix seconds. Secrets (device codes, cookies, set-up
-- links) appear only as SHA-256 digests; tokens do not appear at all, only the revocation
-- id of their authority block.

CREATE TABLE applications (
    id                 TEXT    NOT NULL PRIMARY KEY,
    client_id          TEXT    NOT NULL UNIQUE,
    name               TEXT    NOT NULL,
    default_duration_s INTEGER NOT NULL CHECK (default_duration_s > 0),
    max_duration_s     INTEGER NOT NULL CHECK (max_duration_s >= default_duration_s),
    max_depth          INTEGER NOT NULL CHECK (max_depth BETWEEN 0 AND 16)
) STRICT;

INSERT INTO applications (id, client_id, name, default_duration_s, max_duration_s, max_depth)
VALUES ('default', 'bailiwick-cli', 'Bailiwick command line', 900, 28800, 3);

CREATE TABLE accounts (
    id            TEXT    NOT NULL PRIMARY KEY,
    user_name     TEXT    NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE setup_links (
    token_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    created_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;

CREATE TABLE browser_sessions (
    cookie_hash  BLOB    NOT NULL PRIMARY KEY CHECK (length(cookie_hash) = 32),
    account_id   TEXT    NOT NULL REFERENCES accounts (id),
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL
) STRICT;

-- One approval object: asked for, then approved or denied once. Expiry is a matter of
-- time, not of state, so nothing has to run for a request to expire.
CREATE TABLE access_requests (
    id               TEXT    NOT NULL PRIMARY KEY,
    application_id   TEXT    NOT NULL REFERENCES applications (id),
    device_code_hash BLOB    NOT NULL UNIQUE CHECK (length(device_code_hash) = 32),
    user_code        TEXT    NOT NULL UNIQUE,
    request_json     TEXT    NOT NULL,
    request_digest   BLOB    NOT NULL CHECK (length(request_digest) = 32),
    state            TEXT    NOT NULL CHECK (state IN ('pending', 'approved', 'denied')),
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    poll_interval_s  INTEGER NOT NULL,
    last_polled_at   INTEGER,
    decided_at       INTEGER,
    decided_by       TEXT,
    denial_reason    TEXT
) STRICT;
CREATE INDEX access_requests_by_state ON access_requests (state, expires_at);

-- What an approval granted. The row exists from the approval on, so that a session can be
-- ended before its token is collected.
CREATE TABLE sessions (
    id                TEXT    NOT NULL PRIMARY KEY,
    request_id        TEXT    NOT NULL UNIQUE REFERENCES access_requests (id),
    principal         TEXT    NOT NULL,
    granted_json      TEXT    NOT NULL,
    instructions      TEXT,
    approved_at       INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL,
    minted_at         INTEGER,
    revocation_id     BLOB    CHECK (revocation_id IS NULL OR length(revocation_id) = 64),
    revoked_at        INTEGER,
    revoked_by        TEXT,
    revoked_seq       INTEGER UNIQUE,
    -- 1 once the token is long expired and the revocation list need not carry it any more.
    delisted          INTEGER NOT NULL DEFAULT 0 CHECK (delisted IN (0, 1))
) STRICT;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
CREATE INDEX sessions_listed ON sessions (revoked_seq) WHERE revoked_at IS NOT NULL AND delisted = 0;

CREATE TABLE revocation_feed (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    seq      INTEGER NOT NULL CHECK (seq > 0)
) STRICT;
INSERT INTO revocation_feed (only_row, seq) VALUES (1, 1);

-- The key set last published: its sequence number goes up whenever its content changes.
CREATE TABLE key_set (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    seq      INTEGER NOT NULL CHECK (seq > 0),
    content  TEXT    NOT NULL
) STRICT;

-- What the gateways report each session did.
CREATE TABLE call_decisions (
    id          TEXT    NOT NULL PRIMARY KEY,
    session_id  TEXT    NOT NULL,
    decided_at  INTEGER NOT NULL,
    tool        TEXT    NOT NULL,
    access      TEXT,
    resources   TEXT    NOT NULL,
    delegates   TEXT    NOT NULL,
    decision    TEXT    NOT NULL CHECK (decision IN ('allow', 'deny')),
    code        TEXT
) STRICT;
CREATE INDEX call_decisions_by_session ON call_decisions (session_id, decided_at);
