-- Blocks of narrowed tokens that their holders gave back: everything from such a block on is
-- refused, what the token was narrowed from is not.
CREATE TABLE revoked_blocks (
    revocation_id BLOB    NOT NULL PRIMARY KEY CHECK (length(revocation_id) = 64),
    session_id    TEXT    NOT NULL REFERENCES sessions (id),
    revoked_at    INTEGER NOT NULL,
    -- When the session ends, and with it the block.
    expires_at    INTEGER NOT NULL,
    -- As in sessions.
    delisted      INTEGER NOT NULL DEFAULT 0 CHECK (delisted IN (0, 1))
) STRICT;
CREATE INDEX revoked_blocks_by_session ON revoked_blocks (session_id);
CREATE INDEX revoked_blocks_listed ON revoked_blocks (delisted, expires_at);
