/**
 * Random steps of a history: small universes with many collisions, durations at the edges, and names that mostly refer
 * to existing things. `resolve.ts` determines what each step means where it happens.
 */
import fc from "fast-check"
import type { DeliveryOutcome } from "../../src/domain/presentity/commands.ts"
import type { Body, Rates, SubHandling, Uri } from "../../src/domain/vocabulary.ts"
import { text } from "./stub-package.ts"

const uris = (...names: readonly string[]): readonly Uri[] => names.map((name) => name as Uri)

export const presentities = uris("sip:alice@example.com", "sip:bob@example.com")
/** One of them is also a presentity, one is of another domain. */
export const watchers = uris("sip:bob@example.com", "sip:carol@elsewhere.example", "sip:dave@example.com")

export type Step =
  | {
      readonly _tag: "Publish"
      readonly presentity: number
      readonly packageName: string | null
      readonly names: "nothing" | "live" | "superseded" | "gone" | "elsewhere" | "garbage" | "two"
      readonly which: number
      readonly body: "none" | "good" | "foreign" | "broken"
      readonly content: number
      readonly expires: number | null
      /** A watcher's device, or none. */
      readonly sender: number | null
    }
  | {
      readonly _tag: "Subscribe"
      readonly presentity: number
      readonly packageName: string | null
      readonly watcher: number
      readonly device: number
      readonly eventId: string | null
      readonly expires: number | null
      readonly accept: readonly string[] | null
      readonly routes: number
      readonly rates: Rates | null
      readonly suppresses: boolean
      readonly forceActive: boolean
    }
  | {
      readonly _tag: "Resubscribe"
      readonly names: "live" | "closed" | "garbage"
      readonly which: number
      /** A further subscription in the dialog instead of the existing one. */
      readonly further: { readonly packageName: string | null; readonly eventId: string | null } | null
      readonly cseq: "next" | "skip" | "equal" | "lower"
      readonly expires: number | null
      readonly device: number | null
      readonly rates: Rates | null
      /** The value of Suppress-If-Match: absent, `*`, the tag of the last document sent, or another one. */
      readonly condition: "none" | "any" | "last" | "other"
      readonly impostor: boolean
    }
  | { readonly _tag: "Report"; readonly which: number; readonly outcome: DeliveryOutcome }
  /** Every NOTIFY under way arrives. */
  | { readonly _tag: "Arrive" }
  | { readonly _tag: "Advance"; readonly by: number }
  /** To the nearest deadline, or this many milliseconds beside it. */
  | { readonly _tag: "Aim"; readonly beside: number }
  | { readonly _tag: "Treat"; readonly watcher: number; readonly handling: SubHandling }
  | { readonly _tag: "Redeliver"; readonly presentity: number; readonly ago: number }
  /** A presentity itself, or one of the watchers. */
  | {
      readonly _tag: "Erase"
      readonly presentity: number
      readonly watcher: number | null
      readonly silent: boolean
    }

const weighted = <T>(...choices: readonly (readonly [number, T])[]): fc.Arbitrary<T> =>
  fc.oneof(...choices.map(([weight, value]) => ({ weight, arbitrary: fc.constant(value) })))

const anyPackage = weighted<string | null>(
  [60, "stub"],
  [22, "stub-all"],
  [6, "stub-kept"],
  [8, "presence"],
  [2, "stub.winfo"],
  [1, "nonesuch"],
  [1, null],
)

const anyEventId = weighted<string | null>([80, null], [5, ""], [5, "1"], [5, "A"], [5, "a"])

/** The edges of 0, the minimum, the hour, the maximum and 32 bits, with many lifetimes that end within a history. */
export const anyExpires = weighted<number | null>(
  [12, null],
  [8, 0],
  [1, 1],
  [1, 4],
  [4, 5],
  [4, 6],
  [6, 10],
  [15, 60],
  [2, 3599],
  [40, 3600],
  [2, 3601],
  [2, 4294967295],
  [2, 4294967296],
)

const anyPublish: fc.Arbitrary<Step> = fc.record({
  _tag: fc.constant("Publish" as const),
  presentity: weighted([5, 0], [1, 1]),
  packageName: anyPackage,
  names: weighted<"nothing" | "live" | "superseded" | "gone" | "elsewhere" | "garbage" | "two">(
    [40, "nothing"],
    [60, "live"],
    [15, "superseded"],
    [10, "gone"],
    [10, "elsewhere"],
    [4, "garbage"],
    [3, "two"],
  ),
  which: fc.nat(7),
  body: weighted<"none" | "good" | "foreign" | "broken">(
    [25, "none"],
    [70, "good"],
    [4, "foreign"],
    [4, "broken"],
  ),
  content: fc.nat(4),
  expires: anyExpires,
  sender: weighted<number | null>([6, null], [1, 0], [1, 1], [1, 2]),
})

const noRates: Rates = { max: null, min: null, adaptiveMin: null }

/** Mostly none; otherwise on either side of the package's own interval, alone and combined. */
const anyRates = weighted<Rates | null>(
  [20, null],
  [1, { ...noRates, max: 0.01 }],
  [1, { ...noRates, max: 0.0001 }],
  [1, { ...noRates, max: 10 }],
  [1, { ...noRates, min: 0.05 }],
  [1, { max: 0.02, min: 0.5, adaptiveMin: null }],
  [1, { ...noRates, adaptiveMin: 0.05 }],
  [1, { max: 0.5, min: 0.01, adaptiveMin: 0.1 }],
)

const anySubscribe: fc.Arbitrary<Step> = fc.record({
  _tag: fc.constant("Subscribe" as const),
  presentity: weighted([5, 0], [1, 1]),
  packageName: anyPackage,
  watcher: fc.nat(2),
  device: fc.nat(1),
  eventId: anyEventId,
  expires: anyExpires,
  accept: weighted<readonly string[] | null>(
    [16, null],
    [2, ["*/*"]],
    [1, ["text/*", "application/pidf+xml"]],
    [1, ["image/png"]],
  ),
  routes: fc.nat(2),
  rates: anyRates,
  suppresses: weighted([15, false], [1, true]),
  forceActive: weighted([9, false], [1, true]),
})

const anyFurther = fc.record({ packageName: anyPackage, eventId: anyEventId })

const anyResubscribe: fc.Arbitrary<Step> = fc.record({
  _tag: fc.constant("Resubscribe" as const),
  names: weighted<"live" | "closed" | "garbage">([85, "live"], [10, "closed"], [5, "garbage"]),
  which: fc.nat(7),
  further: fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: anyFurther }),
  cseq: weighted<"next" | "skip" | "equal" | "lower">(
    [70, "next"],
    [10, "skip"],
    [10, "equal"],
    [10, "lower"],
  ),
  expires: anyExpires,
  device: weighted<number | null>([2, null], [1, 0], [1, 1]),
  rates: anyRates,
  condition: weighted<"none" | "any" | "last" | "other">([12, "none"], [2, "any"], [4, "last"], [1, "other"]),
  impostor: weighted([29, false], [1, true]),
})

export const anyOutcome: fc.Arbitrary<DeliveryOutcome> = fc.oneof(
  { weight: 12, arbitrary: fc.constant<DeliveryOutcome>({ _tag: "Accepted", remoteTarget: null }) },
  {
    weight: 1,
    arbitrary: fc.constant<DeliveryOutcome>({ _tag: "Accepted", remoteTarget: "sip:moved@192.0.2.99" }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      _tag: fc.constant("Refused" as const),
      status: fc.constantFrom(301, 401, 403, 404, 408, 480, 481, 500, 502, 503, 603, 604),
      retryAfter: weighted<number | null>([2, null], [1, 1], [1, 30]),
    }),
  },
  { weight: 2, arbitrary: fc.constant<DeliveryOutcome>({ _tag: "TimedOut" }) },
  { weight: 1, arbitrary: fc.constant<DeliveryOutcome>({ _tag: "Unreachable" }) },
  { weight: 1, arbitrary: fc.constant<DeliveryOutcome>({ _tag: "FlowLost" }) },
)

const anyTime: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: weighted(
      [2, 0],
      [4, 1],
      [4, 999],
      [6, 1000],
      [3, 4999],
      [6, 5000],
      [3, 5001],
      [1, 3_600_000],
      [1, 259_200_000],
    ).map((by): Step => ({ _tag: "Advance", by })),
  },
  {
    weight: 3,
    arbitrary: weighted([1, -1], [3, 0], [1, 1]).map((beside): Step => ({ _tag: "Aim", beside })),
  },
)

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 34, arbitrary: anyPublish },
  { weight: 14, arbitrary: anySubscribe },
  { weight: 14, arbitrary: anyResubscribe },
  {
    weight: 12,
    arbitrary: fc.record({ _tag: fc.constant("Report" as const), which: fc.nat(5), outcome: anyOutcome }),
  },
  { weight: 16, arbitrary: fc.constant<Step>({ _tag: "Arrive" }) },
  { weight: 18, arbitrary: anyTime },
  {
    weight: 4,
    arbitrary: fc.record({
      _tag: fc.constant("Treat" as const),
      watcher: fc.nat(2),
      handling: fc.constantFrom<SubHandling>("allow", "allow", "confirm", "polite-block", "block"),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      _tag: fc.constant("Redeliver" as const),
      presentity: fc.nat(1),
      ago: fc.constantFrom(0, 1000, 60_000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      _tag: fc.constant("Erase" as const),
      presentity: fc.nat(1),
      watcher: weighted<number | null>([1, null], [2, 0], [2, 1]),
      silent: weighted([4, false], [1, true]),
    }),
  },
)

export const anySteps: fc.Arbitrary<readonly Step[]> = fc.noBias(
  fc.array(anyStep, { maxLength: 40, size: "max" }),
)

// ── bodies: few, and the same objects each time, so that each is parsed once ──

const pidf = (inside: string): Body => ({
  contentType: "application/pidf+xml",
  text: `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:someone@example.com">${inside}</presence>`,
})
const tuple = (id: string, basic: string): string =>
  `<tuple id="${id}"><status><basic>${basic}</basic></status></tuple>`

const stubContents = [text("a"), text("b"), text("c\nd"), text("a"), text("e")]
const pidfContents = [
  pidf(tuple("t1", "open")),
  pidf(tuple("t1", "closed")),
  pidf(`${tuple("t1", "open")}${tuple("t2", "open")}`),
  pidf(tuple("t3", "open")),
  pidf(""),
]

export const bodyFor = (
  packageName: string | null,
  kind: "none" | "good" | "foreign" | "broken",
  content: number,
): Body | null => {
  const isPidf = packageName === "presence"
  switch (kind) {
    case "none":
      return null
    case "good":
      return (isPidf ? pidfContents : stubContents)[content] ?? null
    case "foreign":
      return { contentType: "image/png", text: "a" }
    case "broken":
      return isPidf ? pidf("<tuple") : text("!a")
  }
}
