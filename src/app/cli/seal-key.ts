/**
 * `presently seal-key`: makes the key pair for seals.
 */
import { Console, Data, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { writeSealKey } from "../config/signing-key.ts"
import { exitCodes } from "../exit-codes.ts"

class KeyNotWritten extends Data.TaggedError("KeyNotWritten")<{ readonly why: string }> {
  readonly exitCode = exitCodes.io
  override get message(): string {
    return `no key was written: ${this.why}`
  }
}

export const sealKey = Command.make(
  "seal-key",
  {
    file: Argument.String("FILE").pipe(
      Argument.withDescription("where the private key goes; the public one goes to FILE.pub"),
    ),
  },
  Effect.fn(function* ({ file }) {
    const publicFile = yield* Effect.try({
      try: () => writeSealKey(file),
      catch: (cause) => new KeyNotWritten({ why: cause instanceof Error ? cause.message : String(cause) }),
    })
    yield* Console.log(
      `${file}: the private key, for --set seal_key=${file}; whoever has it can sign as this server\n` +
        `${publicFile}: the public key, for presently verify --public-key; keep a copy where the database's users cannot write`,
    )
  }),
).pipe(
  Command.withDescription("Make the keys that the server signs its log with"),
  Command.withExamples([{ command: "presently seal-key /etc/presently/seal.pem" }]),
)
