-- OAuth clients: the programs through which agents ask. Each belongs to one application.
-- Secrets appear as SHA-256 digests alone.

CREATE TABLE clients (
    client_id      TEXT    NOT NULL PRIMARY KEY,
    application_id TEXT    NOT NULL REFERENCES applications (id),
    -- `registered` by an operator, `dynamic` by itself (RFC 7591), `document`: described by a
    -- document at the URL that is its id.
    kind           TEXT    NOT NULL CHECK (kind IN ('registered', 'dynamic', 'document')),
    name           TEXT    NOT NULL,
    -- A JSON array of texts.
    redirect_uris  TEXT    NOT NULL,
    auth_method    TEXT    NOT NULL CHECK (auth_method IN ('none', 'client_secret_basic',
                       'client_secret_post', 'private_key_jwt', 'spiffe_jwt')),
    secret_hash    BLOB    CHECK (secret_hash IS NULL OR length(secret_hash) = 32),
    -- The public keys of `private_key_jwt`, as a JWK set.
    jwks           TEXT,
    -- The identity of `spiffe_jwt`.
    spiffe_id      TEXT,
    created_at     INTEGER NOT NULL,
    last_asked_at  INTEGER,
    -- Until when a `document` need not be fetched again.
    fresh_until    INTEGER
) STRICT;
CREATE INDEX clients_by_application ON clients (application_id);
CREATE INDEX clients_by_age ON clients (kind, created_at);

INSERT INTO clients (client_id, application_id, kind, name, redirect_uris, auth_method, created_at)
SELECT client_id, id, 'registered', name, '[]', 'none', 0 FROM applications;

-- The application that clients belong to which nobody registered by hand.
ALTER TABLE applications ADD COLUMN dynamic_registration INTEGER NOT NULL DEFAULT 0
    CHECK (dynamic_registration IN (0, 1));
UPDATE applications SET dynamic_registration = 1 WHERE id = 'default';

-- Which client asked; empty in requests older than the table of clients.
ALTER TABLE access_requests ADD COLUMN client_id TEXT;
CREATE INDEX access_requests_by_client ON access_requests (client_id, created_at);

-- What an authorization-code request has beside the request for access itself: where the
-- answer goes, and what the code is bound to.
CREATE TABLE authorization_requests (
    request_id     TEXT    NOT NULL PRIMARY KEY REFERENCES access_requests (id) ON DELETE CASCADE,
    redirect_uri   TEXT    NOT NULL,
    state          TEXT,
    code_challenge TEXT    NOT NULL,
    -- The browser in which it began: the only one that may decide it and that gets the code.
    browser_hash   BLOB    NOT NULL CHECK (length(browser_hash) = 32),
    code_hash      BLOB    UNIQUE CHECK (code_hash IS NULL OR length(code_hash) = 32),
    code_expires_at INTEGER,
    code_used_at   INTEGER
) STRICT;
CREATE INDEX authorization_requests_by_browser ON authorization_requests (browser_hash);
