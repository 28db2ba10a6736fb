/**
 * Handlers whose code is loaded when their command runs, so that other commands load only its flags.
 */
import { Effect } from "effect"

/** @param load imports the handler, for example `async () => (await import("./run/watch.ts")).watch` */
export const onDemand =
  <Input, E, R>(load: () => Promise<(input: Input) => Effect.Effect<void, E, R>>) =>
  (input: Input): Effect.Effect<void, E, R> =>
    Effect.flatMap(Effect.promise(load), (run) => run(input))
