-- How many requests one announcement has been about: one that became about more while it was on its
-- way is sent again.
ALTER TABLE notifications ADD COLUMN about INTEGER NOT NULL DEFAULT 1;
