-- Who is told of events by HTTP: addresses with the log position they have been told up to, and what they never took.
CREATE TABLE webhooks (
  id text PRIMARY KEY,
  url text NOT NULL,
  types text[],
  presentity text,
  secret text NOT NULL,
  position bigint NOT NULL,
  created_at timestamptz NOT NULL,
  created_by text NOT NULL,
  stopped text
);
CREATE TABLE webhook_dead_letters (
  webhook text NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
  id text NOT NULL,
  presentity text NOT NULL,
  type text NOT NULL,
  body text NOT NULL,
  given_up_at timestamptz NOT NULL,
  attempts integer NOT NULL,
  error text NOT NULL,
  PRIMARY KEY (webhook, id)
);
