/**
 * Hard state of a running server: over the management port, and from the table of an XCAP server.
 */
import assert from "node:assert/strict"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { afterAll, describe, it } from "vitest"
import { holds } from "../../support/condition.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { openScene, phoneOpen } from "../../support/scene.ts"
import { pause, pidf, tuple } from "../../support/sip-client.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const onHoliday = pidf(tuple("desk", "closed", "on holiday"))
const place = "v1/presentities/sip%3Aalice%40example.com/hard-state"

describe("hard state over the management port", () => {
  it(
    "is shown while nothing is published, and can be read, replaced and removed",
    { tags: ["4827-3-a", "4827-9-a", "AGG-4"] },
    async (context) => {
      const { server, another, publish } = await openScene(context, { admin: "127.0.0.1:0" })
      const ask = async (method: string, body?: string, query = ""): Promise<readonly [number, string]> => {
        const response = await fetch(`${server.admin}/${place}${query}`, {
          method,
          ...(body === undefined ? {} : { body }),
        })
        return [response.status, await response.text()]
      }
      const bob = await another("bob")
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active", body: null })
      assert.equal((await ask("GET"))[0], 404)
      assert.deepEqual(await ask("PUT", onHoliday), [204, ""])
      await bob.notified({ state: "active", body: onHoliday })
      assert.deepEqual(await ask("GET"), [200, onHoliday])

      const [status, why] = await ask("PUT", "<presence")
      assert.equal(status, 409)
      assert.match(why, /"detail":"[^"]+"/)
      assert.equal((await ask("PUT", onHoliday, "?event=weather"))[0], 409)
      assert.equal((await ask("DELETE", undefined, "?event=presence.winfo"))[0], 409)
      const nobody = await fetch(`${server.admin}/v1/presentities/%25/hard-state`)
      assert.equal(nobody.status, 400)
      await nobody.text()
      await bob.phone.hearsNothing()

      await publish(phoneOpen)
      const both = await bob.notified({ state: "active" })
      assert.match(both.raw.body.toString("utf8"), /id="desk"[\s\S]*id="phone"/)
      assert.deepEqual(await ask("DELETE"), [204, ""])
      await bob.notified({ state: "active", body: phoneOpen })
    },
  )
})

describe.skipIf(cluster === null)("hard state in the table xcap", () => {
  it(
    "read at start and followed, beside the rules, and kept over a restart",
    { tags: ["OPS-pidf_manipulation", "AGG-4", "4827-3-a"] },
    async (context) => {
      const url = cluster!.database()
      const settings = {
        memory: false,
        database_url: url,
        integrated_xcap_server: true,
        policy: "open",
        xcap_poll_interval: 1,
      }
      const run = (
        statement: (sql: PgClient.PgClient) => Effect.Effect<unknown, unknown>,
      ): Promise<unknown> =>
        Effect.runPromise(
          PgClient.PgClient.pipe(
            Effect.flatMap(statement),
            Effect.provide(PgClient.layer({ url: Redacted.make(url) })),
          ),
        )
      const following = await openScene(context, { ...settings, pidf_manipulation: true })
      const shown = async (scene: typeof following): Promise<string> => {
        const call = await scene.another("bob")
        await call.subscribe({ Expires: "0" })
        return (await call.notify()).raw.body.toString("utf8")
      }
      const eventually = async (pattern: RegExp, scene = following): Promise<void> => {
        let text = ""
        await holds(
          () => `${pattern}, still ${text}`,
          async () => pattern.test((text = await shown(scene))),
        )
      }
      assert.equal(await shown(following), "")
      await run(
        (sql) => sql`INSERT INTO xcap (username, domain, doc, doc_type, etag, source, doc_uri, port)
        VALUES ('alice', 'example.com', convert_to(${onHoliday}, 'UTF8'), 16, 'e', 0, 'index', 0)`,
      )
      await eventually(/on holiday/)
      const changed = onHoliday.replace("on holiday", "away")
      await run((sql) => sql`UPDATE xcap SET doc = convert_to(${changed}, 'UTF8')`)
      await eventually(/away/)
      await run((sql) => sql`UPDATE xcap SET doc = convert_to('<presence', 'UTF8')`)
      await pause(1500)
      await eventually(/away/)
      // it is in the log: another start has it without asking the table
      await following.server.stop()
      const asked = await openScene(context, settings)
      assert.match(await shown(asked), /away/)
      await asked.server.stop()
      const again = await openScene(context, { ...settings, pidf_manipulation: true })
      await run((sql) => sql`DELETE FROM xcap`)
      await eventually(/^$/, again)
    },
  )
})
