-- Authorization documents as an XCAP server writes them, in the layout the OpenSIPS xcap module reads. doc_type 2 is
-- pres-rules. Read by presently when integrated_xcap_server is set; never written.
INSERT INTO version (table_name, table_version) VALUES ('xcap', 4);
CREATE TABLE xcap (
  id serial PRIMARY KEY,
  username varchar(64) NOT NULL,
  domain varchar(64) NOT NULL,
  doc bytea NOT NULL,
  doc_type integer NOT NULL,
  etag varchar(64) NOT NULL,
  source integer NOT NULL,
  doc_uri varchar(255) NOT NULL,
  port integer NOT NULL,
  CONSTRAINT xcap_account_doc_type_idx UNIQUE (username, domain, doc_type, doc_uri)
);
CREATE INDEX xcap_source_idx ON xcap (source);
