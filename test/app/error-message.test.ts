/**
 * What went wrong, in one line: what failed, and why.
 */
import assert from "node:assert/strict"
import { connect } from "node:net"
import { PgClient } from "@effect/sql-pg"
import { Cause, Effect, Redacted } from "effect"
import { describe, it } from "vitest"
import { errorMessage } from "../../src/app/error-message.ts"
import { fold } from "../../src/domain/presentity/evolve.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { StoreUnavailable } from "../../src/ports/event-store.ts"

const circular = new Error("a")
circular.cause = new Error("b", { cause: circular })

describe("the message of an error", { tags: ["OPS-clear-errors"] }, () => {
  it.for<readonly [string, unknown, string]>([
    ["alone", new Error("disk full"), "disk full"],
    ["with a cause", new Error("cannot write", { cause: new Error("disk full") }), "cannot write: disk full"],
    [
      "with a cause of a cause",
      new Error("no snapshot", { cause: new Error("cannot write", { cause: new Error("disk full") }) }),
      "no snapshot: cannot write: disk full",
    ],
    [
      "that says its cause already",
      new Error("cannot write: disk full", { cause: new Error("disk full") }),
      "cannot write: disk full",
    ],
    ["whose cause is a text", new Error("cannot write", { cause: "disk full" }), "cannot write: disk full"],
    ["of several lines", new Error("first\nsecond", { cause: new Error("third\nfourth") }), "first: third"],
    ["without a text", new RangeError(""), "RangeError"],
    ["without a text, with a cause", new Error("", { cause: new Error("disk full") }), "disk full"],
    ["of a store", new StoreUnavailable({ cause: new Error("disk full") }), "disk full"],
    ["of a store that is no error", new StoreUnavailable({ cause: "disk full" }), "disk full"],
    [
      "of a store, with a cause",
      new StoreUnavailable({ cause: new Error("cannot write", { cause: new Error("disk full") }) }),
      "cannot write: disk full",
    ],
    ["that is its own cause", circular, "a: b"],
    ["that is none", 7, "7"],
    ["that is none", undefined, "undefined"],
    ["of a fiber", Cause.fail(new Error("cannot", { cause: new Error("disk full") })), "cannot: disk full"],
  ])("%s", ([, error, text]) => {
    assert.equal(errorMessage(error), text)
  })

  it("of a decision that cannot be folded names place and reason once, and has the reason as its cause", () => {
    const event = { _tag: "PublicationRemoved", packageName: "presence", entityTag: "x", cause: "removed" }
    const decision = { version: 1, at: 0, events: [event as never] }
    assert.throws(
      () => fold(initial("sip:alice@example.com" as Uri), decision),
      (error: Error) => {
        assert.ok(error.cause instanceof Error)
        const place = "sip:alice@example.com version 1, event 1 of 1 (PublicationRemoved)"
        assert.equal(errorMessage(new StoreUnavailable({ cause: error })), `${place}: ${error.cause.message}`)
        return true
      },
    )
  })

  it("of a database that does not answer is that of the system", async () => {
    const url = Redacted.make("postgres://presently@127.0.0.1:1/presently")
    const failed = await Effect.runPromise(
      PgClient.PgClient.pipe(
        Effect.flatMap((sql) => sql`SELECT 1`),
        Effect.provide(PgClient.layer({ url })),
        Effect.flip,
      ),
    )
    assert.equal(errorMessage(failed), "connect ECONNREFUSED 127.0.0.1:1")
  })

  it("of a name none of whose addresses answers is that of the first", async () => {
    const socket = connect({
      host: "presence.invalid",
      port: 1,
      lookup: (_host, _options, found) =>
        found(null, [
          { address: "127.0.0.1", family: 4 },
          { address: "127.0.0.2", family: 4 },
        ]),
    })
    const error = await new Promise((resolve) => socket.on("error", resolve))
    assert.ok(error instanceof AggregateError)
    assert.equal(errorMessage(error), "connect ECONNREFUSED 127.0.0.1:1")
  })
})
