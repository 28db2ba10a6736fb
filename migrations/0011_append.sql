-- The append as a function: a server names it with its parameters instead of sending, and the driver looking up, a statement of
-- four kilobytes, and PostgreSQL plans its statements once for each session. It is one statement for whoever calls it, so it is
-- one transaction with one commit, and nobody sees a part of it.
--
-- `held` is false when the fence kept the caller out (0010), `keyed` when somebody among `persons` has a key already: in both cases
-- no decision is stored. `stored` names the streams that were written to; null: all of them. `pos` is the newest position.
--
-- Each statement in it sees what was committed before it began, and the row of `writers` is locked by the first, so no other append
-- moves a stream between the look at its head and the write.
CREATE FUNCTION presently_append(
  my_epoch bigint, my_application text,
  -- decisions, in the order of their positions; those of a stream in the order of their versions
  names text[], versions bigint[], ats float8[], causes text[], origins text[], nonces text[], contents text[], digests text[],
  -- whether a stream has several decisions: then they are written one after the other
  repeats boolean,
  key_ids text[], persons text[], keys bytea[],
  OUT held boolean, OUT keyed boolean, OUT stored text[], OUT pos bigint
) LANGUAGE plpgsql AS $function$
DECLARE
  total integer := cardinality(names);
  written integer := 0;
  heads integer;
  refused text[] := '{}';
  place bigint;
  number bigint;
  head bytea;
  seed bytea;
BEGIN
  PERFORM FROM writers w WHERE w.shard = 0
    AND w.epoch = coalesce(my_epoch, w.epoch) AND w.application = coalesce(my_application, '')
    FOR NO KEY UPDATE;
  held := FOUND;
  keyed := true;
  IF NOT held THEN RETURN; END IF;

  IF key_ids IS NOT NULL THEN
    INSERT INTO person_keys (id, person, key)
      SELECT k.id, k.person, k.key FROM unnest(key_ids, persons, keys) AS k(id, person, key) ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS written = ROW_COUNT;
    keyed := written = cardinality(key_ids);
    IF NOT keyed THEN RETURN; END IF;
    written := 0;
  END IF;

  IF NOT repeats AND total > 1 THEN
    WITH placed AS MATERIALIZED (
      SELECT nextval('events_pos_seq') AS pos, coalesce(e.known, nextval('streams_id_seq')) AS id, e.* FROM (
        SELECT s.id AS known, s.hash, s.root, CASE WHEN s.id IS NULL THEN uuid_send(gen_random_uuid()) END AS salt, d.*
        FROM unnest(names, versions, ats, causes, origins, nonces, contents, digests)
          WITH ORDINALITY AS d(stream, version, at, cause, origin, nonce, contents, digest, n)
        LEFT JOIN streams s ON s.stream = d.stream
        WHERE d.version = coalesce(s.version, 0) + 1 ORDER BY d.n) e),
    added AS (
      INSERT INTO events AS e (pos, at, stream, version, cause, origin, nonce, events, hash) OVERRIDING SYSTEM VALUE
      SELECT p.pos, to_timestamp(p.at / 1000.0), p.id, p.version, p.cause, p.origin, p.nonce, p.contents::json,
        sha256(coalesce(p.hash, p.root, sha256(p.salt || convert_to(p.stream, 'UTF8')))
          || int8send(p.pos) || int8send(p.id) || decode(p.digest, 'hex'))
      FROM placed p
      RETURNING e.pos, e.stream, e.version, e.nonce, e.hash),
    moved AS (
      UPDATE streams s SET version = a.version, nonce = a.nonce, hash = a.hash
      FROM added a WHERE s.id = a.stream RETURNING s.stream, a.pos),
    begun AS (
      INSERT INTO streams AS s (id, stream, salt, root, version, nonce, hash) OVERRIDING SYSTEM VALUE
      SELECT a.stream, p.stream, p.salt, sha256(p.salt || convert_to(p.stream, 'UTF8')), a.version, a.nonce, a.hash
      FROM placed p JOIN added a ON a.pos = p.pos WHERE p.known IS NULL
      RETURNING s.stream)
    SELECT count(*), max(p.pos), array_agg(p.stream), (SELECT count(*) FROM moved) + (SELECT count(*) FROM begun)
      INTO written, pos, stored, heads FROM placed p;
    -- somebody who holds the row of `writers` with a weaker lock has removed a stream meanwhile
    IF heads <> written THEN
      RAISE EXCEPTION 'a stream was removed while it was written to' USING ERRCODE = 'serialization_failure';
    END IF;
    IF written = total THEN stored := NULL; END IF;
    RETURN;
  END IF;

  FOR i IN 1 .. total LOOP
    CONTINUE WHEN names[i] = ANY (refused);
    number := NULL;
    IF versions[i] = 1 AND NOT EXISTS (SELECT FROM streams s WHERE s.stream = names[i]) THEN
      place := nextval('events_pos_seq');
      number := nextval('streams_id_seq');
      seed := uuid_send(gen_random_uuid());
      head := sha256(seed || convert_to(names[i], 'UTF8'));
      INSERT INTO streams AS s (id, stream, salt, root, version, nonce, hash) OVERRIDING SYSTEM VALUE
        VALUES (number, names[i], seed, head, 1, nonces[i],
          sha256(head || int8send(place) || int8send(number) || decode(digests[i], 'hex')))
        ON CONFLICT DO NOTHING RETURNING s.id, s.hash INTO number, head;
    ELSE
      -- a position is drawn only for a stream that stands where it has to
      UPDATE streams s SET version = versions[i], nonce = nonces[i],
          hash = sha256(coalesce(s.hash, s.root) || int8send(nextval('events_pos_seq')) || int8send(s.id) || decode(digests[i], 'hex'))
        WHERE s.stream = names[i] AND s.version = versions[i] - 1
        RETURNING s.id, s.hash, currval('events_pos_seq') INTO number, head, place;
    END IF;
    IF number IS NULL THEN
      refused := refused || names[i];
      CONTINUE;
    END IF;
    INSERT INTO events (pos, at, stream, version, cause, origin, nonce, events, hash) OVERRIDING SYSTEM VALUE
      VALUES (place, to_timestamp(ats[i] / 1000.0), number, versions[i], causes[i], origins[i], nonces[i], contents[i]::json, head);
    pos := place;
  END LOOP;
  IF cardinality(refused) > 0 THEN
    stored := ARRAY(SELECT DISTINCT n FROM unnest(names) AS n WHERE n <> ALL (refused));
  END IF;
END
$function$;
