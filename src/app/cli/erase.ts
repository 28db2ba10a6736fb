/**
 * `presently erase`: forgets a person.
 */
import { Clock, Console, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { presentityOf } from "../addresses.ts"
import { UsageInvalid } from "../client/failures.ts"
import type { Erased } from "../erase/erase-store.ts"
import { accountName } from "./account.ts"
import { flag, storeConfig, storeFlags } from "./store-flags.ts"

export const eraseCommand = Command.make(
  "erase",
  {
    ...storeFlags,
    json: flag("json", "what was erased as one JSON object"),
    person: Argument.String("URI").pipe(Argument.withDescription("who: sip:alice@example.com")),
  },
  Effect.fn(function* ({ json, person: text, ...input }) {
    const config = yield* storeConfig(input)
    const person = presentityOf(text)
    if (person === null) {
      return yield* new UsageInvalid({ why: `${text} is no address: write it as sip:alice@example.com` })
    }
    const { eraseFromStore } = yield* Effect.promise(() => import("../erase/erase-store.ts"))
    const now = yield* Clock.currentTimeMillis
    const erased = yield* eraseFromStore(config, person, now, `erase ${accountName()}`)
    yield* Console.log(json ? JSON.stringify({ v: 1, ...erased }) : textOf(erased))
  }, Effect.scoped),
).pipe(
  Command.withDescription(
    "Forget a person: nothing of it is left in the database, the rest stays proved. The server must be stopped; there is no way back",
  ),
)

const textOf = ({ standIn, ended, mentions, mentionsLeft, left }: Erased): string => {
  const count = mentions.length + mentionsLeft
  return [
    `erased; the log says ${standIn} from now on, and ${ended} streams in which something was alive say that it ended`,
    ...(count === 0
      ? []
      : [`${count} documents of others name the person, and stay:`, ...mentions.map(mentionText)]),
    ...left.map((one) => `left to do: ${one}`),
    "backups, replicas and an archive of the write-ahead log are yours to erase",
  ].join("\n")
}

const mentionText = ({ stream, version }: Erased["mentions"][number]): string =>
  `  ${stream} version ${version}`
