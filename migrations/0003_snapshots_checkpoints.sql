-- Folded states, so that a start reads what lives and the tail of the log instead of all history. A start looks for what
-- lives here and nowhere else: `presently projections rebuild` makes rows that are missing. A null state says that the
-- presentity had nothing alive at that version.
CREATE TABLE snapshots (
  stream text PRIMARY KEY,
  version bigint NOT NULL,
  state json
);
CREATE INDEX snapshots_alive ON snapshots (stream) WHERE state IS NOT NULL;

-- How far a reader of the log has come: `tables` for snapshots and the three tables, `delivery` for NOTIFYs.
CREATE TABLE checkpoints (
  name text PRIMARY KEY,
  pos bigint NOT NULL,
  at timestamptz NOT NULL
);
