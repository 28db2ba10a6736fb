-- The log and snapshots refer to streams by number: a name stands in `streams` and nowhere else, and index entries are small.
--
-- Events and snapshots are carried over. What has no head in `streams` gets one at version 0, so that checks find it.
INSERT INTO streams (stream, version, prev, nonce)
  SELECT DISTINCT e.stream, 0, 0, '' FROM events e LEFT JOIN streams s ON s.stream = e.stream WHERE s.stream IS NULL;

ALTER TABLE events ADD COLUMN number bigint;
UPDATE events e SET number = s.id FROM streams s WHERE s.stream = e.stream;
DROP INDEX events_stream;
ALTER TABLE events DROP COLUMN stream;
ALTER TABLE events RENAME COLUMN number TO stream;
ALTER TABLE events ALTER COLUMN stream SET NOT NULL;
CREATE INDEX events_stream ON events (stream, version);

ALTER TABLE snapshots ADD COLUMN number bigint;
UPDATE snapshots f SET number = s.id FROM streams s WHERE s.stream = f.stream;
-- of what the log does not know
DELETE FROM snapshots WHERE number IS NULL;
DROP INDEX snapshots_alive;
ALTER TABLE snapshots DROP COLUMN stream;
ALTER TABLE snapshots RENAME COLUMN number TO stream;
ALTER TABLE snapshots ADD PRIMARY KEY (stream);
CREATE INDEX snapshots_alive ON snapshots (stream) WHERE state IS NOT NULL;
