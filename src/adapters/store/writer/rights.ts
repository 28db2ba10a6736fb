/**
 * What a role has to be able to do in a database of ours: for each table what the code here does with it, the sequences it
 * draws from, and the functions it calls. `fitness.ts` asks for it before anything is written.
 */
import { moduleTableNames } from "../../../ports/presence-tables.ts"
import type { TableNames } from "../../../ports/presence-tables.ts"

export type Right = "SELECT" | "INSERT" | "UPDATE" | "DELETE"

const all = ["SELECT", "INSERT", "UPDATE", "DELETE"] as const

/**
 * By table, as the migrations name them. A table of somebody else (`xcap`) needs nothing: whoever names it in the settings is told
 * when it cannot be read.
 */
export const tableRights: Readonly<Record<string, readonly Right[]>> = {
  events: ["SELECT", "INSERT", "UPDATE"],
  streams: all,
  snapshots: all,
  checkpoints: all,
  landmarks: all,
  person_keys: ["SELECT", "INSERT", "DELETE"],
  writers: ["SELECT", "INSERT", "UPDATE"],
  claims: ["SELECT", "INSERT", "UPDATE"],
  seals: ["SELECT", "INSERT"],
  webhooks: all,
  webhook_dead_letters: all,
  version: ["SELECT", "INSERT"],
  presentity: all,
  active_watchers: all,
  watchers: all,
  events_default: ["SELECT", "DELETE"],
  presently_migrations: ["SELECT", "INSERT"],
  xcap: [],
}

/** Sequences that statements name, or defaults of columns. An identity column needs no right of its own, unless it is named. */
export const sequenceRights: Readonly<Record<string, readonly ("USAGE" | "SELECT" | "UPDATE")[]>> = {
  events_pos_seq: ["USAGE"],
  streams_id_seq: ["USAGE"],
  presentity_id_seq: ["USAGE"],
  active_watchers_id_seq: ["USAGE"],
  watchers_id_seq: ["USAGE"],
  writers_epoch: ["SELECT", "UPDATE"],
  xcap_id_seq: [],
}

/** Functions that statements call. */
export const functionRights: Readonly<Record<string, readonly "EXECUTE"[]>> = {
  presently_append: ["EXECUTE"],
  presently_make_partition: ["EXECUTE"],
}

interface Needed {
  readonly name: string
  readonly kind: "table" | "sequence" | "function"
  readonly right: string
}

/** One for each right. @param tables what the presence tables are called here */
export const neededRights = (tables: TableNames): readonly Needed[] => {
  const names = new Map<string, string>(
    (Object.keys(tables) as (keyof TableNames)[]).map((key) => [moduleTableNames[key], tables[key]]),
  )
  const of = (rights: Readonly<Record<string, readonly string[]>>, kind: Needed["kind"]): readonly Needed[] =>
    Object.entries(rights).flatMap(([name, needed]) =>
      needed.map((right) => ({ name: names.get(name) ?? name, kind, right })),
    )
  return [...of(tableRights, "table"), ...of(sequenceRights, "sequence"), ...of(functionRights, "function")]
}

/** What is missing of that, for people: a name, and the rights when there are others. */
export const missingText = (missing: readonly Needed[], needed: readonly Needed[]): string => {
  const names = [...new Set(missing.map((one) => one.name))]
  const told = (name: string): string => {
    const rights = missing.filter((one) => one.name === name).map((one) => one.right)
    return rights.length === needed.filter((one) => one.name === name).length
      ? name
      : `${name} (${rights.join(", ")})`
  }
  return names.map(told).join(", ")
}
