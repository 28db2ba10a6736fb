-- What proves the log: each row of `events` holds a hash over the row of its stream before it and over itself, and each
-- stream the hash of its newest row. docs/log.md says what is hashed. Rows that are older than this have none; they
-- come first, and `chain` among the checkpoints says where they end.
ALTER TABLE events ADD COLUMN hash bytea;
INSERT INTO checkpoints (name, pos, at) SELECT 'chain', coalesce(max(pos), 0), now() FROM events;

-- `root` is where a stream's chain begins: it binds the name without saying it, so that whoever has to forget the name
-- removes it with its salt and leaves the chain as it is.
ALTER TABLE streams ADD COLUMN salt bytea, ADD COLUMN root bytea, ADD COLUMN hash bytea;
UPDATE streams SET salt = uuid_send(gen_random_uuid());
UPDATE streams SET root = sha256(salt || convert_to(stream, 'UTF8'));
ALTER TABLE streams ALTER COLUMN root SET NOT NULL;
-- it only carried the expected version through an upsert
ALTER TABLE streams DROP COLUMN prev;

-- The hash of each row of one stream in one statement, over those before it.
CREATE FUNCTION presently_link(so_far bytea, before bytea, contents bytea) RETURNS bytea
  LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $function$
BEGIN
  RETURN sha256(coalesce(so_far, before) || contents);
END
$function$;
CREATE AGGREGATE presently_chain(before bytea, contents bytea) (SFUNC = presently_link, STYPE = bytea);

-- What is left of rows that are dropped: a landmark at the last of them, with its hash, on which the next one builds.
ALTER TABLE landmarks ADD COLUMN is_beginning boolean NOT NULL DEFAULT false, ADD COLUMN hash bytea;

-- Signed statements of what the log was at a position (docs/log.md). `previous` is the position of the one before.
CREATE TABLE seals (
  position bigint PRIMARY KEY,
  previous bigint NOT NULL,
  at timestamptz NOT NULL,
  rows bigint NOT NULL,
  digest bytea NOT NULL,
  signature bytea NOT NULL
);
