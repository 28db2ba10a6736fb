/**
 * The real `presence` package with rules and watcher information, small documents for both, and NOTIFYs in short.
 */
import { xmlCodec } from "../../src/adapters/xml/codec.ts"
import type { Packages } from "../../src/domain/packages/event-package.ts"
import { presence } from "../../src/domain/packages/pidf.ts"
import { makeRegistry } from "../../src/domain/packages/registry.ts"
import { watcherInfo } from "../../src/domain/packages/watcher-info.ts"
import type { Answer, Command } from "../../src/domain/presentity/commands.ts"
import { askTheRules } from "../../src/domain/presentity/context.ts"
import type { Notify } from "../../src/domain/presentity/intents.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { Body, SubHandling, Uri } from "../../src/domain/vocabulary.ts"
import { alice, dialogOf, publish, resubscribe, subscribe } from "./builders.ts"
import { standing } from "./given.ts"
import { everything, handling, rule, ruleset } from "./rules-builders.ts"
import { watcherList } from "./watcher-info-reader.ts"

export const makeRuledPackages = (): Packages =>
  makeRegistry([presence({ xml: xmlCodec, rules: {} })], (packageName) =>
    watcherInfo(packageName, { xml: xmlCodec }),
  )

export const ruledPackages = makeRuledPackages()

/** No requests yet; only the rules decide. */
export const ruledWorld = standing(initial(alice), { packages: ruledPackages, authorize: askTheRules })

// ── rules ──

/** A rule for one watcher, or, if that is null, for everyone. */
export interface SmallRule {
  readonly who: Uri | null
  readonly treat: SubHandling
  /** The tuples shown; absent: everything. */
  readonly tuples?: readonly string[]
  readonly sphere?: string
  readonly from?: number
  readonly until?: number
}

export const rulesText = (rules: readonly SmallRule[]): string =>
  ruleset(
    rules
      .map(({ who, treat, tuples, sphere, from, until }, index) => {
        const identity =
          who === null ? "<identity><many/></identity>" : `<identity><one id="${who}"/></identity>`
        const place = sphere === undefined ? "" : `<sphere value="${sphere}"/>`
        const time =
          from === undefined || until === undefined
            ? ""
            : `<validity><from>${new Date(from).toISOString()}</from><until>${new Date(until).toISOString()}</until></validity>`
        const shown =
          tuples === undefined
            ? everything
            : `<pr:provide-services>${tuples.map((id) => `<pr:occurrence-id>${id}</pr:occurrence-id>`).join("")}</pr:provide-services>`
        return rule(`r${index}`, identity + place + time, handling(treat), shown)
      })
      .join(""),
  )

export const rulesBody = (rules: readonly SmallRule[]): Body => ({
  contentType: "application/auth-policy+xml",
  text: rulesText(rules),
})

export const replaceRules = (...rules: readonly SmallRule[]): Command => ({
  _tag: "ReplaceRules",
  packageName: "presence",
  rules: rulesBody(rules),
})

export const removeRules: Command = { _tag: "ReplaceRules", packageName: "presence", rules: null }

// ── documents ──

/** `pidf("t1=open", "t2=closed", "@work")`: tuples, and a person in a sphere. */
export const pidf = (...parts: readonly string[]): Body => ({
  contentType: "application/pidf+xml",
  text:
    '<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" ' +
    'xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:alice@example.com">' +
    parts
      .filter((part) => !part.startsWith("@"))
      .map((part) => {
        const [id, basic] = part.split("=")
        return `<tuple id="${id}"><status><basic>${basic}</basic></status></tuple>`
      })
      .join("") +
    parts
      .filter((part) => part.startsWith("@"))
      .map((part) => `<dm:person id="p"><rpid:sphere>${part.slice(1)}</rpid:sphere></dm:person>`)
      .join("") +
    "</presence>",
})

export const publishPidf = (...parts: readonly string[]): Command =>
  publish({ packageName: "presence", body: pidf(...parts) })

export const watch = (dialog: number, watcher: Uri, over: Parameters<typeof subscribe>[0] = {}): Command =>
  subscribe({ packageName: "presence", watcher, dialog: dialogOf(dialog), ...over })

export const watchAgain = (
  dialog: number,
  watcher: Uri,
  over: Parameters<typeof resubscribe>[1] = {},
): Command => resubscribe(dialog, { packageName: "presence", watcher, ...over })

// ── NOTIFYs ──

/** `5/2 terminated;rejected -`: subscription, CSeq, state and reason, then what the body says. */
export const brief = (notify: Notify): string =>
  `${notify.no}/${notify.cseq} ${notify.state}${notify.reason === null ? "" : `;${notify.reason}`} ${bodyInShort(notify.body)}`

/** `t1=open t2=closed @work`, `full 0 w3 bob active/subscribe, …`, `-` for none. */
export const bodyInShort = (body: Body | null): string => {
  if (body === null) return "-"
  const list = watcherList(body)
  if (list !== null) {
    const entries = list.entries.map(
      ({ id, uri, status, event }) => `${id} ${uri.slice(4).split("@")[0]} ${status}/${event}`,
    )
    return [`${list.isFull ? "full" : "partial"} ${list.version}`, entries.join(", ")]
      .filter((part) => part !== "")
      .join(": ")
  }
  const tuples = [...body.text.matchAll(/<tuple id="([^"]*)">.*?<basic>(\w+)<\/basic>/gs)]
  const spheres = [...body.text.matchAll(/sphere>(\w+)</g)]
  return [
    ...tuples.map(([, id, basic]) => `${id}=${basic}`),
    ...spheres.map(([, sphere]) => `@${sphere}`),
  ].join(" ")
}

// ── sentences ──

type Standing = typeof ruledWorld
type Done = ReturnType<Standing["when"]>
export type Timed = readonly [when: number, command: Command]

/** Runs one step after the other, and returns the outcome of the last. */
export const story = (world: Standing, ...steps: readonly [Timed, ...Timed[]]): Done => {
  const [[when, command], ...rest] = steps
  let outcome = world.when(command, when)
  for (const [later, next] of rest) outcome = outcome.and().when(next, later)
  return outcome
}

/** `200`, `202`, `403`, or `-` if no response is expected. */
export const statusOf = (answer: Answer): string =>
  answer._tag === "Rejected"
    ? `${answer.rejection.status}`
    : answer.reply._tag === "Subscribed"
      ? `${answer.reply.status}`
      : answer.reply._tag === "Published"
        ? "200"
        : "-"
