/**
 * Laws of publications and of what is shown of them, over arbitrary histories.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeMemoryLog } from "../../src/adapters/store/memory.ts"
import { makeEngine } from "../../src/domain/engine/make-engine.ts"
import { allowEveryone, defaultLimits } from "../../src/domain/presentity/context.ts"
import { intervalOf } from "../../src/domain/presentity/pace.ts"
import { freeze, thaw } from "../../src/domain/presentity/snapshot.ts"
import type { Publication, State } from "../../src/domain/presentity/state.ts"
import { absentView, currentView } from "../../src/domain/presentity/view.ts"
import { get, values } from "../../src/domain/table.ts"
import { alice, publish } from "../support/builders.ts"
import { forEveryHistory, parameters } from "../support/history.ts"
import type { Moment, Run } from "../support/machine.ts"
import { closed, offlineLine, packages, text } from "../support/stub-package.ts"

const publicationsOf = (state: State, packageName: string): readonly Publication[] => {
  const found = get(state.publications, packageName)
  return found === undefined ? [] : [...values(found)]
}

const publishes = (run: Run) =>
  run.moments.flatMap((moment) =>
    moment.command._tag === "Publish" ? [{ ...moment, command: moment.command }] : [],
  )

const keeps = (packageName: string | null): boolean => packageName === "stub-kept"

describe("entity-tags", () => {
  it("no two successful PUBLISHes to one presentity return the same tag", { tags: ["L16"] }, () => {
    forEveryHistory((run) => {
      const minted = new Set<string>()
      for (const { command, answer, before } of publishes(run)) {
        if (answer._tag !== "Accepted" || answer.reply._tag !== "Published" || keeps(command.packageName))
          continue
        const name = `${before.presentity} ${answer.reply.entityTag}`
        ok(!minted.has(name), "used before")
        ok(/^[A-Za-z0-9\-.!%*_+`'~]+$/.test(answer.reply.entityTag), "a token")
        minted.add(name)
      }
    })
  })

  it(
    "a tag succeeds once, and is refused with 412 after its success, its expiry or its removal",
    { tags: ["L17"] },
    () => {
      forEveryHistory((run) => {
        const used = new Set<string>()
        for (const { command, answer, before, events } of run.moments) {
          if (command._tag === "Publish" && command.ifMatch.length === 1 && !keeps(command.packageName)) {
            const name = `${before.presentity} ${command.packageName} ${command.ifMatch[0]}`
            if (used.has(name)) {
              deepStrictEqual(answer, {
                _tag: "Rejected",
                rejection: { _tag: "ConditionalRequestFailed", status: 412 },
              })
            }
            if (answer._tag === "Accepted") used.add(name)
          }
          for (const event of events) {
            if (event._tag !== "PublicationRemoved") continue
            used.add(`${before.presentity} ${event.packageName} ${event.entityTag}`)
          }
        }
      })
    },
  )

  it("of many updates with one tag in one batch exactly one succeeds", { tags: ["L17"] }, () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 6 }), fc.array(fc.constantFrom(null, 0, 60)), (count, wishes) => {
        const log = makeMemoryLog()
        const engine = makeEngine<string>({ packages, limits: defaultLimits, authorize: allowEveryone })
        const answers: string[] = []
        let minted = 0
        const commit = (): void => {
          const batch = engine.takeBatch(100)
          if (batch === null) return
          for (const { answer } of engine.committed(log.append(batch.decisions).conflicts).release) {
            if (answer._tag === "Rejected") answers.push(`${answer.rejection.status}`)
            else if (answer.reply._tag === "Published") answers.push(answer.reply.entityTag)
          }
        }
        const offer = (command: ReturnType<typeof publish>): void => {
          engine.offer({ presentity: alice, command, origin: "", ticket: "" }, 1000, () => `n${minted++}`)
        }
        engine.load(log.load(alice))
        offer(publish({ body: text("a") }))
        commit()
        const [first] = answers.splice(0)
        for (let index = 0; index < count; index++) {
          offer(publish({ ifMatch: first!, expires: wishes[index] ?? null, body: text(`${index}`) }))
        }
        commit()
        deepStrictEqual(
          answers.slice(1),
          Array.from({ length: count - 1 }, () => "412"),
        )
        ok(answers[0] !== "412")
      }),
      parameters(),
    )
  })
})

describe("PUBLISH", () => {
  it("its answer and its effect are those of the table, whatever happened before", { tags: ["L18"] }, () => {
    forEveryHistory((run) => {
      for (const one of publishes(run)) deepStrictEqual(effectOf(one), expectedOf(run, one))
    })
  })

  type Asked = ReturnType<typeof publishes>[number]

  const effectOf = ({ answer, events }: Asked): string => {
    if (answer._tag === "Rejected") return `${answer.rejection.status}`
    const granted = answer.reply._tag === "Published" ? answer.reply.expires : "?"
    const changes = events.filter(({ _tag }) => _tag.startsWith("Publication")).map(({ _tag }) => _tag)
    return `${changes.length === 0 ? "nothing" : changes.join()} ${granted}`
  }

  const expectedOf = (run: Run, { command, before }: Asked): string => {
    const {
      minExpiresPublish: min,
      maxExpiresPublish: max,
      expiresOffset,
      publicationsMax,
    } = run.world.limits
    const { packageName, ifMatch, body } = command
    const eventPackage = packageName === null ? null : packages.find(packageName)
    if (eventPackage === null || eventPackage.accepts.length === 0) return "489"
    if (ifMatch.length > 1) return "400"
    const live = publicationsOf(before, eventPackage.name).some(({ entityTag }) => entityTag === ifMatch[0])
    if (ifMatch.length === 1 && !live) return "412"
    const wanted = command.expires ?? 3600
    if (wanted > 0 && wanted < min) return "423"
    const granted = Math.min(wanted, max)
    const announced = granted === 0 ? 0 : Math.max(1, granted - expiresOffset)
    if (live && granted === 0) return "PublicationRemoved 0"
    if (body === null) return live ? `PublicationRefreshed ${announced}` : "400"
    if (!eventPackage.accepts.includes(body.contentType)) return "415"
    if (body.text.startsWith("!") || body.text.includes("<tuple</")) return "400"
    if (live) return `PublicationModified ${announced}`
    if (granted === 0) return "nothing 0"
    if (publicationsOf(before, eventPackage.name).length >= publicationsMax) return "503"
    return `PublicationCreated ${announced}`
  }

  it("a refresh changes tag and deadline and nothing that anybody sees", { tags: ["L19"] }, () => {
    forEveryHistory((run) => {
      for (const { events, before, after, notifications } of publishes(run)) {
        const [event] = events
        if (event?._tag !== "PublicationRefreshed") continue
        deepStrictEqual([events.length, notifications.length], [1, 0])
        for (const name of packages.names()) {
          const eventPackage = packages.find(name)!
          deepStrictEqual(currentView(after, eventPackage), currentView(before, eventPackage))
        }
        const strip = (state: State, tag: string) =>
          publicationsOf(state, event.packageName)
            .filter(({ entityTag }) => entityTag === tag)
            .map(({ entityTag: _tag, expiresAt: _at, ...rest }) => rest)
        deepStrictEqual(strip(after, event.entityTag), strip(before, event.supersedes))
        deepStrictEqual(freeze(after).subscriptions, freeze(before).subscriptions)
      }
    })
  })

  it("publishing what is shown already tells nobody who knows it", { tags: ["L19"] }, () => {
    forEveryHistory((run) => {
      for (const { command, before, after, notifications } of publishes(run)) {
        const eventPackage = packages.find(command.packageName ?? "")
        if (
          eventPackage === null ||
          currentView(before, eventPackage).digest !== currentView(after, eventPackage).digest
        )
          continue
        for (const { no } of notifications) {
          ok(get(before.subscriptions, no)?.shown !== currentView(before, eventPackage).digest)
        }
      }
    })
  })

  it("touches only the publication it names, and no dialog", { tags: ["L20"] }, () => {
    forEveryHistory((run) => {
      for (const { command, before, after, events, notifications } of publishes(run)) {
        const touched = new Set(
          events.flatMap((event) =>
            "entityTag" in event ? [event.entityTag, "supersedes" in event ? event.supersedes : ""] : [],
          ),
        )
        for (const name of packages.names()) {
          const others = (state: State) =>
            publicationsOf(state, name)
              .filter(({ entityTag }) => !touched.has(entityTag) || name !== command.packageName)
              .sort((one, other) => one.createdIn - other.createdIn)
          deepStrictEqual(others(after), others(before))
        }
        // 3903-4-a
        if (notifications.length === 0) deepStrictEqual(freeze(after).dialogs, freeze(before).dialogs)
      }
    })
  })

  it(
    "its change is told to all whom it concerns and who may be told now, except to its sender",
    { tags: ["L20"] },
    () => {
      forEveryHistory((run) => {
        for (const one of publishes(run)) {
          const { command, before, after, events, at } = one
          const eventPackage = packages.find(command.packageName ?? "")
          if (eventPackage === null || !events.some(({ _tag }) => /Created|Modified|Removed/.test(_tag)))
            continue
          const view = currentView(after, eventPackage)
          const concerned = freeze(after).subscriptions.filter(
            ({ packageName, no }) =>
              packageName === eventPackage.name && get(before.subscriptions, no)?.status === "active",
          )
          const told: number[] = []
          const suppressed: number[] = []
          for (const { no } of concerned) {
            const was = get(before.subscriptions, no)!
            if (was.polite || was.dormant || was.shown === view.digest) continue
            const isSender = get(before.dialogs, was.dialog)?.remoteTarget === command.sender
            if (isSender) {
              if (was.shown === currentView(before, eventPackage).digest) suppressed.push(no)
            } else if (
              !one.context.inFlight(no) &&
              (was.dueAt === null || was.dueAt <= at) &&
              was.pacedAt + intervalOf(eventPackage, run.world.limits) <= at &&
              (was.rates?.max == null || (at - was.issuedAt) * was.rates.max >= 1000)
            ) {
              told.push(no)
            }
          }
          deepStrictEqual(
            one.notifications.map(({ no }) => no),
            told,
          )
          deepStrictEqual(
            events.flatMap((event) => (event._tag === "NotificationsIssued" ? event.suppressed : [])),
            suppressed,
          )
        }
      })
    },
  )
})

describe("what is shown", () => {
  it(
    "is a function of the live publications and their order, not of how they are stored",
    { tags: ["L21"] },
    () => {
      forEveryHistory((run) => {
        for (const state of run.states.values()) {
          const snapshot = freeze(state)
          const shuffled = thaw({
            ...snapshot,
            publications: snapshot.publications
              .map(([name, some]) => [name, some.toReversed()] as const)
              .toReversed(),
          })
          for (const name of packages.names()) {
            const eventPackage = packages.find(name)!
            deepStrictEqual(currentView(shuffled, eventPackage), currentView(state, eventPackage))
            const some = publicationsOf(state, name)
            if (some.length === 0)
              deepStrictEqual(currentView(state, eventPackage), absentView(state.presentity, eventPackage))
            if (some.length === 1 && name !== "presence") {
              deepStrictEqual(currentView(state, eventPackage).body?.text, some[0]?.body?.text)
            }
          }
        }
      })
    },
  )

  it(
    "stems from live publications, or is the closed form of one that ended in that very decision",
    { tags: ["L22"] },
    () => {
      forEveryHistory((run) => {
        for (const moment of run.moments) {
          for (const { no, packageName, body, state } of moment.notifications) {
            if (body === null) continue
            const one = get(moment.after.subscriptions, no) ?? get(moment.before.subscriptions, no)
            ok(state !== "pending", "a pending watcher is shown nothing")
            const isPolite = politeNow(moment, no) ?? one?.polite ?? false
            const live = isPolite ? [] : publicationsOf(moment.after, packageName)
            const ended = isPolite ? [] : endedIn(moment, packageName)
            if (packageName === "presence") {
              const ids = (texts: readonly string[]) =>
                new Set(
                  texts.flatMap((some) => [...some.matchAll(/<tuple id="([^"]+)"/g)].map(([, id]) => id)),
                )
              const known = ids([...live, ...ended].map((some) => some.body!.text))
              // what ended without a tuple leaves no closed form: the presentity is shown as if it published nothing
              if (live.length > 0 || known.size > 0) {
                for (const id of ids([body.text])) ok(known.has(id), `tuple ${id} is nobody's`)
              } else ok(!body.text.includes(">open<"))
              continue
            }
            const allowed = [
              ...live.flatMap((some) => some.body!.text.split("\n")),
              ...ended.flatMap((some) => some.body!.text.split("\n").map(closed)),
              ...(live.length === 0 ? [offlineLine] : []),
            ]
            for (const line of body.text.split("\n")) ok(allowed.includes(line), `${line} is nobody's`)
            // a package that shows everything leaves nothing out
            if (packageName === "stub-all" && live.length > 0) {
              const shown = body.text.split("\n").filter((line) => !line.startsWith("-"))
              deepStrictEqual(
                shown.toSorted(),
                live.flatMap((some) => some.body!.text.split("\n")).toSorted(),
              )
            }
          }
        }
      })
    },
  )

  /** As it is treated from this very decision on, which may also end it. */
  const politeNow = ({ events }: Moment, no: number): boolean | undefined =>
    events.flatMap((event) => ("polite" in event && event.no === no ? [event.polite] : [])).at(-1)

  const endedIn = ({ events, before }: Moment, packageName: string) =>
    events.flatMap((event) =>
      event._tag === "PublicationRemoved" && event.packageName === packageName
        ? publicationsOf(before, packageName).filter(({ entityTag }) => entityTag === event.entityTag)
        : [],
    )
})
