-- The three tables of the OpenSIPS presence module, in its layout for PostgreSQL, so that existing readers and control
-- panels keep working. They are projections: rows follow the log and can be made again from it at any time.
CREATE TABLE version (
  table_name varchar(32) NOT NULL UNIQUE,
  table_version integer NOT NULL DEFAULT 0
);
INSERT INTO version (table_name, table_version) VALUES ('presentity', 5), ('active_watchers', 12), ('watchers', 4);

CREATE TABLE presentity (
  id serial PRIMARY KEY,
  username varchar(64) NOT NULL,
  domain varchar(64) NOT NULL,
  event varchar(64) NOT NULL,
  etag varchar(64) NOT NULL,
  expires integer NOT NULL,
  received_time integer NOT NULL,
  body bytea,
  extra_hdrs bytea,
  sender varchar(255),
  CONSTRAINT presentity_presentity_idx UNIQUE (username, domain, event, etag)
);
CREATE INDEX presentity_expires_idx ON presentity (expires);

CREATE TABLE active_watchers (
  id serial PRIMARY KEY,
  presentity_uri varchar(255) NOT NULL,
  watcher_username varchar(64) NOT NULL,
  watcher_domain varchar(64) NOT NULL,
  to_user varchar(64) NOT NULL,
  to_domain varchar(64) NOT NULL,
  event varchar(64) NOT NULL DEFAULT 'presence',
  event_id varchar(64),
  to_tag varchar(64) NOT NULL,
  from_tag varchar(64) NOT NULL,
  callid varchar(64) NOT NULL,
  local_cseq integer NOT NULL,
  remote_cseq integer NOT NULL,
  contact varchar(255) NOT NULL,
  record_route text,
  expires integer NOT NULL,
  status integer NOT NULL DEFAULT 2,
  reason varchar(64),
  version integer NOT NULL DEFAULT 0,
  socket_info varchar(64) NOT NULL,
  local_contact varchar(255) NOT NULL,
  sharing_tag varchar(32)
);
-- The module's unique key is (presentity_uri, callid, to_tag, from_tag), which knows one subscription per dialog;
-- with event and event_id it also holds dialogs that carry several (RFC 3265 §3.1.4.2).
CREATE UNIQUE INDEX active_watchers_active_watchers_idx
  ON active_watchers (presentity_uri, callid, to_tag, from_tag, event, event_id);
CREATE INDEX active_watchers_expires_idx ON active_watchers (expires);
CREATE INDEX active_watchers_pres_idx ON active_watchers (presentity_uri, event);

CREATE TABLE watchers (
  id serial PRIMARY KEY,
  presentity_uri varchar(255) NOT NULL,
  watcher_username varchar(64) NOT NULL,
  watcher_domain varchar(64) NOT NULL,
  event varchar(64) NOT NULL DEFAULT 'presence',
  status integer NOT NULL,
  reason varchar(64),
  inserted_time integer NOT NULL,
  CONSTRAINT watchers_watcher_idx UNIQUE (presentity_uri, watcher_username, watcher_domain, event)
);
