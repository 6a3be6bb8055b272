-- Passkeys: what people sign in with and confirm approvals with. Public keys alone.
CREATE TABLE passkeys (
    id            TEXT    NOT NULL PRIMARY KEY,
    account_id    TEXT    NOT NULL REFERENCES accounts (id),
    name          TEXT    NOT NULL,
    credential_id BLOB    NOT NULL UNIQUE CHECK (length(credential_id) BETWEEN 16 AND 1023),
    -- The key and what never changes.
    static_state  BLOB    NOT NULL,
    -- The signature counter and what changes with use.
    dynamic_state BLOB    NOT NULL CHECK (length(dynamic_state) = 7),
    created_at    INTEGER NOT NULL,
    last_used_at  INTEGER
) STRICT;
CREATE INDEX passkeys_by_account ON passkeys (account_id, created_at);

-- Challenges under way. A row goes when its answer is taken, or its time is over.
CREATE TABLE passkey_challenges (
    challenge  BLOB    NOT NULL PRIMARY KEY CHECK (length(challenge) = 16),
    -- SHA-256 of what the answer is good for: one browser, or one account's approval of one grant.
    bound_to   BLOB    NOT NULL CHECK (length(bound_to) = 32),
    state      BLOB    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX passkey_challenges_by_expiry ON passkey_challenges (expires_at);
