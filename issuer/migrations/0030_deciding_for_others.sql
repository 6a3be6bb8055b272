-- Standing in for somebody begins with the word of the one who does. Those named before this was
-- asked for accept as well.
ALTER TABLE delegations ADD COLUMN accepted_at INTEGER;

-- Which blocks a block that was given back was made from, itself among them: how many were given
-- back is counted below each, so that nobody uses up what others may give back.
CREATE TABLE revoked_block_lines (
    ancestor      BLOB NOT NULL CHECK (length(ancestor) = 64),
    revocation_id BLOB NOT NULL REFERENCES revoked_blocks (revocation_id) ON DELETE CASCADE,
    PRIMARY KEY (ancestor, revocation_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX revoked_block_lines_by_block ON revoked_block_lines (revocation_id);
