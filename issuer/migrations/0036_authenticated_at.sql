-- When the person at a browser proved who they are. NULL: an identity provider vouched for them, and was not
-- asked to have them sign in again, so nobody here knows when they last did.
ALTER TABLE browser_sessions ADD COLUMN authenticated_at INTEGER;
UPDATE browser_sessions SET authenticated_at = created_at
    WHERE account_id NOT IN (SELECT account_id FROM account_identities);
