-- What lists of sessions are found and counted by.

ALTER TABLE sessions ADD COLUMN application_id TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT '';
UPDATE sessions SET
    application_id = (SELECT r.application_id FROM access_requests r WHERE r.id = request_id),
    agent = (SELECT json_extract(r.request_json, '$.agent') FROM access_requests r WHERE r.id = request_id);
CREATE INDEX sessions_by_time ON sessions (approved_at DESC, id DESC);
CREATE INDEX sessions_by_application ON sessions (application_id, approved_at DESC, id DESC);
CREATE INDEX sessions_by_agent ON sessions (agent, approved_at DESC, id DESC);

-- What a session's calls come to: one row for all calls that were alike. Empty texts stand for
-- what a report did not say.
CREATE TABLE session_usage (
    session_id TEXT    NOT NULL,
    tool       TEXT    NOT NULL,
    access     TEXT    NOT NULL,
    delegates  TEXT    NOT NULL,
    code       TEXT    NOT NULL,
    allowed    INTEGER NOT NULL CHECK (allowed IN (0, 1)),
    calls      INTEGER NOT NULL CHECK (calls > 0),
    first_at   INTEGER NOT NULL,
    last_at    INTEGER NOT NULL,
    PRIMARY KEY (session_id, tool, access, delegates, code, allowed)
) STRICT, WITHOUT ROWID;
INSERT INTO session_usage
SELECT session_id, tool, coalesce(access, ''), delegates, coalesce(code, ''), decision = 'allow',
       count(*), min(decided_at), max(decided_at)
FROM call_decisions
GROUP BY session_id, tool, coalesce(access, ''), delegates, coalesce(code, ''), decision = 'allow';
