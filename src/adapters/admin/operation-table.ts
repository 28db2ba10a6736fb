/**
 * What the management port offers, in one table: the summary and the scope of every operation, and its JSON-RPC commands.
 *
 * `api.ts` makes HTTP resources of it, `json-rpc.ts` commands. An operation is called `GROUP.NAME` as in the HTTP interface.
 */
import type { Scope } from "./tokens.ts"

export interface OperationEntry {
  /** The scope that a token must have. */
  readonly scope: Scope
  /** One sentence for the OpenAPI document. */
  readonly summary: string
  /** Its JSON-RPC commands: every name that OpenSIPS has given it, the oldest first; absent: it has none. */
  readonly commands?: readonly string[]
  /** Parameters of these commands in the order of OpenSIPS; those in brackets may be left out. */
  readonly parameters?: readonly string[]
}

const read = (summary: string): OperationEntry => ({ scope: "read", summary })
/** What persons publish, and what became of it: more than to look at how a server does. */
const look = (summary: string): OperationEntry => ({ scope: "documents", summary })
const operate = (summary: string): OperationEntry => ({ scope: "operate", summary })
const admin = (summary: string): OperationEntry => ({ scope: "admin", summary })

const keptElsewhere =
  "refused with 409 where a source is the truth of such documents, which is named with what to do there"

/** The three operations on a kind of documents. */
const documents = <const Group extends string>(group: Group, what: string) =>
  ({
    [`${group}.read`]: look(`${what} in force; the ETag is for If-Match`),
    [`${group}.replace`]: operate(
      `Puts ${what} in force, at once and for those who watch already; ${keptElsewhere}`,
    ),
    [`${group}.remove`]: operate(`Removes ${what}; ${keptElsewhere}`),
  }) as Readonly<Record<`${Group}.${"read" | "replace" | "remove"}`, OperationEntry>>

export const operationTable = {
  "presentities.list": {
    ...read("Live publications (pres_phtable_list)"),
    commands: ["pres_phtable_list", "presence:phtable_list"],
    parameters: ["[event]"],
  },
  "presentities.show": look("All there is of one presentity, before any rule"),
  "presentities.watchers": read("Who watches, and who waits to be decided on"),
  "presentities.decide": operate("Approves or denies one watcher, whatever the rules say"),
  "presentities.undecide": operate("Takes a decision back: the rules count again"),
  "presentities.refresh": {
    ...operate("Judges all watchers again, or tells them the present state (refreshWatchers)"),
    commands: ["refreshWatchers", "refresh_watchers", "presence:refresh_watchers"],
    parameters: ["presentity_uri", "event", "refresh_type"],
  },
  "presentities.terminate": operate("Ends subscriptions, of one watcher or of all"),
  "presentities.erase": admin("Forgets a person for good: nothing of it is left in the database"),
  "presentities.expose": {
    ...operate("Live publications with their documents, each also raised as an event (pres_expose)"),
    commands: ["pres_expose", "presence:expose"],
    parameters: ["event", "[filter]"],
  },
  "history.history": look("Decisions on a presentity: the newest, oldest first"),
  "history.at": look("A presentity as of any instant"),
  "history.diff": look("What is different between two instants"),
  "history.seen": look("Every NOTIFY that a watcher was sent, with its document and what became of it"),
  "history.why": look("Why a watcher was told of the last change until then, or was not"),
  ...documents("rules", "authorization rules"),
  "rules.test": read("How a watcher would be treated, by the document sent or by the one in force"),
  ...documents("hardState", "hard state (RFC 4827)"),
  "watchers.list": read("Watchers of everybody; stale: those that have not been sent what is shown now"),
  "subscriptions.list": {
    ...read("Subscriptions, by shell wildcards over whole URIs (subs_phtable_list)"),
    commands: ["subs_phtable_list", "presence:subs_phtable_list"],
    parameters: ["[from]", "[to]"],
  },
  "publications.publish": operate(
    "As PUBLISH: creates, modifies, refreshes, removes, by what is given (RFC 3903)",
  ),
  "publications.remove": operate("Ends a publication"),
  "sharingTags.list": {
    ...read("Sharing tags and what they are here (pres_list_sharing_tags)"),
    commands: ["pres_list_sharing_tags", "clusterer_list_shtags", "clusterer:list_shtags"],
    parameters: [],
  },
  "sharingTags.set": {
    ...admin("Makes a tag active or backup here (pres_set_sharing_tag_active)"),
    commands: ["pres_set_sharing_tag_active", "clusterer_shtag_set_active", "clusterer:shtag_set_active"],
    parameters: ["tag"],
  },
  "events.stream": look("E_PRESENCE_PUBLISH and E_PRESENCE_EXPOSED as they happen, from any log position"),
  "webhooks.list": read("Webhooks and how it stands with each"),
  "webhooks.add": admin("Sends events by HTTP, signed; the answer is the only one with the secret"),
  "webhooks.remove": admin("Sends no more, and forgets the dead letters"),
  "webhooks.deadLetters": operate("Messages that were given up, the newest first"),
  "webhooks.redeliver": operate("Sends a dead letter once more; taken, it is one no longer"),
  "webhooks.discard": operate("Forgets a dead letter"),
  "server.cleanup": {
    ...operate("Waits until all that is due is decided (cleanup)"),
    commands: ["cleanup", "presence:cleanup"],
    parameters: [],
  },
  "server.logLevel": read("How much is said in the log"),
  "server.setLogLevel": admin("Says more or less in the log from now on"),
  "server.reload": admin(
    "Reads users, tokens, rules and log level again, as SIGHUP does; 409 and no change when any is wrong",
  ),
  "server.repairTables": admin(
    "Rewrites rows and snapshots that are not what the log says; from_start: reads every event, and makes landmarks anew",
  ),
  "server.sources": read(
    "Where rules and hard state come from, whether that can be read, and which documents cannot be used",
  ),
  "server.status": read("Counters as JSON"),
  "commands.call": read("Management commands as JSON-RPC 2.0, under all names they have had"),
} as const satisfies Readonly<Record<string, OperationEntry>>

export type OperationName = keyof typeof operationTable

type Entries = (typeof operationTable)[OperationName]
type CommandEntry = Extract<Entries, { readonly commands: readonly string[] }>

/** The operations that have JSON-RPC commands, in order. */
export const commandTable: readonly CommandEntry[] = Object.values(operationTable).filter(
  (entry): entry is CommandEntry => "commands" in entry,
)
