-- The passkey that confirmed a first approval; NULL: none did. Where a rule demands one by the time of the
-- second approval, a first one without counts no more.
ALTER TABLE first_approvals ADD COLUMN passkey_id TEXT;
