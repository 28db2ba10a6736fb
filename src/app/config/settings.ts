/**
 * Every setting there is: its name, kind, default and range. Values only; `config.ts` reads and checks them.
 *
 * Parameters of the OpenSIPS presence modules keep their own names, defaults and ranges.
 */

interface Base {
  /** Shown by `--help`-like listings and in error messages; one line. */
  readonly about: string
  /** Set when the value is taken and checked but changes nothing: why. Said once at start when it is given. */
  readonly idle?: string
  /** Set when the value holds a password, which nothing may show. */
  readonly secret?: true
}

interface Int<Default extends number | null> extends Base {
  readonly kind: "int"
  readonly default: Default
  readonly min: number
  readonly max: number
}
interface Flag extends Base {
  readonly kind: "flag"
  readonly default: boolean
}
interface Text extends Base {
  readonly kind: "text"
  readonly default: string | null
}
interface List extends Base {
  readonly kind: "list"
  /** An entry may be a whole number, which YAML does not read as text. */
  readonly isNumeric?: boolean
  readonly default: readonly string[]
}
interface Choice extends Base {
  readonly kind: "choice"
  readonly default: string
  readonly choices: readonly string[]
}

/** Rules about single requests (`policy-rules.ts`); the text form is YAML or JSON. */
interface Rules<For extends "publish" | "subscribe"> extends Base {
  readonly kind: "rules"
  readonly for: For
  readonly default: readonly never[]
}
/** Entries of trusted peers (`adapters/sip/peers.ts`), each a text or an object with the same names. */
interface Peers extends Base {
  readonly kind: "peers"
  readonly default: readonly string[]
}
/** A file of code, or from a program the code itself (`request-policy-hook.ts`). */
interface Hook extends Base {
  readonly kind: "hook"
  readonly default: null
}
/** A module, or from a program what it would export (`extensions.ts`). */
interface Module extends Base {
  readonly kind: "module"
  readonly default: null
}

export type Setting =
  | Int<number | null>
  | Flag
  | Text
  | List
  | Choice
  | Rules<"publish">
  | Rules<"subscribe">
  | Peers
  | Hook
  | Module

const base = (about: string, idle: string | undefined): Base =>
  idle === undefined ? { about } : { about, idle }

const int = <Default extends number | null>(
  fallback: Default,
  min: number,
  max: number,
  about: string,
  idle?: string,
): Int<Default> => ({ kind: "int", default: fallback, min, max, ...base(about, idle) })
const flag = (fallback: boolean, about: string, idle?: string): Flag => ({
  kind: "flag",
  default: fallback,
  ...base(about, idle),
})
const text = (fallback: string | null, about: string, idle?: string): Text => ({
  kind: "text",
  default: fallback,
  ...base(about, idle),
})
const list = (fallback: readonly string[], about: string, idle?: string): List => ({
  kind: "list",
  default: fallback,
  ...base(about, idle),
})
const choice = (fallback: string, choices: readonly string[], about: string, idle?: string): Choice => ({
  kind: "choice",
  default: fallback,
  choices,
  ...base(about, idle),
})

const rules = <For extends "publish" | "subscribe">(of: For, about: string): Rules<For> => ({
  kind: "rules",
  for: of,
  default: [],
  about,
})
const peers = (about: string): Peers => ({ kind: "peers", default: [], about })
const hook = (about: string): Hook => ({ kind: "hook", default: null, about })
const module = (about: string): Module => ({ kind: "module", default: null, about })
const secret = (one: Text): Text => ({ ...one, secret: true })

const year = 365 * 24 * 3600
const grows = "tables in memory grow by themselves"
const oneNode = "this version runs on one node"
const noXcapClient =
  "documents of an XCAP server come from its table (integrated_xcap_server) or a folder (rules_dir)"
const noScript = "there is no script to call; pass_through takes as-feature-event documents as they are"
/** Everything that the module takes for "never". */
const lowest = -2_147_483_648

const running = {
  listen: list(["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"], "sockets, each udp:HOST:PORT or tcp:HOST:PORT"),
  admin: text(
    "127.0.0.1:5080",
    "HOST:PORT of the management port, `off` for none; if that is taken, any free one",
  ),
  admin_tokens_file: text(
    null,
    "file of lines NAME:SCOPE:SHA256 (see `presently token`); whoever asks the management port needs one of them",
  ),
  webhook_hosts: list(
    [],
    "hosts that webhooks may go to: names, *.example.com, * for every name, addresses and networks; not public ones count only as addresses",
  ),
  webhook_give_up: int<number>(
    86_400,
    0,
    30 * 86_400,
    "seconds after which a message that a webhook does not take is put among the dead letters; 0: after one attempt",
  ),
  domain: list([], "domains served; none: every domain"),
  data: text(null, "folder of the embedded database"),
  database_url: secret(text(null, "postgres://USER:PASSWORD@HOST:PORT/NAME")),
  standby: flag(
    false,
    "wait, with closed sockets, while another program has the log in database_url, and serve when it is gone",
  ),
  writer_lease: int<number>(
    2,
    2,
    60,
    "seconds after which a server that is silent towards its database loses the log to another; longer than it may stall",
  ),
  memory: flag(false, "keep everything in memory; nothing outlives the process"),
  insecure_no_auth: flag(
    false,
    "serve other hosts without authentication; with trusted_peers, others than these are refused all the same",
  ),
  users_file: text(
    null,
    "file of lines USER:REALM:HA1 or USER:REALM:HA1:URI (see `presently user`); turns digest authentication on",
  ),
  realm: text(null, "digest realm; default: the first domain"),
  trusted_peers: peers(
    "proxies, PBXs and other servers that have asked already who sends a request, and whom each speaks for: " +
      "ADDRESS[/PREFIX][;identity=pai|from|none][;publishes_for=DOMAIN-OR-URI|…][;transport=udp|tcp|any][;hosts=NAME|…]",
  ),
  digest_md5: flag(false, "also offer MD5, for phones that know nothing better"),
  registrar: choice(
    "accept",
    ["accept", "reject"],
    "answer to REGISTER: 200 with bindings that nothing uses, or 403",
  ),
  log_level: choice("info", ["error", "warn", "info", "debug"], "how much is said in the log"),
  otlp_endpoint: text(
    null,
    "URL that takes traces as OTLP over HTTP, for example http://127.0.0.1:4318/v1/traces; none: nothing is traced",
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
    "PUBLISH is told so much less, SUBSCRIBE lives so much longer, seconds",
  ),
  notify_min_interval: int<number | null>(
    null,
    0,
    3600,
    "seconds between change NOTIFYs of one subscription; 0: no pacing",
  ),
  end_sub_on_timeout: flag(true, "a NOTIFY without answer ends its subscription"),
  rate_control: flag(true, "watchers may say how often they are notified (RFC 6446)"),
  conditional_notify: flag(true, "watchers may say which document they have (RFC 5839)"),
  notify_probe_interval: int<number>(
    0,
    0,
    86_400,
    "with end_sub_on_timeout=0: seconds until a NOTIFY without answer is tried again; 0: at the next change; an address that never answered is not asked before its next SUBSCRIBE",
  ),
  notify_offline_body: flag(false, "nothing published: NOTIFY carries a closed tuple instead of no body"),
  generate_offline_body: flag(true, "an ended publication is shown closed once"),
  id_collision: choice(
    "newest",
    ["newest", "rename"],
    "two publications with one element id: newest wins, or both stay",
  ),
  event_framework: choice("3265", ["3265", "6665"], "which RFC decides where they differ"),
  force_active: flag(false, "every subscription is active at once"),
  server_address: text(null, "URI of the server's Contact; default: the receiving socket"),
  contact_user: text("presence", "user part of the server's Contact; empty: none"),
  publications_max: int<number>(64, 1, 10_000, "publications per presentity and event package"),
  subscriptions_max: int<number>(1000, 1, 1_000_000, "subscriptions per presentity"),
  udp_mtu: int<number>(1300, 500, 65_000, "larger requests go over TCP where the target takes it, bytes"),
  notify_targets: list(
    [],
    "where NOTIFYs may go that nobody there has answered yet: addresses, networks (10.0.0.0/8), host names, *.example.com",
  ),
  contact_must_be_source: flag(
    false,
    "a SUBSCRIBE is refused with 403 unless its Contact, or first Record-Route, is where it came from",
  ),
  unanswered_octets_max: int<number>(
    67_108_864,
    1_048_576,
    4_294_967_296,
    "octets of NOTIFYs that wait for an answer; above, NOTIFYs are put off as if answered 503; of one address and port, as many as are left for all others",
  ),
  unproven_targets_max: int<number>(
    100_000,
    1_000,
    10_000_000,
    "dialogs, and addresses, that have not answered a NOTIFY yet of which it is remembered what was sent; above, NOTIFYs to others are put off",
  ),
  unproven_waiting_max: int<number>(
    10_000,
    0,
    1_000_000,
    "NOTIFYs that wait until the address they go to has answered another one; above, further ones are put off as if answered 503",
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
    "who alone may watch or hold a line (dialog, dialog;sla, call-info, line-seize), each LINE=URI|URI…",
  ),
  mailbox_owners: list([], "who else a mailbox's message-summary is for, each URI=URI|URI…"),
  static_rules: list([], "rules of single presentities, each URI=FILE"),
  rules_wait: int<number>(
    10,
    1,
    3600,
    "seconds a start waits for the source of rules and hard state to be read; then it serves without, and watchers of whoever the log knows no rules of wait",
  ),
  rules_document_max: int<number>(
    1_048_576,
    1_000,
    16_777_216,
    "longest document of a source of rules or hard state, octets; a longer one is not used",
  ),
  rules_dir: text(
    null,
    "folder of rules, one file per presentity: alice@example.com.xml for presence, PACKAGE/alice@example.com.xml for another package (dialog;sla or dialog%3Bsla)",
  ),
  no_rules: choice(
    "confirm",
    ["block", "confirm", "polite-block", "allow"],
    "how a presentity without rules treats a watcher",
  ),
  no_match: choice("block", ["block", "confirm"], "how rules that match nobody of that kind treat a watcher"),
  legacy_permissive: flag(false, "a rule without transformations shows everything, as in the module"),
  oma_rules: flag(false, "rules may hold OMA conditions"),
  enable_sphere_check: flag(false, "rules may depend on the published sphere"),
  waiting_subs_daysno: int<number>(3, 0, 30, "days an undecided watcher is remembered; 0: 3"),
  integrated_xcap_server: flag(false, "presence rules come from the table xcap of the database"),
  pres_rules_auid: choice(
    "pres-rules",
    ["pres-rules", "org.openmobilealliance.pres-rules"],
    "kind of rules documents; that of OMA is as oma_rules=1",
  ),
  xcap_table: text("xcap", "name of the table, of letters, digits and underscores"),
  xcap_server: list([], "XCAP servers to ask by HTTP", noXcapClient),
  pres_rules_filename: text("index", "name of a rules document on an XCAP server", noXcapClient),
  pidf_manipulation: flag(false, "hard state of presence comes from the table xcap too (RFC 4827)"),
  xcap_poll_interval: int<number>(5, 1, 86_400, "seconds between two looks at the table xcap"),
  handle_publish: rules("publish", "rules for single PUBLISH requests, the first that fits counts"),
  handle_subscribe: rules("subscribe", "rules for single SUBSCRIBE requests, the first that fits counts"),
  request_policy: hook("file of code that is asked about each request before those rules"),
  extensions: module(
    "module that exports `packages`, `rules` or `store` of one's own: event packages, authorization documents, where the log is kept",
  ),
}

const storage = {
  db_update_period: int<number>(
    100,
    lowest,
    86_400,
    "longest lag of the three tables behind the log, seconds; 0 or less: only at the stop and every 50,000 changes",
  ),
  db_url: secret(text(null, "as database_url; the module's own name")),
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
      "days that the log is kept, and of documents of single packages: each DAYS or PACKAGE=DAYS (365,dialog=30); none or 0: for ever",
    ),
    isNumeric: true,
  },
  retention_share: int<number>(
    50,
    1,
    100,
    "percent of the log, or of what is left of one package's documents in it, that is dropped at once at most; more takes `presently compact --yes`, or several days",
  ),
  retention_doubt: int<number>(
    7,
    0,
    365,
    "days that nothing is dropped after the clock went ahead by more than a day with nothing to confirm it",
  ),
  clock_jump: int<number>(
    10,
    2,
    3600,
    "seconds by which the machine's clock may part from the monotonic one before that is a jump",
  ),
  clock_jump_wait: int<number>(
    86_400,
    0,
    7 * 86_400,
    "seconds that a jump of the clock must have stood before it is followed, where nothing confirms it; 0: at once",
  ),
  erasable: flag(
    true,
    "encrypt in the log what is personal, with a key for each person, so that `presently erase` can forget somebody",
  ),
  seal_key: text(
    null,
    "file of an Ed25519 private key (see `presently seal-key`) that the log is signed with now and then; none: it is not",
  ),
  seal_interval: int<number>(600, 1, 86_400, "seconds between two seals"),
  presentity_table: text("presentity", "name of the table, of letters, digits and underscores"),
  active_watchers_table: text("active_watchers", "name of the table, of letters, digits and underscores"),
  watchers_table: text("watchers", "name of the table, of letters, digits and underscores"),
}

const packages = {
  empty_message_summary: flag(
    true,
    "message-summary without a publication says that nothing waits, instead of nothing",
  ),
  pass_through: list(
    [],
    "event packages whose documents are passed on as they are, each NAME=TYPE or NAME=TYPE|TYPE (ua-profile=text/xml)",
  ),
  call_info_timeout_notification: flag(
    true,
    "a subscription to call-info that was not refreshed ends with a NOTIFY",
  ),
  line_seize_timeout_notification: flag(
    false,
    "a subscription to line-seize that was not refreshed ends with a NOTIFY",
  ),
  force_single_dialog: flag(false, "of several dialogs only the foremost is shown"),
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
  default_expires: int<number>(3600, 1, year, "lifetime of a subscription to reg that names none, seconds"),
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

const others = {
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
    "sharing tags and what they are here unless the log says otherwise, each NAME=active or NAME=backup",
  ),
  subs_htable_size: int<number>(9, 1, 30, "hash table size", grows),
  pres_htable_size: int<number>(9, 1, 30, "hash table size", grows),
}

/** In the order in which people are shown them. */
export const settingGroups = [
  ["Where and how the server runs", running],
  ["Publications and subscriptions", lifetimes],
  ["Who may watch, and what single requests are granted", watching],
  ["Storage", storage],
  ["Event packages", packages],
  ["Other parameters of the OpenSIPS modules", others],
] as const

export const settings = { ...running, ...lifetimes, ...watching, ...storage, ...packages, ...others }

export type SettingName = keyof typeof settings
