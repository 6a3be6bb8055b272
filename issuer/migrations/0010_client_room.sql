-- Whether a client was ever approved, and whether something of it is open, without a walk through
-- all of its requests.
CREATE INDEX access_requests_by_client_state ON access_requests (client_id, state, expires_at);

-- Who was signed in where a request came through a browser: places are counted for each account.
-- Empty in requests older than this column.
ALTER TABLE authorization_requests ADD COLUMN account_id TEXT REFERENCES accounts (id);
CREATE INDEX authorization_requests_by_account ON authorization_requests (account_id);
