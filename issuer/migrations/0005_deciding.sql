-- How decisions are made: rules, second approvers, delegates, and how often one agent asks.

-- A JSON array of rules, each in its text form.
ALTER TABLE applications ADD COLUMN rules_json TEXT NOT NULL DEFAULT '[]';

-- The workload that acts through the account, if one does: it approves nothing of its own.
ALTER TABLE accounts ADD COLUMN workload_identity TEXT;

-- For whom a delegate decided.
ALTER TABLE access_requests ADD COLUMN decided_on_behalf_of TEXT;

-- The first of two approvals. The request goes on waiting.
CREATE TABLE first_approvals (
    request_id   TEXT    NOT NULL PRIMARY KEY REFERENCES access_requests (id) ON DELETE CASCADE,
    account_id   TEXT    NOT NULL REFERENCES accounts (id),
    on_behalf_of TEXT    REFERENCES accounts (id),
    granted_json TEXT    NOT NULL,
    instructions TEXT,
    approved_at  INTEGER NOT NULL
) STRICT;

-- Approvers who are away name somebody who decides for them.
CREATE TABLE delegations (
    id           TEXT    NOT NULL PRIMARY KEY,
    from_account TEXT    NOT NULL REFERENCES accounts (id),
    to_account   TEXT    NOT NULL REFERENCES accounts (id) CHECK (to_account <> from_account),
    starts_at    INTEGER NOT NULL,
    ends_at      INTEGER NOT NULL CHECK (ends_at > starts_at),
    ended_at     INTEGER
) STRICT;
CREATE INDEX delegations_to ON delegations (to_account, ends_at);
CREATE INDEX delegations_from ON delegations (from_account, ends_at);

-- Which agent asked, as a digest of what is known of it.
CREATE TABLE prompts (
    request_id TEXT    NOT NULL PRIMARY KEY REFERENCES access_requests (id) ON DELETE CASCADE,
    agent      BLOB    NOT NULL CHECK (length(agent) = 32),
    asked_at   INTEGER NOT NULL,
    denied_at  INTEGER
) STRICT;
CREATE INDEX prompts_by_agent ON prompts (agent, asked_at);
