-- Signed proofs of clients that were used: none counts twice. A row goes when its proof expires.
CREATE TABLE used_assertions (
    -- SHA-256 of the client id and the proof's id.
    digest     BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_assertions_by_expiry ON used_assertions (expires_at);
CREATE UNIQUE INDEX clients_by_spiffe_id ON clients (spiffe_id) WHERE spiffe_id IS NOT NULL;
