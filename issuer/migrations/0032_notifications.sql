-- What approvers are still to be told, for each place that is told. A row goes when it was
-- delivered, or when the request it is about needs nobody any more.
CREATE TABLE notifications (
    id         TEXT    NOT NULL PRIMARY KEY,
    target     TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    next_at    INTEGER NOT NULL,
    -- When the request expires.
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX notifications_by_time ON notifications (next_at);
CREATE INDEX notifications_by_target ON notifications (target);
