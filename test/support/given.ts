/**
 * Sentences about alice, with the packages of the tests: see `src/app/testing/given.ts`.
 */
import * as sentences from "../../src/app/testing/given.ts"
import type { Standing, World } from "../../src/app/testing/given.ts"
import type { Reply } from "../../src/domain/presentity/commands.ts"
import type { Authorize, Context } from "../../src/domain/presentity/context.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import type { EntityTag, Millis, SubHandling } from "../../src/domain/vocabulary.ts"
import { alice, at } from "./builders.ts"
import { packages } from "./stub-package.ts"

export { notifyInShort as summary } from "../../src/app/testing/given.ts"
export type { World } from "../../src/app/testing/given.ts"

const nonce = "n"
/** The entity-tag that the `version`th decision of a presentity mints. */
export const tag = (version: number): string => `${nonce}.${version.toString(36)}`

const world: World = { packages, nonce }

export const given = sentences.makeGiven({ ...world, presentity: alice, at: at("10:00:00") })

/** The same, from an existing state. */
export const standing = (state: State, over: Partial<World> = {}): Standing =>
  sentences.standing(state, { ...world, ...over })

export const contextAt = (state: State, now: Millis, over: Partial<World> = {}): Context =>
  sentences.contextAt(state, now, { ...world, ...over })

/** One answer for every watcher. */
export const treatAs =
  (handling: SubHandling): Authorize =>
  () =>
    handling

export const publishedAs = (entityTag: string, expires: number): Reply => ({
  _tag: "Published",
  entityTag: entityTag as EntityTag,
  expires,
})

export const subscribedFor = (expires: number, status: 200 | 202 = 200): Reply => ({
  _tag: "Subscribed",
  status,
  expires,
})

export const nobodyWaits: Reply = { _tag: "Done" }
