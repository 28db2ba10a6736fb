/**
 * Every name that the OpenSIPS presence modules offer to others: parameters, functions for scripts, management commands,
 * events, tables, and the members of the programming interface; each with what it is here. `docs/from-opensips.md` is made
 * of this list, and each row names the id of the tests that prove it.
 */
import type { SettingName } from "../../src/app/config/settings.ts"

export type Kind = "parameter" | "function" | "command" | "event" | "table" | "call" | "member"

export interface OpensipsName {
  readonly kind: Kind
  readonly name: string
  /** In Markdown. */
  readonly here: string
  /** What is different in effect, and why; empty: nothing. In Markdown. */
  readonly difference: string
  /** What titles of its tests contain. */
  readonly id: string
}

export interface OpensipsParameter extends OpensipsName {
  readonly kind: "parameter"
  readonly name: SettingName
  readonly modules: readonly string[]
  /** Unless the list says that it is another one here, that of the module. */
  readonly fallback: unknown
  /** A value as a script or a file has it, and what is understood. */
  readonly example: readonly [text: string, value: unknown]
}

export interface OpensipsTable extends OpensipsName {
  readonly kind: "table"
  /** The module's columns in their order, each with type and `NULL` where it may be. */
  readonly columns: readonly string[]
}

const idOf = (name: string): string => `OPS-${name}`

const parameter = (
  modules: string,
  name: SettingName,
  fallback: unknown,
  example: readonly [string, unknown],
  difference = "",
): OpensipsParameter => ({
  kind: "parameter",
  modules: modules.split(" "),
  name,
  here: `\`${name}\``,
  fallback,
  example,
  difference,
  id: idOf(name),
})

const oneNode = "Accepted and checked, without effect: there is one node."
const noTables = "Accepted, and reported as having no effect: tables in memory grow by themselves."
const noHttp =
  "Accepted, and reported as having no effect: documents come from the XCAP server's table (`integrated_xcap_server`) or a folder (`rules_dir`)."
const noRoutes =
  "Accepted, and reported as having no effect: there is no script. With `as_feature_event` the server keeps the features itself, and tells phones and servers that watch them ([phones.md](phones.md))."
const anyName =
  "A name of at most 32 letters, digits and underscores. The table is created at the start if it is missing."
const atMost =
  "0 and less, which the module treats as 3600, are refused at the start with the range that is allowed."

const parameters: readonly OpensipsParameter[] = [
  parameter(
    "presence xcap",
    "db_url",
    null,
    ["postgres://a/b", "postgres://a/b"],
    "PostgreSQL only, for the log and the tables together; also called `database_url`. Without it: `data` (embedded) or `memory`. Rows of other databases are [imported](moving-over.md).",
  ),
  parameter(
    "presence",
    "fallback2db",
    true,
    ["0", false],
    "Always on (the module: 0): an answer is sent only after its content is in the log, so there is nothing to fall back from.",
  ),
  parameter("presence", "cluster_id", 0, ["1", 1], oneNode),
  parameter(
    "presence",
    "cluster_federation_mode",
    "disabled",
    ["full-sharing", "full-sharing"],
    `${oneNode} It takes the words of newer versions and the numbers of 2.4.`,
  ),
  parameter("presence", "cluster_pres_events", [], ["presence, dialog", ["presence", "dialog"]], oneNode),
  parameter(
    "presence",
    "cluster_sharing_tags",
    [],
    ["vip=active", ["vip=active"]],
    "One node: the state of a tag is kept in the log and survives a restart; the setting applies to tags that the log does not know.",
  ),
  parameter("presence", "cluster_be_active_shtag", null, ["vip", "vip"], oneNode),
  parameter(
    "presence",
    "expires_offset",
    0,
    ["30", 30],
    "A publication is announced as shorter by this time, as in the module. A subscription lives longer by this time, but is announced with the lifetime that it asked for: the module announces more, which RFC 3265 §3.1.1 forbids. A value below 0 is refused at the start.",
  ),
  parameter("presence", "max_expires_subscribe", 3600, ["600", 600], atMost),
  parameter("presence", "max_expires_publish", 3600, ["600", 600], atMost),
  parameter("presence", "server_address", null, ["sip:presence.example.com", "sip:presence.example.com"]),
  parameter("presence", "contact_user", "presence", ["pa", "pa"]),
  parameter(
    "presence",
    "enable_sphere_check",
    false,
    ["1", true],
    "The sphere is that of all published persons together. Nothing else in a PUBLISH depends on the setting: Content-Type is always required.",
  ),
  parameter(
    "presence",
    "waiting_subs_daysno",
    3,
    ["5", 5],
    "Counted from the beginning of each watcher's wait and kept across restarts; its end is notified (`giveup`). The module checks once an hour, notifies nobody, and forgets at each start. 0 counts as 3 there and here; a value above 30 is refused at the start.",
  ),
  parameter(
    "presence",
    "mix_dialog_presence",
    false,
    ["1", true],
    "All calls of all publications count, and the most important one decides: a phone that rings in an older publication is never shown as closed.",
  ),
  parameter(
    "presence",
    "bla_presentity_spec",
    "contact",
    ["$fu", "$fu"],
    "`contact`, which is the module's default, or `$ru`, `$tu`, `$fu`. There are no variables that a script sets.",
  ),
  parameter(
    "presence",
    "bla_fix_remote_target",
    true,
    ["0", false],
    "For `dialog;sla` only, and from the first publication on; the module changes documents of every package, but not the first one.",
  ),
  parameter("presence", "notify_offline_body", false, ["1", true]),
  parameter(
    "presence",
    "end_sub_on_timeout",
    true,
    ["0", false],
    "With 0, `notify_probe_interval` says when a silent phone is tried again.",
  ),
  parameter(
    "presence",
    "clean_period",
    100,
    ["-1", -1],
    "Accepted, and reported as having no effect: everything ends at its own deadline. In the module, 0 and less switch expiry off.",
  ),
  parameter(
    "presence",
    "db_update_period",
    100,
    ["0", 0],
    "The longest lag of the tables; the log is written before each answer. With 0 and less the tables are written when the server stops, and subscriptions still end: in the module they do not.",
  ),
  parameter("presence", "presentity_table", "presentity", ["lamps", "lamps"], anyName),
  parameter("presence", "active_watchers_table", "active_watchers", ["subs", "subs"], anyName),
  parameter("presence", "watchers_table", "watchers", ["who", "who"], anyName),
  parameter("presence", "subs_htable_size", 9, ["12", 12], noTables),
  parameter("presence", "pres_htable_size", 9, ["12", 12], noTables),
  parameter(
    "presence_xml",
    "force_active",
    false,
    ["1", true],
    "Also for single requests (`handle_subscribe`); the log records that a watcher was admitted in this way.",
  ),
  parameter(
    "presence_xml",
    "pidf_manipulation",
    false,
    ["1", true],
    "Hard state is one more publication, older than all others, and is composed with them; the module shows it only as long as there is nothing else.",
  ),
  parameter(
    "presence_xml",
    "generate_offline_body",
    true,
    ["0", false],
    "One NOTIFY shows the closed form beside what remains; the module sends two, the second without the closed form.",
  ),
  parameter(
    "presence_xml",
    "xcap_server",
    [],
    ["http://xcap.example.com/root", ["http://xcap.example.com/root"]],
    noHttp,
  ),
  parameter(
    "presence_xml",
    "pres_rules_auid",
    "pres-rules",
    ["org.openmobilealliance.pres-rules", "org.openmobilealliance.pres-rules"],
    "With the OMA usage, OMA conditions are understood as well (like `oma_rules`).",
  ),
  parameter("presence_xml", "pres_rules_filename", "index", ["rules", "rules"], noHttp),
  parameter("xcap", "xcap_table", "xcap", ["documents", "documents"], anyName),
  parameter(
    "xcap",
    "integrated_xcap_server",
    false,
    ["1", true],
    "Changes in the table take effect within `xcap_poll_interval` seconds; `refreshWatchers` is not needed.",
  ),
  parameter("presence_dialoginfo", "force_single_dialog", false, ["1", true]),
  parameter("presence_callinfo", "call_info_timeout_notification", true, ["0", false]),
  parameter("presence_callinfo", "line_seize_timeout_notification", false, ["1", true]),
  parameter(
    "presence_callinfo",
    "disable_dialog_support_for_sca",
    false,
    ["1", true],
    "Accepted, and reported as having no effect: this server handles no calls; appearances are published to it.",
  ),
  parameter("presence_callinfo", "line_hash_size", 64, ["128", 128], noTables),
  parameter("presence_reginfo", "default_expires", 3600, ["120", 120]),
  parameter(
    "presence_reginfo",
    "aggregate_presentities",
    false,
    ["1", true],
    "Accepted, and reported as having no effect: a NOTIFY holds the registrations of all publications.",
  ),
  parameter("presence_dfks", "get_route", null, ["dfks_get", "dfks_get"], noRoutes),
  parameter("presence_dfks", "set_route", null, ["dfks_set", "dfks_set"], noRoutes),
]

const name =
  (kind: Exclude<Kind, "parameter" | "table">) =>
  (seed: string, here: string, difference = "", id = idOf(seed)): OpensipsName => ({
    kind,
    name: seed,
    here,
    difference,
    id,
  })

const scripted = name("function")
const functions: readonly OpensipsName[] = [
  scripted(
    "handle_publish",
    "`handle_publish` rules, `handlePublish` of a `request_policy`",
    "Every PUBLISH is handled; [rules](configuration.md#rules-about-single-requests) say what a single request is granted. The argument `sender_uri` is `sender`.",
  ),
  scripted(
    "handle_subscribe",
    "`handle_subscribe` rules, `handleSubscribe` of a `request_policy`",
    "As above; the arguments are `force_active` and `sharing_tag`.",
  ),
]

const managing = name("command")
const commands: readonly OpensipsName[] = [
  managing(
    "refreshWatchers",
    "`refreshWatchers`, `presence:refresh_watchers`",
    "Rules apply with every type; the module sends unfiltered documents for types other than 0.",
  ),
  managing("cleanup", "`cleanup`, `presence:cleanup`", "Only waits: what is due ends without the command."),
  managing(
    "pres_phtable_list",
    "`pres_phtable_list`, `presence:phtable_list`",
    "Names of packages instead of their numbers, and additional fields after those of the module.",
  ),
  managing(
    "subs_phtable_list",
    "`subs_phtable_list`, `presence:subs_phtable_list`",
    "Also status and reason; patterns of any length.",
  ),
  managing(
    "pres_expose",
    "`pres_expose`, `presence:expose`",
    "The filter is a regular expression in linear time (RE2) over the whole URI, on any database.",
  ),
  managing(
    "pres_set_sharing_tag_active",
    "`pres_set_sharing_tag_active`, `clusterer:shtag_set_active`",
    "One node. The change is an event in the log and survives a restart.",
  ),
  managing("pres_list_sharing_tags", "`pres_list_sharing_tags`, `clusterer:list_shtags`", "One node."),
]

const raised = name("event")
const events: readonly OpensipsName[] = [
  raised(
    "E_PRESENCE_PUBLISH",
    "`GET /v1/events`, webhooks, `presence.feed()`",
    "Only for accepted publications, and from any position of the log on; the module raises it for refused ones too.",
  ),
  raised("E_PRESENCE_EXPOSED", "`GET /v1/events`, `presence.feed()`, and the answer of `pres_expose`"),
]

const table = (seed: string, columns: readonly string[], difference: string): OpensipsTable => ({
  kind: "table",
  name: seed,
  here: `\`${seed}\``,
  difference,
  id: idOf(seed),
  columns,
})

const people = ["presentity_uri varchar(255)", "watcher_username varchar(64)", "watcher_domain varchar(64)"]

const tables: readonly OpensipsTable[] = [
  table(
    "presentity",
    [
      "id integer",
      "username varchar(64)",
      "domain varchar(64)",
      "event varchar(64)",
      "etag varchar(64)",
      "expires integer",
      "received_time integer",
      "body bytea NULL",
      "extra_hdrs bytea NULL",
      "sender varchar(255) NULL",
    ],
    "A projection of the log that can be rebuilt from it; changes by others are not read. Values that are too long are truncated here and complete in the log. There is an index on `expires`.",
  ),
  table(
    "active_watchers",
    [
      "id integer",
      ...people,
      "to_user varchar(64)",
      "to_domain varchar(64)",
      "event varchar(64)",
      "event_id varchar(64) NULL",
      "to_tag varchar(64)",
      "from_tag varchar(64)",
      "callid varchar(64)",
      "local_cseq integer",
      "remote_cseq integer",
      "contact varchar(255)",
      "record_route text NULL",
      "expires integer",
      "status integer",
      "reason varchar(64) NULL",
      "version integer",
      "socket_info varchar(64)",
      "local_contact varchar(255)",
      "sharing_tag varchar(32) NULL",
    ],
    "As above. The unique key also has `event` and `event_id`, for dialogs with several subscriptions; `sharing_tag` is always written.",
  ),
  table(
    "watchers",
    [
      "id integer",
      ...people,
      "event varchar(64)",
      "status integer",
      "reason varchar(64) NULL",
      "inserted_time integer",
    ],
    "As above; the module empties it at each start.",
  ),
]

const call = name("call")
const shtable =
  "`State.subscriptions` and `State.dialogs` of `presently/domain`, changed by `decide` and `fold`"
const calls: readonly OpensipsName[] = [
  call(
    "add_event",
    "`Presence.make({ packages })`, `makeRegistry(packages)`",
    "A second package of the same name is reported as a fault, not ignored.",
  ),
  call("contains_event", "`packages.find(name)`"),
  call("search_event", "`packages.find(name)`"),
  call("get_event_list", "`packages.allowEvents`, `presence.events`"),
  call(
    "update_watchers_status",
    "`presence.setRules`, `presence.refreshRules`",
    "The document is kept in the log.",
  ),
  call(
    "terminate_watchers",
    "`presence.terminate`",
    "Also for one watcher, and with any reason of RFC 3265 §3.2.4.",
  ),
  call("update_presentity", "`presence.publish`"),
  call(
    "notify_all_on_publish",
    "`presence.publish({ expires: 1 })`",
    "Only published state is notified: a publication of one second is shown, and then gone.",
  ),
  ...[
    "new_shtable",
    "destroy_shtable",
    "insert_shtable",
    "search_shtable",
    "delete_shtable",
    "update_shtable",
  ].map((seed) => call(seed, shtable, "These are values: there are no locks, and nothing to destroy.")),
  call("mem_copy_subs", "nothing: states are values", "There is no second kind of memory to copy to."),
  call("update_db_subs", "the projector", "Writes the tables from the log."),
  call("extract_sdialog_info", "`decodeRequest` of the SIP adapter"),
  call("get_sphere", "`presence.sphere(uri)`"),
  call("contains_presence", "`presence.isPublished(uri)`"),
]

const member = name("member")
const members: readonly OpensipsName[] = [
  member("name", "`name`", "", "OPS-pres_ev.name"),
  member(
    "content_type",
    "`accepts`, `produces`",
    "Several types; a PUBLISH of another type gets 415, a SUBSCRIBE that accepts none of them 406.",
  ),
  member("extra_hdrs", "`carriedHeaders`"),
  member("default_expires", "`defaultExpires`", "", "OPS-pres_ev.default_expires"),
  member("type", "`watcherInfoOf`", "Watcher information cannot be published.", "OPS-pres_ev.type"),
  member("mandatory_body", "`bodyRequired`"),
  member("mandatory_timeout_notification", "`notifiesTimeout`", "True unless the package says otherwise."),
  member("etag_not_new", '`entityTags: "kept"`'),
  member("req_auth", "the presence of `rules`"),
  member(
    "get_rules_doc",
    "`options.rules`, or a source of rules of the server",
    "The document is an event in the log, so the one behind a decision can be looked up later.",
  ),
  member("get_auth_status", "`rules.judge`", "All matching rules are combined (RFC 4745 §10)."),
  member("apply_auth_nbody", "`rules.filter`"),
  member("agg_nbody", "`compose`", "Ended publications are passed separately, all of them at once."),
  member("build_empty_pres_info", "`offline`, and `compose` without publications"),
  member("build_notify_body", "`renderWatchers`", "For watcher information."),
  member(
    "aux_body_processing",
    "`personalize`",
    "Returns a body of its own; there is no shared buffer to change.",
  ),
  member("free_body", "nothing", "There is no memory to free."),
  member("aux_free_body", "nothing", "There is no memory to free."),
  member("evs_publ_handl", "`checkPublication`"),
  member("evs_subs_handl", "`checkSubscription`"),
  member("wipeer", "`watcherInfoOf`", "`NAME.winfo` comes automatically with each package."),
  member("next", "`packages.names()`", "", "OPS-pres_ev.next"),
]

export const opensipsParameters = parameters
export const opensipsTables = tables

/** In the order of the document. */
export const opensipsNames: readonly OpensipsName[] = [
  ...parameters,
  ...functions,
  ...commands,
  ...events,
  ...tables,
  ...calls,
  ...members,
]
