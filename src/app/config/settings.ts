/**
 * All settings: name, kind, default and range. Values only; `gather.ts` reads them, `check-value.ts` checks them.
 *
 * Parameters of the OpenSIPS presence modules keep their names, defaults and ranges.
 */
import { choice, flag, hook, int, list, module, peers, rules, secret, text } from "./setting-kinds.ts"

const year = 365 * 24 * 3600
const grows = "tables in memory grow by themselves"
const oneNode = "this version runs on one node"
const noXcapClient =
  "documents of an XCAP server come from its table (integrated_xcap_server) or a folder (rules_dir)"
const noScript = "there is no script to call; pass_through takes as-feature-event documents as they are"
/** The lowest value of a parameter that the module treats as "never" at 0 and below. */
const lowest = -2_147_483_648

const running = {
  listen: list(["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"], "sockets, each udp:HOST:PORT or tcp:HOST:PORT"),
  admin: text(
    "127.0.0.1:5080",
    "HOST:PORT of the management port, `off` for none; if that port is taken, any free one",
  ),
  admin_tokens_file: text(
    null,
    "file of lines NAME:SCOPE:SHA256 (see `presently token`); clients of the management port need one of these tokens",
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
      "ADDRESS[/PREFIX][;identity=pai|from|none][;publishes_for=DOMAIN-OR-URI|…][;transport=udp|tcp|any][;hosts=NAME|…]",
  ),
  digest_md5: flag(false, "also offer MD5, for phones that support nothing better"),
  digest_md5_only: flag(false, "offer MD5 alone, for phones that give up at SHA-256; dev --lan: 1"),
  registrar: choice(
    "accept",
    ["accept", "reject"],
    "answer to REGISTER: 200 with bindings that nothing uses, or 403",
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

const lifetimes = {
  max_expires_publish: int<number>(3600, 1, year, "longest lifetime of a publication, seconds"),
  max_expires_subscribe: int<number>(3600, 1, year, "longest lifetime of a subscription, seconds"),
  min_expires_publish: int<number>(0, 0, year, "shorter publications are refused with 423; 0: none"),
  min_expires_subscribe: int<number>(0, 0, 3599, "shorter subscriptions are refused with 423; 0: none"),
  expires_offset: int<number>(
    0,
    0,
    year,
    "seconds by which the announced lifetime of a publication is shorter, and the real lifetime of a subscription longer",
  ),
  notify_min_interval: int<number | null>(
    null,
    0,
    3600,
    "seconds between change NOTIFYs of one subscription; 0: no pacing",
  ),
  end_sub_on_timeout: flag(true, "a NOTIFY without answer ends its subscription"),
  rate_control: flag(true, "watchers may choose how often they are notified (RFC 6446)"),
  conditional_notify: flag(true, "watchers may name the document that they have (RFC 5839)"),
  notify_probe_interval: int<number>(
    0,
    0,
    86_400,
    "with end_sub_on_timeout=0: seconds until a NOTIFY without answer is tried again; 0: at the next change; an address that never answered is not tried before its next SUBSCRIBE",
  ),
  notify_offline_body: flag(
    false,
    "while nothing is published, NOTIFY carries a closed tuple instead of no body",
  ),
  generate_offline_body: flag(true, "an ended publication is shown as closed once"),
  id_collision: choice(
    "newest",
    ["newest", "rename"],
    "two publications with the same element id: the newest wins, or both stay",
  ),
  event_framework: choice("3265", ["3265", "6665"], "the RFC that decides where the two differ"),
  force_active: flag(false, "every subscription is active at once"),
  server_address: text(null, "URI of the server's Contact; default: the receiving socket"),
  contact_user: text("presence", "user part of the server's Contact; empty: none"),
  publications_max: int<number>(64, 1, 10_000, "publications per presentity and event package"),
  subscriptions_max: int<number>(1000, 1, 1_000_000, "subscriptions per presentity"),
  udp_mtu: int<number>(1300, 500, 65_000, "larger requests go over TCP where the target accepts it, bytes"),
  notify_targets: list(
    [],
    "targets to which NOTIFYs may go before one has been answered there: addresses, networks (10.0.0.0/8), host names, *.example.com",
  ),
  contact_must_be_source: flag(
    false,
    "a SUBSCRIBE is refused with 403 unless its Contact, or first Record-Route, is the address that it came from",
  ),
  unanswered_octets_max: int<number>(
    67_108_864,
    1_048_576,
    4_294_967_296,
    "octets of NOTIFYs that wait for an answer; above that, NOTIFYs are postponed as if answered 503; one address and port may have as many as are left for all others",
  ),
  unproven_targets_max: int<number>(
    100_000,
    1_000,
    10_000_000,
    "dialogs, and addresses, that have not answered a NOTIFY yet and are remembered with what they were sent; above that, NOTIFYs to others are postponed",
  ),
  unproven_waiting_max: int<number>(
    10_000,
    0,
    1_000_000,
    "NOTIFYs that wait until their address has answered another one; further ones are postponed as if answered 503",
  ),
  unproven_waiting_per_target_max: int<number>(1_000, 0, 1_000_000, "the same for one address and port"),
}

const watching = {
  policy: choice(
    "auto",
    ["auto", "open", "rules"],
    "who may watch; auto: rules with --rules-dir, integrated_xcap_server, --users-file or trusted_peers, else open",
  ),
  watch_policy: list(
    [],
    "who may watch which package, each PACKAGE=POLICY or PACKAGE@DOMAIN=POLICY with owner, domain, everybody or rules; *=everybody for all but presence and lists of watchers",
  ),
  line_members: list(
    [],
    "the only identities that may watch or hold a line (dialog, dialog;sla, call-info, line-seize), each LINE=URI|URI…",
  ),
  mailbox_owners: list([], "additional owners of a mailbox for message-summary, each URI=URI|URI…"),
  static_rules: list([], "rules of single presentities, each URI=FILE"),
  rules_wait: int<number>(
    10,
    1,
    3600,
    "seconds a start waits until the source of rules and hard state can be read; then it serves without it, and watchers stay pending where the log knows no rules; also how long a SUBSCRIBE waits for a function that gives rules (extensions)",
  ),
  rules_waiting_max: int<number>(
    20_000,
    1,
    1_000_000,
    "SUBSCRIBEs that wait for a function that gives rules (extensions); further ones get 503",
  ),
  rules_document_max: int<number>(
    1_048_576,
    1_000,
    16_777_216,
    "longest document in a source of rules or hard state, octets; a longer one is not used",
  ),
  rules_dir: text(
    null,
    "folder of rules, one file per presentity: alice@example.com.xml for presence, PACKAGE/alice@example.com.xml for another package (dialog;sla or dialog%3Bsla)",
  ),
  no_rules: choice(
    "confirm",
    ["block", "confirm", "polite-block", "allow"],
    "how a watcher of a presentity without rules is treated",
  ),
  no_match: choice("block", ["block", "confirm"], "how a watcher is treated that no rule matches"),
  legacy_permissive: flag(
    false,
    "a rule without transformations shows everything, as in the OpenSIPS module",
  ),
  oma_rules: flag(false, "rules may hold OMA conditions"),
  enable_sphere_check: flag(false, "rules may depend on the published sphere"),
  waiting_subs_daysno: int<number>(3, 0, 30, "days an undecided watcher is remembered; 0: 3"),
  integrated_xcap_server: flag(false, "presence rules come from the table xcap of the database"),
  pres_rules_auid: choice(
    "pres-rules",
    ["pres-rules", "org.openmobilealliance.pres-rules"],
    "kind of rules documents; the OMA kind implies oma_rules=1",
  ),
  xcap_table: text("xcap", "name of the table, of letters, digits and underscores"),
  xcap_server: list([], "XCAP servers to ask by HTTP", noXcapClient),
  pres_rules_filename: text("index", "name of a rules document on an XCAP server", noXcapClient),
  pidf_manipulation: flag(false, "hard state of presence comes from the table xcap too (RFC 4827)"),
  xcap_poll_interval: int<number>(5, 1, 86_400, "seconds between two checks of the table xcap"),
  handle_publish: rules("publish", "rules for single PUBLISH requests; the first match counts"),
  handle_subscribe: rules("subscribe", "rules for single SUBSCRIBE requests; the first match counts"),
  request_policy: hook("file of code that is called for each request before those rules"),
  extensions: module(
    "module that exports `packages`, `rules` or `store`: event packages, authorization documents, and where the log is kept",
  ),
}

const storage = {
  db_update_period: int<number>(
    100,
    lowest,
    86_400,
    "longest lag of the three tables behind the log, seconds; 0 or less: written only at the stop and every db_update_decisions changes",
  ),
  db_update_decisions: int<number>(
    20_000,
    100,
    10_000_000,
    "changes after which the tables and snapshots are written before db_update_period is over, or a quarter as many as there are subscriptions and publications to be written, if that is more; a start reads at most so many again",
  ),
  db_url: secret(text(null, "the same as database_url, under the name of the OpenSIPS module")),
  fallback2db: flag(true, "the database backs memory", "the log is always the truth and always consulted"),
  clean_period: int<number>(
    100,
    lowest,
    86_400,
    "sweep period",
    "everything ends at its own deadline, no sweep is needed",
  ),
  retention: {
    ...list(
      [],
      "days for which the log, and documents of single packages, are kept: each DAYS or PACKAGE=DAYS (365,dialog=30); none or 0: for ever",
    ),
    isNumeric: true,
  },
  retention_share: int<number>(
    50,
    1,
    100,
    "largest share of the log, or of one package's remaining documents in it, that is dropped at once, in percent; more takes `presently compact --yes`, or several days",
  ),
  retention_doubt: int<number>(
    7,
    0,
    365,
    "days for which nothing is dropped after the clock went ahead unconfirmed by more than a day",
  ),
  clock_jump: int<number>(
    10,
    2,
    3600,
    "seconds by which the machine's clock may differ from the monotonic one before that counts as a jump",
  ),
  clock_jump_wait: int<number>(
    86_400,
    0,
    7 * 86_400,
    "seconds that an unconfirmed jump of the clock must last before it is followed; 0: at once",
  ),
  erasable: flag(
    true,
    "encrypt personal data in the log with a key for each person, so that `presently erase` can erase the person (crypto-shredding)",
  ),
  seal_key: text(
    null,
    "file of an Ed25519 private key (see `presently seal-key`) that signs the log every seal_interval seconds; none: the log is not signed",
  ),
  seal_interval: int<number>(600, 1, 86_400, "seconds between two seals"),
  presentity_table: text("presentity", "name of the table, of letters, digits and underscores"),
  active_watchers_table: text("active_watchers", "name of the table, of letters, digits and underscores"),
  watchers_table: text("watchers", "name of the table, of letters, digits and underscores"),
}

const packages = {
  xml_reader: choice(
    "single-pass",
    ["single-pass", "fast-xml-parser"],
    "what reads published XML documents: the server's own reader, or the slower npm package that it is tested against; both give the same",
  ),
  xml_cache: int<number>(
    131_072,
    0,
    1_073_741_824,
    "octets of memory for what was read from the XML documents read last; 0: they are read again each time",
  ),
  empty_message_summary: flag(
    true,
    "message-summary without a publication says that no messages wait, instead of having no body",
  ),
  pass_through: list(
    [],
    "event packages whose documents are relayed unchanged, each NAME=TYPE or NAME=TYPE|TYPE (ua-profile=text/xml)",
  ),
  call_info_timeout_notification: flag(
    true,
    "a subscription to call-info that was not refreshed ends with a NOTIFY",
  ),
  line_seize_timeout_notification: flag(
    false,
    "a subscription to line-seize that was not refreshed ends with a NOTIFY",
  ),
  force_single_dialog: flag(false, "of several dialogs only the most important one is shown"),
  mix_dialog_presence: flag(false, "presence also derived from dialogs"),
  bla_presentity_spec: choice(
    "contact",
    ["contact", "$ru", "$tu", "$fu"],
    "presentity of a SUBSCRIBE to dialog;sla: Contact user at From domain, or the URI of request, To or From",
  ),
  bla_fix_remote_target: flag(
    true,
    "a remote target of dialog;sla at an IP address becomes the remote identity",
  ),
  default_expires: int<number>(
    3600,
    1,
    year,
    "lifetime of a subscription to reg that asks for none, seconds",
  ),
  aggregate_presentities: flag(
    false,
    "registrations of all publications in one document",
    "a NOTIFY of reg always holds the registrations of all publications",
  ),
  disable_dialog_support_for_sca: flag(
    false,
    "no appearances from calls through this server",
    "this server handles no calls; appearances are published",
  ),
  line_hash_size: int<number>(64, 1, 2_147_483_647, "hash table size", grows),
  get_route: text(null, "script route for as-feature-event", noScript),
  set_route: text(null, "script route for as-feature-event", noScript),
}

const operating = {
  cluster_id: int<number>(0, 0, 2_147_483_647, "cluster", oneNode),
  cluster_federation_mode: choice(
    "disabled",
    ["disabled", "on-demand-sharing", "full-sharing", "0", "1"],
    "federation",
    oneNode,
  ),
  cluster_pres_events: list([], "event packages shared in the cluster", oneNode),
  cluster_be_active_shtag: text(null, "tag that must be active here", oneNode),
  cluster_sharing_tags: list(
    [],
    "sharing tags and their state unless the log says otherwise, each NAME=active or NAME=backup",
  ),
  subs_htable_size: int<number>(9, 1, 30, "hash table size", grows),
  pres_htable_size: int<number>(9, 1, 30, "hash table size", grows),
}

/** In the order in which they are shown. */
export const settingGroups = [
  ["Where and how the server runs", running],
  ["Publications and subscriptions", lifetimes],
  ["Who may watch, and what single requests are granted", watching],
  ["Storage", storage],
  ["Event packages", packages],
  ["Other parameters of the OpenSIPS modules", operating],
] as const

export const settings = { ...running, ...lifetimes, ...watching, ...storage, ...packages, ...operating }

export type SettingName = keyof typeof settings
