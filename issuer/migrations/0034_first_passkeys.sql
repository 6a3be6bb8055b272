-- Who may add a first passkey: once, and for a short time. A further one takes a touch of one that is
-- there already.
CREATE TABLE passkey_permissions (
    account_id  TEXT    NOT NULL PRIMARY KEY REFERENCES accounts (id),
    -- Who said so: an admin's user name, or `operator`. NULL: it came with a one-time link.
    given_by    TEXT,
    -- What came with a link is for the browser that used it, by the SHA-256 of its cookie.
    cookie_hash BLOB CHECK (length(cookie_hash) = 32),
    expires_at  INTEGER NOT NULL,
    CHECK ((given_by IS NULL) = (cookie_hash IS NOT NULL))
) STRICT, WITHOUT ROWID;
