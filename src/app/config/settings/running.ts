/**
 * Settings of where and how the server runs.
 */
import { choice, flag, int, list, peers, secret, text } from "../setting-kinds.ts"

export const running = {
  listen: list(
    ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"],
    "sockets, each TRANSPORT:HOST:PORT with udp, tcp, tls, ws or wss as the transport; [::] is all addresses of IPv6 and IPv4, or of IPv6 alone where 0.0.0.0 or another address of IPv4 is listed with the same port",
  ),
  advertise: list(
    [],
    "hosts and ports in Contact and Via instead of our own, behind port forwarding or in a container, each HOST[:PORT], or LISTENER=HOST[:PORT] with LISTENER as in listen; an address is for peers of its family only",
  ),
  admin: text(
    "127.0.0.1:5080",
    "HOST:PORT of the management port, https://HOST:PORT for one that speaks HTTPS with the certificates of tls_certificate, `off` for none; if the default port is taken, any free one",
  ),
  admin_client_certificates: choice(
    "off",
    ["off", "required"],
    "required: clients of the management port need a certificate of an authority in tls_ca, besides their token",
  ),
  admin_insecure_http: flag(
    false,
    "serve takes tokens over plain HTTP on an address that is not loopback: whoever is on the way reads them",
  ),
  admin_tokens_file: text(
    null,
    "file of lines NAME:SCOPE:SHA256 (see `presently token`); clients of the management port need one of these tokens",
  ),
  reload_check_interval: int<number>(
    1,
    0,
    86_400,
    "seconds between two looks at the files of users, tokens and certificates, which are read again when they have changed; 0: only when told to",
  ),
  webhook_hosts: list(
    [],
    "hosts that webhooks may go to: names, *.example.com, * for every name, addresses and networks; addresses that are not public must be listed as such",
  ),
  webhook_give_up: int<number>(
    86_400,
    0,
    30 * 86_400,
    "seconds after which a message that a webhook does not accept becomes a dead letter; 0: after one attempt",
  ),
  domain: list([], "domains served; none: every domain"),
  domain_aliases: list(
    [],
    "other names of a domain, each ALIAS=DOMAIN, or ALIAS for the first domain: a user at the alias is the user at the domain, for example 10.0.0.5=example.com",
  ),
  data: text(null, "folder of the embedded database"),
  postgres_bin: text(
    null,
    "folder of PostgreSQL's programs for the embedded database; default: those that are installed, else those of the npm package; none: no server is started, and the database is kept within the process by the npm package @electric-sql/pglite, with less durability",
  ),
  database_url: secret(text(null, "postgres://USER:PASSWORD@HOST:PORT/NAME")),
  standby: flag(
    false,
    "wait, with closed sockets, while another program has the log in database_url, and serve when it is gone",
  ),
  writer_lease: int<number>(
    2,
    2,
    60,
    "seconds after which a server that is silent towards its database loses the log to another; must be longer than a server may stall",
  ),
  memory: flag(false, "keep everything in memory; nothing survives the process"),
  warm_up: int<number>(
    1_000,
    0,
    60_000,
    "milliseconds of processor time that a server spends at most on running its own code before requests do, while it starts or when nothing else is to be done; 0: none; a server in a program: 0",
  ),
  warm_up_first: int<number>(
    300,
    0,
    60_000,
    "milliseconds of warm_up that are spent before the sockets open, which they do after 3 seconds all the same; dev: 40",
  ),
  insecure_no_auth: flag(
    false,
    "serve other hosts without authentication; with trusted_peers, all other hosts are still refused",
  ),
  users_file: text(
    null,
    "file of lines USER:REALM:HA1 or USER:REALM:HA1:URI (see `presently user`); turns digest authentication on",
  ),
  realm: text(null, "digest realm; default: the first domain"),
  trusted_peers: peers(
    "proxies, PBXs and other servers that have already authenticated the sender of a request, and for whom each speaks: " +
      "ADDRESS[/PREFIX] or certificate:NAME, then [;identity=pai|from|none][;publishes_for=DOMAIN-OR-URI|…][;transport=udp|tcp|tls|ws|wss|any][;hosts=NAME|…]",
  ),
  digest_md5: flag(false, "also offer MD5, for phones that support nothing better"),
  digest_md5_only: flag(false, "offer MD5 alone, for phones that give up at SHA-256; dev --lan: 1"),
  registrar: choice(
    "accept",
    ["accept", "reject"],
    "answer to REGISTER: 200 with bindings by which nothing is routed, or 403",
  ),
  presence_from_register: flag(
    false,
    "a user who is registered here is shown as open while no device publishes, and as closed afterwards; dev: 1",
  ),
  unsolicited_mwi: flag(
    false,
    "a phone that is registered here is notified of waiting messages (message-summary) without having subscribed",
  ),
  reg_from_register: flag(false, "who is registered here is published in the package reg (RFC 3680); dev: 1"),
  device_recognition: choice(
    "contact",
    ["none", "instance", "contact"],
    "how a device is recognized that publishes again without its entity-tag, as after a restart, so that its old publication is replaced: by nothing; by +sip.instance in its Contact; or, where it has none, by Contact, User-Agent and source address together",
  ),
  keep_requester: choice(
    "identity",
    ["none", "identity", "full"],
    "what the log of events keeps of who sent a request, besides where it came from: nothing; account, asserted identity and From; or the User-Agent too",
  ),
  log_level: choice("info", ["error", "warn", "info", "debug"], "how much is written to the log"),
  otlp_endpoint: text(
    null,
    "URL that receives traces as OTLP over HTTP, for example http://127.0.0.1:4318/v1/traces; none: nothing is traced",
  ),
  trace_percent: int<number>(100, 0, 100, "share of requests that are traced"),
  log: choice("auto", ["auto", "json", "pretty"], "log format; auto: pretty on a terminal"),
}
