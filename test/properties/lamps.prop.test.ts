/**
 * The law of lamps, against a reference that knows the calls there really are: phones, proxies and PBXs publish for one
 * presentity, each in its way, and some publications come late. The lamp is lit if and only if what has arrived says so.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { xmlCodec } from "../../src/adapters/xml/codec.ts"
import { dialogInfo } from "../../src/domain/packages/dialog-info.ts"
import { dialogsInPresence } from "../../src/domain/packages/dialog-presence.ts"
import { presence } from "../../src/domain/packages/pidf.ts"
import { makeRegistry } from "../../src/domain/packages/registry.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import { currentDocument, currentView } from "../../src/domain/presentity/view.ts"
import { alice, at, publish } from "../support/builders.ts"
import { bodyOf, read, written } from "../support/dialog-info.ts"
import { standing } from "../support/given.ts"

const dialogs = dialogInfo({ xml: xmlCodec })
const withPresence = presence({ xml: xmlCodec, notifyOfflineBody: true, mixes: dialogsInPresence(dialogs) })
const world = standing(initial(alice), { packages: makeRegistry([dialogs, withPresence]) })
const packageName = "dialog"

type Moment = "early" | "confirmed" | "terminated"
const isAlive = (moment: Moment | undefined): boolean => moment === "early" || moment === "confirmed"

interface DialogWords {
  readonly id: string
  readonly callId?: string
  readonly tags?: string
}

const dialog = ({ id, callId, tags = "" }: DialogWords, moment: Moment): string =>
  `<dialog id="${id}"${callId === undefined ? "" : ` call-id="${callId}"`} ${tags}><state>${moment}</state></dialog>`

/** The world: one clock, one presentity. */
const makeServer = () => {
  let now = at("10:00:00")
  let here = world
  return {
    now: () => now,
    pass: (millis: number) => void (now += millis),
    /** @returns the entity-tag */
    take: (text: string, ifMatch: string | null): string => {
      const command = publish({
        packageName,
        body: bodyOf(written(text)),
        ...(ifMatch === null ? {} : { ifMatch }),
      })
      const outcome = here.when(command, now)
      const { answer } = outcome
      ok(answer._tag === "Accepted" && answer.reply._tag === "Published", JSON.stringify(answer))
      here = outcome.and()
      return answer.reply.entityTag
    },
    isLit: (): boolean => {
      const shown = read(dialogs.render(currentDocument(here.state, dialogs) as ReturnType<typeof read>).text)
      deepStrictEqual(new Set(shown.dialogs.map(({ id }) => id)).size, shown.dialogs.length)
      const lit = shown.dialogs.some(({ state }) => state !== "terminated")
      // presence that shows calls follows the same law
      deepStrictEqual(/basic>open/.test(currentView(here.state, withPresence).body?.text ?? ""), lit)
      return lit
    },
  }
}

/** One who publishes. `next` is the next moment of its call; `mayBeLit`, what a watcher may be shown now. */
interface Publisher {
  readonly next: () => void
  readonly isOn: () => boolean
}

type Server = ReturnType<typeof makeServer>

const follow = (moment: Moment | undefined, skips: boolean): Moment =>
  moment === "early" ? (skips ? "terminated" : "confirmed") : moment === "confirmed" ? "terminated" : "early"

/** One chain of entity-tags. `words` of the nth call: a park orbit uses the same for all. */
const chained = (server: Server, words: (call: number) => DialogWords, skips: () => boolean): Publisher => {
  let [call, tag, moment]: [number, string | null, Moment | undefined] = [0, null, undefined]
  return {
    next: () => {
      if (!isAlive(moment)) call += 1
      moment = follow(moment, skips())
      tag = server.take(dialog(words(call), moment), tag)
    },
    isOn: () => isAlive(moment),
  }
}

/** Each moment a publication of its own, in order, without a Call-ID: a PBX that names dialogs after extensions. */
const anew = (server: Server, id: string, skips: () => boolean): Publisher => {
  let moment: Moment | undefined
  return {
    next: () => {
      moment = follow(moment, skips())
      server.take(dialog({ id }, moment), null)
    },
    isOn: () => isAlive(moment),
  }
}

/** Each moment a publication of its own, sent at once, taken up to 30 s later, so that an earlier one may come last. */
const unordered = (
  server: Server,
  skips: () => boolean,
  delay: () => number,
): Publisher & { readonly pass: (millis: number) => void } => {
  let [call, moment]: [number, Moment | undefined] = [0, undefined]
  let under: { readonly due: number; readonly call: number; readonly moment: Moment }[] = []
  const known = new Map<number, Set<Moment>>()
  return {
    next: () => {
      if (!isAlive(moment)) call += 1
      moment = follow(moment, skips())
      under.push({ due: server.now() + delay(), call, moment })
    },
    pass: (millis) => {
      const until = server.now() + millis
      const due = under.filter((sent) => sent.due <= until).sort((left, right) => left.due - right.due)
      under = under.filter((sent) => sent.due > until)
      for (const sent of due) {
        server.pass(sent.due - server.now())
        const callId = `proxied-${sent.call}`
        // tags become known as the call goes on
        const tags = sent.moment === "early" ? 'local-tag="p"' : 'local-tag="p" remote-tag="q"'
        server.take(dialog({ id: "1", callId, tags }, sent.moment), null)
        known.set(sent.call, (known.get(sent.call) ?? new Set()).add(sent.moment))
      }
      server.pass(until - server.now())
    },
    isOn: () => [...known.values()].some((moments) => !moments.has("terminated")),
  }
}

/** Two phones that ring for one Call-ID; one answers, the other is cancelled and says so without tags. */
const forked = (server: Server, cancelsFirst: () => boolean): Publisher => {
  let [call, phase] = [0, 0]
  const tags: (string | null)[] = [null, null]
  const say = (phone: number, moment: Moment, words: string): void => {
    tags[phone] = server.take(
      dialog({ id: "1", callId: `forked-${call}`, tags: words }, moment),
      tags[phone]!,
    )
  }
  const own = 'local-tag="l" remote-tag="r"'
  return {
    next: () => {
      phase = (phase + 1) % 3
      if (phase === 1) {
        call += 1
        say(0, "early", "")
        say(1, "early", "")
      } else if (phase === 2) {
        const steps = [() => say(0, "confirmed", own), () => say(1, "terminated", "")]
        for (const step of cancelsFirst() ? steps.toReversed() : steps) step()
      } else say(0, "terminated", own)
    },
    isOn: () => phase !== 0,
  }
}

/** Which of the six publish: the fewer there are, the more often all calls are over. */
const anyCast = fc.oneof(
  fc.nat(5).map((only) => [only]),
  fc.subarray([0, 1, 2, 3, 4, 5], { minLength: 2 }),
)

const anyStep = fc.record({
  who: fc.nat(5),
  wait: fc.constantFrom(0, 500, 5_000, 40_000),
  flip: fc.boolean(),
  delay: fc.nat(30_000),
})

describe("lamps", () => {
  it(
    "are lit if and only if a call is there, whoever publishes it and however late",
    { tags: ["BUG-25", "4235-4.1.1-a", "3903-4.4-a", "L21"] },
    () => {
      let [lit, dark] = [0, 0]
      fc.assert(
        fc.property(anyCast, fc.array(anyStep, { minLength: 3, maxLength: 24 }), (cast, steps) => {
          const server = makeServer()
          let step = steps[0]!
          const flip = (): boolean => step.flip
          const late = unordered(server, flip, () => step.delay)
          const publishers: readonly Publisher[] = [
            chained(server, (call) => ({ id: "1", callId: `a-${call}` }), flip),
            chained(server, (call) => ({ id: "1", callId: `b-${call}`, tags: 'local-tag="b"' }), flip),
            chained(server, () => ({ id: "park", callId: "park@pbx" }), flip),
            anew(server, "103", flip),
            late,
            forked(server, flip),
          ]
          const check = (): void => {
            const expected = publishers.some((publisher) => publisher.isOn())
            if (expected) lit += 1
            else dark += 1
            deepStrictEqual(server.isLit(), expected)
          }
          for (step of steps) {
            late.pass(step.wait)
            publishers[cast[step.who % cast.length]!]!.next()
            late.pass(0)
            check()
          }
          late.pass(30_000)
          check()
        }),
        { numRuns: 500 },
      )
      ok(lit > 500 && dark > 500, `both ways: ${lit} and ${dark}`)
    },
  )

  const call = (moment: Moment, id = "1"): string => dialog({ id, callId: "c" }, moment)

  it(
    "a publication that comes after the call was over does not light them again",
    { tags: ["BUG-25"] },
    () => {
      const server = makeServer()
      server.take(call("terminated"), null)
      server.pass(31_000)
      server.take(call("early"), null)
      deepStrictEqual(server.isLit(), false)
    },
  )

  it("nor does a modification that was sent before, with the tag from before", { tags: ["BUG-25"] }, () => {
    const server = makeServer()
    const tag = server.take(call("early"), null)
    server.take(call("terminated"), null)
    server.take(call("confirmed"), tag)
    deepStrictEqual(server.isLit(), false)
  })

  it(
    "a tag that was given after the call was over proves that there is another",
    { tags: ["3903-4.4-a"] },
    () => {
      const server = makeServer()
      server.take(call("terminated"), null)
      const tag = server.take(call("early"), null)
      deepStrictEqual(server.isLit(), false)
      server.take(call("confirmed"), tag)
      deepStrictEqual(server.isLit(), true)
    },
  )

  it("so does the time in which no request can be under way", { tags: ["4235-4.1.1-a"] }, () => {
    const server = makeServer()
    server.take(call("terminated"), null)
    server.pass(32_001)
    server.take(call("confirmed"), null)
    deepStrictEqual(server.isLit(), true)
  })
})
