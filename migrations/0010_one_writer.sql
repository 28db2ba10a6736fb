-- Who may write to the log. One row; a log that is divided among several writers will have one for each part. Every append locks
-- it, which is also how appends take turns, and stores nothing unless `epoch` is that of whoever appends; every other write holds
-- it with a weaker lock that no append waits for. Taking the log over raises `epoch` under the strongest lock, so it waits for a
-- write under way and leaves none to the predecessor. `application` is empty when nobody has the log: it was handed back.
CREATE TABLE writers (
  shard smallint PRIMARY KEY,
  epoch bigint NOT NULL DEFAULT 0,
  application text NOT NULL DEFAULT '',
  program text NOT NULL DEFAULT '',
  host text NOT NULL DEFAULT '',
  pid integer NOT NULL DEFAULT 0,
  version text NOT NULL DEFAULT '',
  since timestamptz NOT NULL DEFAULT now(),
  -- the database session that shows that the writer lives, as long as it holds the advisory lock (7265005, lock)
  session integer NOT NULL DEFAULT 0,
  lock integer NOT NULL DEFAULT 0,
  -- seconds that the lock outlives a silence of its holder
  lease integer NOT NULL DEFAULT 0,
  -- boot, namespace, number and start of the process: whoever is on the same machine can tell whether it has ended; empty: unknown
  process text NOT NULL DEFAULT ''
) WITH (fillfactor = 20);
INSERT INTO writers (shard) VALUES (0);

-- The last epoch, beside the rows that say it: it does not go back when somebody removes or changes those.
CREATE SEQUENCE writers_epoch MINVALUE 0 START 0;

-- Who wrote which part of the log: everything after `position`, up to that of the next one.
CREATE TABLE claims (
  shard smallint NOT NULL,
  epoch bigint NOT NULL,
  program text NOT NULL,
  host text NOT NULL,
  pid integer NOT NULL,
  version text NOT NULL,
  since timestamptz NOT NULL,
  position bigint NOT NULL,
  -- when it was handed back; null: it never was
  ended timestamptz,
  PRIMARY KEY (shard, epoch)
);

-- No version of a stream twice. A unique index over all partitions would have to hold `at`, so each has its own; the index that
-- was there for reading makes room for it. `streams` says which version comes next, whatever the partition. Rows that are there
-- twice already stay, with an index as it was, and checks find them.
CREATE FUNCTION presently_index_partition(partition text) RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
  IF to_regclass(format('%I', partition || '_version')) IS NOT NULL THEN RETURN; END IF;
  BEGIN
    EXECUTE format('CREATE UNIQUE INDEX %I ON %I (stream, version)', partition || '_version', partition);
  EXCEPTION WHEN unique_violation THEN
    RAISE WARNING 'a version of a stream is there twice in %', partition;
    EXECUTE format('CREATE INDEX %I ON %I (stream, version)', partition || '_version', partition);
  END;
END
$function$;

DROP INDEX events_stream;
SELECT presently_index_partition(c.relname) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
  WHERE i.inhparent = 'events'::regclass;

CREATE OR REPLACE FUNCTION presently_make_partition(moment timestamptz) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
  first timestamptz := date_trunc('month', moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
  after timestamptz := (date_trunc('month', moment AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
  partition text := 'events_' || to_char(first AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
  IF to_regclass(partition) IS NOT NULL THEN RETURN; END IF;
  IF EXISTS (SELECT FROM events_default d WHERE d.at >= first AND d.at < after) THEN RETURN; END IF;
  EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', partition, first, after);
  PERFORM presently_index_partition(partition);
END
$function$;
