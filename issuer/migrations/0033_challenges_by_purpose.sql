-- Challenges are counted by what they are for and whose they are. Those under way end with this: none
-- lives longer than two minutes.
DROP TABLE passkey_challenges;
CREATE TABLE passkey_challenges (
    -- An older one has a smaller number.
    seq        INTEGER NOT NULL PRIMARY KEY,
    challenge  BLOB    NOT NULL UNIQUE CHECK (length(challenge) = 16),
    purpose    TEXT    NOT NULL CHECK (purpose IN ('sign_in', 'register', 'approve')),
    -- The id of an account, or, of a browser on its way to sign in, the SHA-256 of its cookie.
    owner      BLOB    NOT NULL,
    -- SHA-256 of what the answer is good for.
    bound_to   BLOB    NOT NULL CHECK (length(bound_to) = 32),
    state      BLOB    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX passkey_challenges_by_owner ON passkey_challenges (purpose, owner, seq);
CREATE INDEX passkey_challenges_by_purpose ON passkey_challenges (purpose, seq);
CREATE INDEX passkey_challenges_by_expiry ON passkey_challenges (expires_at);
