-- What personal strings in events are encrypted with: one key for each person that the log speaks of. Whoever is erased loses
-- the key, and with it everything that the log says of that person can be read by nobody any more (docs/log.md).
CREATE TABLE person_keys (
  id text PRIMARY KEY,
  person text NOT NULL UNIQUE,
  key bytea NOT NULL
);
