/**
 * The sharing tags of this server. They are kept in the log, and every presentity with subscriptions of a tag
 * is updated before a change is answered.
 */
import { Effect } from "effect"
import type { SharingTagRole } from "../../domain/presentity/sharing-tag-events.ts"
import { sharingTagsStream } from "../../domain/presentity/sharing-tags.ts"
import type { State } from "../../domain/presentity/state.ts"
import { get, size, values } from "../../domain/table.ts"
import { Refused } from "../../ports/operation-refused.ts"
import type { SharingTag } from "../../ports/operations.ts"
import type { Pump } from "./pump.ts"

export interface SharingTags {
  readonly list: () => readonly SharingTag[]
  /** Completes when all consequences are committed. */
  readonly set: (origin: string, tag: string, role: SharingTagRole) => Effect.Effect<SharingTag, Refused>
  /** An undeclared tag counts as active: no other server is responsible for it. */
  readonly isActive: (tag: string) => boolean
  /** Declares tags that the log does not contain yet, and updates presentities that a crash has left behind. */
  readonly begin: (initial: ReadonlyMap<string, SharingTagRole>) => Effect.Effect<void>
}

/** The length of the column `sharing_tag` of the table `active_watchers`. */
const isTagName = (text: string): boolean => /^[A-Za-z0-9_.-]{1,32}$/.test(text)

const tagsMax = 64

/** Presentities updated concurrently. */
const concurrency = 64

export const makeSharingTags = (pump: Pump): SharingTags => {
  const present = (): State["sharingTags"] | undefined =>
    (pump.engine.state(sharingTagsStream) ?? undefined)?.sharingTags

  const tagOf = (name: string) => {
    const tags = present()
    return tags === undefined ? undefined : get(tags, name)
  }

  const tell = ({ tag, role, epoch }: NonNullable<ReturnType<typeof tagOf>>, origin: string) =>
    Effect.forEach(
      [...pump.engine.presentities()].filter((uri) => isConcerned(pump.engine.state(uri), tag, role)),
      (uri) => pump.ask(uri, { _tag: "SwitchSharingTag", tag, role, epoch }, origin),
      { concurrency, discard: true },
    )

  const set: SharingTags["set"] = (origin, tag, role) =>
    Effect.gen(function* () {
      if (!isTagName(tag)) {
        const why = `tag = ${tag}: expected up to 32 letters, digits, dots, dashes and underscores`
        return yield* new Refused({ status: 400, why })
      }
      const tags = present()
      if (tags !== undefined && size(tags) >= tagsMax && tagOf(tag) === undefined) {
        return yield* new Refused({ status: 409, why: `there are ${tagsMax} tags already` })
      }
      const answer = yield* pump.ask(sharingTagsStream, { _tag: "SetSharingTag", tag, role }, origin)
      const now = tagOf(tag)
      if (answer._tag === "Rejected" || now === undefined) {
        return yield* new Refused({ status: 503, why: "the log cannot be written now" })
      }
      yield* tell(now, origin)
      return stated(now)
    })

  return {
    list: () => {
      const tags = present()
      return tags === undefined ? [] : [...values(tags)].map(stated).sort((a, b) => (a.tag < b.tag ? -1 : 1))
    },
    set,
    isActive: (tag) => tagOf(tag)?.role !== "backup",
    begin: (initial) =>
      Effect.gen(function* () {
        for (const [tag, role] of initial) {
          if (tagOf(tag) === undefined) yield* Effect.ignore(set("configuration", tag, role))
        }
        const tags = present()
        if (tags !== undefined) for (const entry of values(tags)) yield* tell(entry, "start")
      }),
  }
}

const stated = ({ tag, role, epoch }: { tag: string; role: SharingTagRole; epoch: number }): SharingTag => ({
  tag,
  state: role,
  epoch,
})

const isConcerned = (state: State | null | undefined, tag: string, role: SharingTagRole): boolean => {
  if (state == null) return false
  for (const subscription of values(state.subscriptions)) {
    if (subscription.sharingTag === tag && (subscription.parked === true) !== (role === "backup")) return true
  }
  return false
}
