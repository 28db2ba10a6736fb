/**
 * Who sent a request, on its way from the wire to the log, to those who ask about the past, and out of the log again.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { scopes, tokenLine } from "../../src/adapters/admin/tokens.ts"
import { asking } from "../support/admin.ts"
import type { Ask } from "../support/admin.ts"
import { filesWith } from "../support/files.ts"
import { postgresBinaries, startPostgres } from "../support/postgres.ts"
import { startPresence } from "../support/server.ts"
import type { PresenceServer } from "../support/server.ts"
import { answer, openPhone, pidf, script, tuple } from "../support/sip-client.ts"
import type { Headers, Phone, Script } from "../support/sip-client.ts"
import { fileOf, patient, runHere } from "./cli/command.ts"

const cluster = await startPostgres()
const folder = mkdtempSync(join(tmpdir(), "presently-requesters-"))
afterAll(() => {
  cluster?.remove()
  rmSync(folder, { recursive: true, force: true })
})

const alice = "sip:alice@example.com"
const document = pidf(tuple("phone", "open"))
const named = (user: string): Headers => ({
  "User-Agent": `phone-of-${user}/1.0`,
  Expires: "600",
})

interface Row {
  readonly version: number
  readonly cause: string
  readonly requester: object | null
  readonly request: string | null
  readonly text: string
}

interface Begun {
  readonly server: PresenceServer
  readonly phone: Phone
  readonly as: (scope: string) => Ask
  readonly url: string
  readonly stop: () => Promise<void>
}

const begin = async (
  context: TestContext,
  url: string,
  settings: Parameters<typeof startPresence>[0] = {},
): Promise<Begun> => {
  const lines = scopes.map((scope) => tokenLine(`the-${scope}`, scope, `secret-of-${scope}`))
  const server = await startPresence({
    memory: false,
    database_url: url,
    trusted_peers: ["127.0.0.1;identity=from;publishes_for=example.com"],
    policy: "open",
    keep_requester: "full",
    admin: "127.0.0.1:0",
    admin_tokens_file: fileOf(context, "tokens", `${lines.join("\n")}\n`),
    ...settings,
  })
  const phone = await openPhone(server, "udp")
  let isStopped = false
  const stop = async (): Promise<void> => {
    if (isStopped) return
    isStopped = true
    phone.close()
    await server.stop()
  }
  context.onTestFinished(stop)
  return {
    server,
    phone,
    url,
    stop,
    as: (scope) => asking(server.admin, { authorization: `Bearer secret-of-${scope}` }),
  }
}

const historyOf = async ({ as }: Begun, scope: string, causes = false): Promise<readonly Row[]> => {
  const answered = await as(scope)(
    "GET",
    `/v1/presentities/${encodeURIComponent(alice)}/history?causes=${causes}`,
  )
  assert.equal(answered.status, 200, answered.text)
  return (answered.json as { readonly items: readonly Row[] }).items
}

/** Alice publishes and refreshes, is watched by Bob, who refreshes, and Carol publishes for Alice. */
const live = async ({ phone, server }: Begun, other = "carol"): Promise<readonly Script[]> => {
  const hers = script(phone, { user: "alice" })
  let etag = (await hers.publish(named("alice"), document)).header("sip-etag")
  for (const _ of [1, 2]) {
    const refreshed = await hers.publish({ ...named("alice"), "SIP-If-Match": etag ?? "" })
    assert.equal(refreshed.raw.status, 200)
    etag = refreshed.header("sip-etag")
  }
  const his = script(phone, { user: "bob" })
  for (const _ of [1, 2, 3]) {
    assert.equal((await his.subscribe(named("bob"))).raw.status, 200)
    answer(phone, await his.notify())
  }
  const carols = script(phone, { user: other, presentity: alice })
  assert.equal((await carols.publish(named(other), pidf(tuple("desk", "closed")))).raw.status, 200)
  answer(phone, await his.notify())
  await server.settle!()
  return [hers, his, carols]
}

const rowsIn = (url: string, sql: string): readonly string[] =>
  execFileSync(join(postgresBinaries()!, "psql"), [url, "-Atc", sql], { encoding: "utf8" }).trim().split("\n")

describe.skipIf(cluster === null || !existsSync(join(postgresBinaries() ?? "", "psql")))(
  "who sent a request",
  () => {
    it(
      "stands in full in the first decision and is referred to by later ones, and history and why tell it",
      { ...patient, tags: ["T38"] },
      async (context) => {
        const begun = await begin(context, cluster!.database())
        await live(begun)
        const rows = await historyOf(begun, "admin", true)
        const asked = rows.filter(({ requester }) => requester !== null)
        const by = (user: string) => ({
          identity: `sip:${user}@example.com`,
          userAgent: `phone-of-${user}/1.0`,
        })
        assert.deepEqual(
          asked.map(({ cause, requester }) => [cause, requester]),
          [
            ["Publish", by("alice")],
            ["Publish", by("alice")],
            ["Publish", by("alice")],
            ["Subscribe", by("bob")],
            ["Resubscribe", by("bob")],
            ["Resubscribe", by("bob")],
            ["Publish", by("carol")],
          ],
        )
        // each request has a digest of its own
        assert.equal(new Set(asked.map(({ request }) => request)).size, asked.length)
        assert.include(asked.at(-1)!.text, "asserted sip:carol@example.com, User-Agent phone-of-carol/1.0")
        const why = await begun.as("admin")(
          "GET",
          `/v1/presentities/${encodeURIComponent(alice)}/why?watcher=${encodeURIComponent("sip:bob@example.com")}`,
        )
        assert.include(why.text, "asserted sip:carol@example.com")
        assert.deepEqual((why.json as { change: { requester: object } }).change.requester, by("carol"))
        await begun.stop()
        const written = rowsIn(
          begun.url,
          "SELECT cause, events->'a'->0 FROM events WHERE cause IN ('Publish', 'Subscribe', 'Resubscribe') ORDER BY pos",
        )
        assert.deepEqual(
          written.map((row) => row.replace(/"0?@"/, "full")),
          [
            "Publish|full",
            "Publish|1",
            "Publish|1",
            "Subscribe|full",
            `Resubscribe|${asked[3]!.version}`,
            `Resubscribe|${asked[3]!.version}`,
            "Publish|full",
          ],
        )
      },
    )

    it(
      "is no business of a token that only reads",
      { ...patient, tags: ["T38", "OPS-tokens"] },
      async (context) => {
        const begun = await begin(context, cluster!.database())
        await live(begun)
        const told = async (scope: string): Promise<boolean> => {
          const rows = await historyOf(begun, scope, true)
          const why = await begun.as(scope)(
            "GET",
            `/v1/presentities/${encodeURIComponent(alice)}/why?watcher=${encodeURIComponent("sip:bob@example.com")}`,
          )
          const text = JSON.stringify(rows) + why.text
          assert.equal(text.includes("carol@example.com"), text.includes("phone-of-carol"))
          return text.includes("phone-of-carol")
        }
        assert.deepEqual(
          [await told("documents"), await told("operate"), await told("admin")],
          [false, true, true],
        )
      },
    )

    it(
      "a refresh takes 400 octets of log at most, with all of it",
      { ...patient, tags: ["T38"] },
      async (context) => {
        const begun = await begin(context, cluster!.database())
        await live(begun)
        await begun.stop()
        const sizes = rowsIn(
          begun.url,
          "SELECT max(pg_column_size(e.*)) FROM events e WHERE (cause = 'Publish' AND events::text LIKE '%[[1,%') OR cause = 'Resubscribe' GROUP BY cause ORDER BY cause",
        )
        assert.equal(sizes.length, 2)
        for (const size of sizes) assert.isAtMost(Number(size), 400)
      },
    )

    it(
      "goes with the person whose it is, and nothing else does",
      { ...patient, tags: ["T38", "CLI"] },
      async (context) => {
        const url = cluster!.database()
        const begun = await begin(context, url)
        const scripts = await live(begun, "zerlinde")
        await begun.stop()
        const place = ["--database-url", url]
        const erased = await runHere(["erase", "sip:zerlinde@example.com", ...place])
        assert.equal(erased.code, 0, erased.stderr)
        assert.deepEqual(filesWith(cluster!.data, ["zerlinde", scripts[2]!.callId]), [])
        const verified = await runHere(["verify", ...place, "--from-start"])
        assert.equal(verified.code, 0, verified.stdout + verified.stderr)
        const text = (await runHere(["history", alice, "--causes", ...place])).stdout
        assert.include(text, "phone-of-alice")
        assert.include(text, "phone-of-bob")
        const file = join(folder, "anonymous.case")
        const exported = await runHere(["export", "--case", file, "--anonymize", ...place, alice])
        assert.equal(exported.code, 0, exported.stderr)
        const words = readFileSync(file, "utf8")
        assert.notMatch(words, /phone-of|alice@|bob@/)
        const lines = words
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line) as { readonly about?: { readonly by?: unknown } })
        assert.isTrue(lines.some(({ about }) => typeof about?.by === "object"))
        assert.isTrue(lines.some(({ about }) => typeof about?.by === "number"))
      },
    )

    it(
      "is kept as far as the setting says",
      { ...patient, tags: ["T38", "OPS-keep_requester"] },
      async (context) => {
        for (const [setting, expected] of [
          ["none", [null, null]],
          ["identity", [{ identity: "sip:carol@example.com" }, "string"]],
          ["full", [{ identity: "sip:carol@example.com", userAgent: "phone-of-carol/1.0" }, "string"]],
        ] as const) {
          const begun = await begin(context, cluster!.database(), { keep_requester: setting })
          const carols = script(begun.phone, { user: "carol", presentity: alice })
          assert.equal((await carols.publish(named("carol"), document)).raw.status, 200)
          await begun.server.settle!()
          const [row] = await historyOf(begun, "admin")
          const { requester, request } = row!
          assert.deepEqual<unknown>([requester, request === null ? null : typeof request], expected)
          await begun.stop()
        }
      },
    )
  },
)
