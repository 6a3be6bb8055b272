-- Which request is told of, so that nobody is told that it waits once it was decided. Empty in rows
-- older than this column.
ALTER TABLE notifications ADD COLUMN request_id TEXT;
-- The application whose requests are told of together, when they are many.
ALTER TABLE notifications ADD COLUMN folded TEXT;
CREATE INDEX notifications_by_request ON notifications (request_id);
-- One such row for each place and application.
CREATE UNIQUE INDEX notifications_folded ON notifications (target, folded) WHERE folded IS NOT NULL;
