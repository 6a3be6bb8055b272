-- People: what each may do, how they come in, which applications they decide for.

ALTER TABLE accounts ADD COLUMN is_admin INTEGER NOT NULL DEFAULT 0 CHECK (is_admin IN (0, 1));
ALTER TABLE accounts ADD COLUMN is_approver INTEGER NOT NULL DEFAULT 0 CHECK (is_approver IN (0, 1));
ALTER TABLE accounts ADD COLUMN is_auditor INTEGER NOT NULL DEFAULT 0 CHECK (is_auditor IN (0, 1));
-- A disabled account cannot sign in; its row stays, because the record names it.
ALTER TABLE accounts ADD COLUMN disabled_at INTEGER;
-- What the account may grant at most, as JSON; NULL: whatever its role allows.
ALTER TABLE accounts ADD COLUMN ceiling_json TEXT;
-- An empty password_hash is no password: nobody can sign in with one.

-- Until now there was one account, made with the link of the first start.
UPDATE accounts SET is_admin = 1, is_approver = 1;

-- One-time links with which a person chooses a password. A row goes when its link is used or
-- replaced.
CREATE TABLE invitations (
    token_hash BLOB    NOT NULL PRIMARY KEY CHECK (length(token_hash) = 32),
    account_id TEXT    NOT NULL UNIQUE REFERENCES accounts (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

-- A JSON array of tool patterns; NULL: every tool of the catalogue.
ALTER TABLE applications ADD COLUMN allowed_tools_json TEXT;
-- A removed application takes no requests; its row stays, because sessions name it.
ALTER TABLE applications ADD COLUMN removed_at INTEGER;

-- Who decides for which application.
CREATE TABLE application_approvers (
    application_id TEXT NOT NULL REFERENCES applications (id),
    account_id     TEXT NOT NULL REFERENCES accounts (id),
    PRIMARY KEY (application_id, account_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX application_approvers_by_account ON application_approvers (account_id);
INSERT INTO application_approvers (application_id, account_id) SELECT 'default', id FROM accounts;

CREATE INDEX browser_sessions_by_account ON browser_sessions (account_id);
