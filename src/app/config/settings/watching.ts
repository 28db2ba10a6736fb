/**
 * Settings of who may watch, and what single requests are granted.
 */
import { choice, flag, hook, int, list, module, rules, text } from "../setting-kinds.ts"

const noXcapClient =
  "documents of an XCAP server come from its table (integrated_xcap_server) or a folder (rules_dir)"

export const watching = {
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
