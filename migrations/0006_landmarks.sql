-- Streams by number: what belongs to a stream refers to it by a number that says nothing, and its name stands in one place.
ALTER TABLE streams ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY;
CREATE UNIQUE INDEX streams_id ON streams (id);

-- States on the way: what a stream was at every 500th of its versions, so that any past instant is reached by folding few
-- decisions. Derived from the log like snapshots; `presently projections rebuild` makes those that are missing. `at` is the
-- time of the stream's newest decision then.
CREATE TABLE landmarks (
  stream bigint NOT NULL,
  version bigint NOT NULL,
  at timestamptz NOT NULL,
  state json NOT NULL,
  PRIMARY KEY (stream, version)
);
CREATE INDEX landmarks_at ON landmarks (stream, at);
