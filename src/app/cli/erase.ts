/**
 * `presently erase`: erases a person, in a running server or, with the flags of its store, in the store of a stopped one.
 */
import { Clock, Console, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import type { Uri } from "../../domain/vocabulary.ts"
import { UsageInvalid } from "../client/failures.ts"
import type { Erased } from "../erase/erasure-steps.ts"
import { accountName } from "./account.ts"
import { adminFlags, askAdmin } from "./admin-call.ts"
import type { AdminInput } from "./admin-call.ts"
import { flag, isOfStore, storeConfig, storeFlags } from "./store-flags.ts"
import type { StoreFlags } from "./store-flags.ts"

export const eraseCommand = Command.make(
  "erase",
  {
    ...adminFlags,
    ...storeFlags,
    json: flag("json", "what was erased as one JSON object"),
    person: Argument.String("URI").pipe(Argument.withDescription("who: sip:alice@example.com")),
  },
  Effect.fn(function* ({ json, person: text, ...input }) {
    const { presentityOf } = yield* Effect.promise(() => import("../presentity-uri.ts"))
    const person = presentityOf(text)
    if (person === null) {
      return yield* new UsageInvalid({ why: `${text} is no address: write it as sip:alice@example.com` })
    }
    const erased = yield* isOfStore(input) ? fromStore(input, person) : fromServer(input, person)
    yield* Console.log(json ? JSON.stringify({ v: 1, ...erased }) : textOf(erased))
  }, Effect.scoped),
).pipe(
  Command.withDescription(
    "Forget a person: nothing of it is left in the database, the rest stays proved. There is no way back",
  ),
  Command.withExamples([
    { command: "presently erase sip:alice@example.com", description: "Asks a running server" },
    {
      command: "presently erase sip:alice@example.com --database-url postgres://…",
      description: "In the store of a server that is stopped",
    },
  ]),
)

const fromServer = (input: AdminInput, person: Uri) =>
  Effect.map(
    askAdmin(
      "POST",
      { ...input, mayBeStopped: true },
      `/v1/presentities/${encodeURIComponent(person)}/erase`,
      null,
    ),
    (body) => JSON.parse(body) as Erased,
  )

const fromStore = Effect.fnUntraced(function* (input: StoreFlags, person: Uri) {
  const config = yield* storeConfig(input)
  const { eraseFromStore } = yield* Effect.promise(() => import("../erase/erase-store.ts"))
  const now = yield* Clock.currentTimeMillis
  return yield* eraseFromStore(config, person, now, `erase ${accountName()}`)
})

const textOf = ({ standIn, ended, mentions, mentionsLeft, remains, left }: Erased): string => {
  const count = mentions.length + mentionsLeft
  return [
    `erased; the log says ${standIn} from now on, and ${ended === 1 ? "one presentity" : `${ended} presentities`} in which something was alive ${ended === 1 ? "says" : "say"} that it ended`,
    ...(count === 0
      ? []
      : [`${count} documents of others name the person, and stay:`, ...mentions.map(mentionText)]),
    ...(remains === null ? [] : [remainsText(remains)]),
    ...left.map((step) => `left to do: ${step}`),
    "backups, replicas and an archive of the write-ahead log are yours to erase",
  ].join("\n")
}

const remainsText = ({ decisions, from, to, position }: NonNullable<Erased["remains"]>): string =>
  `${decisions} decisions from ${dayOf(from)} to ${dayOf(to)}, up to position ${position}, were written before digests were encrypted, and stay: ` +
  "each holds a digest of what watchers were shown, or names the file that her rules came from, so whoever guesses a document that names her can tell " +
  "that it was that one; let them go with presently compact --set retention=DAYS"

const dayOf = (at: number): string => new Date(at).toISOString().slice(0, 10)

const mentionText = ({ stream, version }: Erased["mentions"][number]): string =>
  `  ${stream} version ${version}`
