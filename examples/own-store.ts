/** A store of your own: an array of lines instead of a table. docs/embedding.md says what a store has to guarantee. */
import { Presence, storeOf } from "presently"
import type { PromiseStore } from "presently"
import { fold, initial } from "presently/domain"
import type { Decision, Uri } from "presently/domain"

/** @param log one decision in each line; its position is the number of the line, counted from 1 */
const storeIn = (log: string[]): PromiseStore => {
  const rows = () =>
    log.map((line, index) => ({ position: index + 1, decision: JSON.parse(line) as Decision }))
  const rowsOf = (stream: Uri) => rows().filter(({ decision }) => decision.stream === stream)
  return {
    append: async (decisions) => {
      const conflicts = new Set<Uri>()
      for (const [stream, ours] of Map.groupBy(decisions, (one) => one.stream)) {
        const there = rowsOf(stream)
        const isStored = ours.every(({ version, nonce }) => there[version - 1]?.decision.nonce === nonce)
        // a repeated append: the outcome of the first one was unknown
        if (isStored) continue
        if (there.length === ours[0]!.version - 1) log.push(...ours.map((one) => JSON.stringify(one)))
        else conflicts.add(stream)
      }
      return { position: log.length, conflicts }
    },
    load: async (streams) =>
      streams.map((stream) =>
        rowsOf(stream).reduce((state, { decision }) => fold(state, decision), initial(stream)),
      ),
    read: async (after, max) => rows().slice(after, after + max),
    history: async (stream, afterVersion, max) => rowsOf(stream).slice(afterVersion, afterVersion + max),
  }
}

const alice = "sip:alice@example.com"
const body = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${alice}"><tuple id="t"/></presence>`
const log: string[] = []
const store = storeIn(log)

const before = await Presence.make({ store: storeOf(store) })
const { entityTag } = await before.publish({ presentity: alice, body })
await before.close()

// a second start on the same log
const after = await Presence.make({ store: storeOf(store) })
console.log("published:", after.isPublished(alice))
await after.publish({ presentity: alice, entityTag, expires: 0 })
console.log((await after.history(alice)).map(({ version, cause }) => `${version} ${cause}`).join(", "))
await after.close()

const lines = log.length
const [, last] = await store.history(alice as Uri, 0, 2)
const repeated = await store.append([last!.decision])
const late = await store.append([{ ...last!.decision, nonce: "of another writer" }])
console.log("repeated:", repeated.conflicts.size, "late:", late.conflicts.size, "stored:", log.length - lines)

// prints:
// published: true
// 1 Publish, 2 Publish
// repeated: 0 late: 1 stored: 0
