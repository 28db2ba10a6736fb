/**
 * `presently history|at|seen|why|diff`: the past, asked of a running server or, with the flags of its store, read from the log
 * itself; `presently watchers|presentities`: the present.
 */
import { Console, Data, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { clockOf } from "../../explain/history/time.ts"
import type { HistoryQueries } from "../../ports/history-queries.ts"
import { exitCodes } from "../exit-codes.ts"
import { adminFlags, askAdmin, isNamed, liveFlags } from "./admin-call.ts"
import type { AdminInput } from "./admin-call.ts"
import { isForDevFolder, placeConfig } from "./log-place.ts"
import { flag, isOfStore, storeFlags } from "./store-flags.ts"
import type { StoreFlags } from "./store-flags.ts"

const text = (name: string, metavar: string, about: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(about), Flag.optional)

const presentity = Argument.String("URI").pipe(
  Argument.withDescription("the presentity, for example sip:alice@example.com"),
)

/** Other streams that have a history. */
const stream = Argument.String("URI").pipe(
  Argument.withDescription(
    "the presentity, for example sip:alice@example.com; or presently:retention, presently:sharing-tags",
  ),
)

const instants = "now, 15m (ago), 14:05:12, 2026-11-23T14:05:12Z"

const shared = {
  ...adminFlags,
  ...storeFlags,
  json: flag("json", "JSON Lines"),
  utc: flag("utc", "times in UTC instead of this machine's zone"),
}

type Shared = AdminInput & StoreFlags & { readonly json: boolean; readonly utc: boolean }

const span = {
  event: text("event", "PACKAGE", "only of this event package"),
  since: text("since", "TIME", `from then on: ${instants}`),
  until: text("until", "TIME", "up to then"),
  limit: Flag.Int("limit").pipe(Flag.withDefault(50), Flag.withDescription("so many, the newest")),
  before: Flag.Int("before").pipe(
    Flag.withMetavar("VERSION"),
    Flag.withDescription("only before this version: pages further back"),
    Flag.optional,
  ),
}

/** The command succeeded and found something. */
class Finding extends Data.TaggedError("Finding")<{ readonly why: string }> {
  readonly exitCode = exitCodes.finding
  override get message(): string {
    return this.why
  }
}

export const history = Command.make(
  "history",
  {
    ...shared,
    ...span,
    type: text(
      "type",
      "KIND",
      "only decisions with such events: PublicationCreated, NotificationFailed …, commas between",
    ),
    causes: flag("causes", "who asked, what it follows from, whom it was told to and by which rules"),
    follow: flag("follow", "go on with what is decided from now on"),
    presentity: stream,
  },
  Effect.fn(function* ({ presentity: uri, causes, follow, ...input }) {
    const wish = { ...spanOf(input), ...given("type", input.type), ...(causes ? { causes } : {}) }
    yield* asking(input, "history", (desk) =>
      Effect.gen(function* () {
        let page = yield* desk("history", uri, wish)
        yield* printItems(page, input.json)
        if (page.next !== null && !input.json && !follow)
          yield* Console.error(`older ones: --before ${String(page.next)}`)
        let last = lastVersion(page, 0)
        while (follow) {
          yield* Effect.sleep("1 second")
          page = yield* desk("history", uri, { ...wish, after: last, limit: 1000 })
          yield* printItems(page, input.json)
          last = lastVersion(page, last)
        }
      }),
    )
  }),
).pipe(
  Command.withDescription("What was decided about a presentity, and who was told, newest last"),
  Command.withExamples([
    { command: "presently history sip:alice@example.com" },
    {
      command: "presently history sip:alice@example.com --since 14:00 --causes",
      description: "With what led to what",
    },
  ]),
)

export const at = Command.make(
  "at",
  { ...shared, presentity, time: Argument.String("TIME").pipe(Argument.withDescription(instants)) },
  Effect.fn(function* ({ presentity: uri, time, ...input }) {
    yield* asking(input, "at", (desk) =>
      Effect.flatMap(desk("at", uri, { time, ...zoneOf(input) }), (answer) => printOne(answer, input.json)),
    )
  }),
).pipe(Command.withDescription("A presentity as it was: publications, documents, rules, watchers"))

export const seen = Command.make(
  "seen",
  {
    ...shared,
    ...span,
    body: flag("body", "with the documents"),
    watcher: Argument.String("WATCHER").pipe(
      Argument.withDescription("who watched, for example sip:bob@example.com"),
    ),
    presentity,
  },
  Effect.fn(function* ({ presentity: uri, watcher, body, ...input }) {
    yield* asking(input, "seen", (desk) =>
      Effect.gen(function* () {
        const page = yield* desk("seen", uri, { ...spanOf(input), watcher, ...(body ? { body } : {}) })
        yield* printItems(page, input.json)
        if (page.next !== null && !input.json)
          yield* Console.error(`older ones: --before ${String(page.next)}`)
      }),
    )
  }),
).pipe(Command.withDescription("What a watcher was sent: exactly, when, and whether it was answered"))

export const why = Command.make(
  "why",
  {
    ...shared,
    presentity,
    watcher: Flag.String("watcher").pipe(
      Flag.withMetavar("URI"),
      Flag.withDescription("who watches, or should"),
    ),
    at: text("at", "TIME", `explain the last change until then; default now: ${instants}`),
    event: text("event", "PACKAGE", "of this event package; default: what it watches, else presence"),
    position: Flag.Int("position").pipe(
      Flag.withDescription("explain the change at this position of the log"),
      Flag.optional,
    ),
  },
  Effect.fn(function* ({ presentity: uri, watcher, ...input }) {
    yield* asking(input, "why", (desk) =>
      Effect.gen(function* () {
        const answer = yield* desk("why", uri, {
          watcher,
          ...zoneOf(input),
          ...given("at", input.at),
          ...given("event", input.event),
          ...Option.match(input.position, { onNone: () => ({}), onSome: (position) => ({ position }) }),
        })
        yield* printOne(answer, input.json)
        if (answer.change === null && answer.treatment == null)
          return yield* new Finding({ why: "there is no change to explain" })
      }),
    )
  }),
).pipe(
  Command.withDescription("Why a watcher was told of a change, or was not, and what to try"),
  Command.withExamples([
    { command: "presently why sip:alice@example.com --watcher sip:bob@example.com --at 14:05" },
  ]),
)

export const diff = Command.make(
  "diff",
  {
    ...shared,
    presentity,
    from: Argument.String("TIME").pipe(Argument.withDescription(instants)),
    to: Argument.String("TIME2").pipe(Argument.withDescription("a later one")),
  },
  Effect.fn(function* ({ presentity: uri, from, to, ...input }) {
    yield* asking(input, "diff", (desk) =>
      Effect.gen(function* () {
        const answer = yield* desk("diff", uri, { from, to, ...zoneOf(input) })
        const count = answer.differences?.length ?? 0
        if (count > 0 || input.json) yield* printOne(answer, input.json)
        if (count > 0)
          return yield* new Finding({ why: `${count} ${count === 1 ? "difference" : "differences"}` })
      }),
    )
  }),
).pipe(Command.withDescription("What is different between two instants; exit code 1 when anything is"))

/** The interface behind the answers, whether a server or the log gives them. */
interface Answer {
  readonly v: 1
  readonly text: string
  readonly items?: readonly { readonly version?: number; readonly text: string }[]
  readonly next?: number | null
  readonly change?: unknown
  readonly treatment?: unknown
  readonly differences?: readonly unknown[]
}

type Wish = Readonly<Record<string, string | number | boolean | undefined>>
type Ask = (kind: keyof HistoryQueries, uri: string, wish: Wish) => Effect.Effect<Answer, unknown>

/** Asks a running server, or reads the log when the flags say where it is. */
const asking = <A>(input: Shared, command: string, use: (ask: Ask) => Effect.Effect<A, unknown>) => {
  const overAdmin = use((kind, uri, wish) => overHttp(input, uri, kind, wish))
  if (!isOfStore(input) && isNamed(input.admin)) return overAdmin
  return Effect.scoped(
    Effect.gen(function* () {
      if (!isOfStore(input) && !(yield* isForDevFolder(input))) return yield* overAdmin
      const config = yield* placeConfig(input)
      const { openHistory } = yield* Effect.promise(() => import("../operations/stored-history.ts"))
      const desk = yield* openHistory(config, command)
      return yield* use((kind, uri, wish) =>
        (desk[kind] as (uri: string, wish: Wish) => Effect.Effect<Answer, { readonly why: string }>)(
          uri,
          wish,
        ).pipe(Effect.mapError(({ why }) => new Refusal({ why }))),
      )
    }),
  )
}

class Refusal extends Data.TaggedError("Refusal")<{ readonly why: string }> {
  readonly exitCode = exitCodes.refused
  override get message(): string {
    return this.why
  }
}

const overHttp = (input: AdminInput, uri: string, kind: string, wish: Wish) => {
  const query = new URLSearchParams(
    Object.entries(wish).flatMap(([name, value]): [string, string][] =>
      value === undefined ? [] : [[name, String(value)]],
    ),
  )
  const path = `/v1/presentities/${encodeURIComponent(uri)}/${kind}?${query.toString()}`
  return Effect.map(askAdmin("GET", input, path, null), (body) => JSON.parse(body) as Answer)
}

const given = (name: string, value: Option.Option<string>): Wish =>
  Option.match(value, { onNone: () => ({}), onSome: (given) => ({ [name]: given }) })

const zoneOf = ({ utc }: { readonly utc: boolean }): Wish => ({
  tz: utc ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone,
})

const spanOf = (
  input: Shared & {
    readonly event: Option.Option<string>
    readonly since: Option.Option<string>
    readonly until: Option.Option<string>
    readonly limit: number
    readonly before: Option.Option<number>
  },
): Wish => ({
  ...zoneOf(input),
  ...given("event", input.event),
  ...given("since", input.since),
  ...given("until", input.until),
  limit: input.limit,
  ...Option.match(input.before, { onNone: () => ({}), onSome: (before) => ({ before }) }),
})

const lastVersion = ({ items = [] }: Answer, before: number): number => items.at(-1)?.version ?? before

const printItems = ({ v, items = [] }: Answer, json: boolean) =>
  Effect.forEach(
    items,
    ({ text: line, ...item }) => Console.log(json ? JSON.stringify({ v, ...item }) : line),
    { discard: true },
  )

const printOne = ({ text: whole, ...answer }: Answer, json: boolean) =>
  Console.log(json ? JSON.stringify(answer) : whole)

// ── the present ──

interface WatchingRow {
  readonly presentity: string
  readonly watcher: string
  readonly event: string
  readonly status: string
  readonly since: number
  readonly expires: number
  readonly local_cseq?: number
  readonly contact?: string
  readonly is_current?: boolean
  readonly told?: number
  readonly held_until?: number
  readonly private?: true
}

const live = { ...liveFlags, json: shared.json, utc: shared.utc }
type Live = AdminInput & { readonly json: boolean; readonly utc: boolean }

export const watchers = Command.make(
  "watchers",
  { ...live, event: span.event, presentity },
  Effect.fn(function* ({ presentity: uri, event, ...input }) {
    const query = Option.match(event, {
      onNone: () => "",
      onSome: (name) => `?event=${encodeURIComponent(name)}`,
    })
    const path = `/v1/presentities/${encodeURIComponent(uri)}/watchers${query}`
    const { items } = JSON.parse(yield* askAdmin("GET", input, path, null)) as {
      items: readonly WatchingRow[]
    }
    yield* printWatchers(items, input)
  }),
).pipe(Command.withDescription("Who watches now, and whether each has been sent what is shown"))

export const presentities = Command.make(
  "presentities",
  {
    ...live,
    stale: flag("stale", "only watchers that have not been sent what is shown now"),
    pending: flag("pending", "only watchers that nobody has decided on"),
  },
  Effect.fn(function* ({ stale, pending, ...input }) {
    if (!stale && !pending) {
      for (let cursor = ""; ;) {
        const path = `/v1/presentities?limit=1000${cursor}`
        const page = JSON.parse(yield* askAdmin("GET", input, path, null)) as Page<{
          readonly pres_uri: string
          readonly event: string
          readonly etag: string
          readonly expires: number
        }>
        yield* Effect.forEach(
          page.items,
          ({ pres_uri, event, etag, expires }) =>
            Console.log(
              input.json
                ? JSON.stringify({ v: 1, presentity: pres_uri, event, etag, expires })
                : `${pres_uri}  ${event}  etag ${etag}  until ${clock(input)(expires * 1000)}`,
            ),
          { discard: true },
        )
        if (page.next === null) return
        cursor = `&cursor=${encodeURIComponent(page.next)}`
      }
    }
    for (const state of [...(stale ? ["stale"] : []), ...(pending ? ["pending", "waiting"] : [])]) {
      for (let cursor = ""; ;) {
        const path = `/v1/watchers?state=${state}&limit=1000${cursor}`
        const page = JSON.parse(yield* askAdmin("GET", input, path, null)) as Page<WatchingRow>
        yield* printWatchers(page.items, input)
        if (page.next === null) break
        cursor = `&cursor=${encodeURIComponent(page.next)}`
      }
    }
  }),
).pipe(Command.withDescription("What is published now; with --stale or --pending: watchers to look at"))

interface Page<Row> {
  readonly items: readonly Row[]
  readonly next: string | null
}

const printWatchers = (rows: readonly WatchingRow[], input: Live) =>
  Effect.forEach(
    rows,
    (row) => Console.log(input.json ? JSON.stringify({ v: 1, ...row }) : watcherLine(row, clock(input))),
    { discard: true },
  )

const watcherLine = (row: WatchingRow, time: (at: number) => string): string =>
  [
    ...(row.presentity === undefined ? [] : [row.presentity]),
    row.watcher,
    row.event,
    row.status,
    ...(row.private === true ? ["not named to others"] : []),
    `since ${time(row.since * 1000)}`,
    `until ${time(row.expires * 1000)}`,
    ...(row.local_cseq === undefined ? [] : [`CSeq ${row.local_cseq}`]),
    ...(row.is_current === undefined ? [] : [row.is_current ? "up to date" : "NOT up to date"]),
    ...(row.held_until === undefined ? [] : [`held back until ${time(row.held_until * 1000)}`]),
    ...(row.contact === undefined ? [] : [row.contact]),
  ].join("  ")

const clock = ({ utc }: Live): ((at: number) => string) => {
  const format = clockOf(utc ? "UTC" : Intl.DateTimeFormat().resolvedOptions().timeZone)
  return (seconds) => format(seconds).slice(0, 19)
}
