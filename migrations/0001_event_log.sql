-- The append-only log: one row is one decision with all its events.
--
-- `streams` holds one head per presentity; the append statement moves it from `prev` to `version` only when it still
-- stands at `prev`, which is the expected-version check a partitioned table cannot make by a unique index. `nonce` is
-- that of the last decision: it tells a writer whose connection broke whether its own append went through.
CREATE TABLE streams (
  stream text PRIMARY KEY,
  version bigint NOT NULL,
  prev bigint NOT NULL,
  nonce text NOT NULL
) WITH (fillfactor = 70);

-- `pos` is taken under an advisory lock inside the one append statement, so positions become visible in order and a
-- reader that asks for `pos > last` misses nothing. `events` is json, not jsonb: kept byte for byte, never rewritten.
CREATE TABLE events (
  pos bigint GENERATED ALWAYS AS IDENTITY,
  at timestamptz NOT NULL,
  stream text NOT NULL,
  version bigint NOT NULL,
  cause text NOT NULL,
  origin text NOT NULL,
  nonce text NOT NULL,
  events json NOT NULL,
  PRIMARY KEY (pos, at)
) PARTITION BY RANGE (at);
CREATE INDEX events_stream ON events (stream, version);

-- Whatever has no month of its own; an old month is dropped with its partition.
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- Makes the partition of the month in which `moment` lies; does nothing when it exists, or when rows of that month
-- are in the default partition already.
CREATE FUNCTION presently_make_partition(moment timestamptz) RETURNS void LANGUAGE plpgsql AS $function$
DECLARE
  first timestamptz := date_trunc('month', moment AT TIME ZONE 'UTC') AT TIME ZONE 'UTC';
  after timestamptz := (date_trunc('month', moment AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC';
  partition text := 'events_' || to_char(first AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
  IF to_regclass(partition) IS NOT NULL THEN RETURN; END IF;
  IF EXISTS (SELECT FROM events_default d WHERE d.at >= first AND d.at < after) THEN RETURN; END IF;
  EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', partition, first, after);
END
$function$;
