-- Only adds: what was there is read as before.

-- CRC-32 of everything else that a record says; NULL for one that was written before there were checksums.
ALTER TABLE records ADD COLUMN sum INTEGER;

-- When it was over, as whoever wrote it counts; NULL for what does not end, or has not ended.
ALTER TABLE records ADD COLUMN ended INTEGER;

-- What has a state and is not live any more has ended; nobody wrote down when, so it counts as the oldest.
UPDATE records SET ended = 0 WHERE live = 0 AND state IS NOT NULL;

-- For forgetting the oldest first.
CREATE INDEX records_by_end ON records (kind, ended) WHERE live = 0 AND ended IS NOT NULL;
