/**
 * Whoever is erased cannot be named again by guessing: digests of likely addresses and documents are in no file of the database and in
 * nothing that it says. `npm run test:dictionary` guesses 200,000 persons.
 */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import type { Layer } from "effect"
import { afterAll, describe, it } from "vitest"
import { layerEmbedded } from "../../../src/adapters/store/layers.ts"
import { newProgramName } from "../../../src/adapters/store/postgres/connections.ts"
import { makeLogAdmin } from "../../../src/adapters/store/postgres/log-admin.ts"
import { compact } from "../../../src/app/retention/compact.ts"
import type { PackageName } from "../../../src/domain/vocabulary.ts"
import { digestsOf, likelyAddresses, likelyDocuments, makeHaystack } from "../../support/dictionary.ts"
import type { Haystack } from "../../support/dictionary.ts"
import { postgresBinaries, startPostgres } from "../../support/postgres.ts"
import { everything, handling, rule, ruleFor, ruleset } from "../../support/rules-builders.ts"
import { startPresence } from "../../support/server.ts"
import { answer, openPhone, pause, script } from "../../support/sip-client.ts"
import type { Phone } from "../../support/sip-client.ts"
import { run } from "./command.ts"

const guesses = Number(process.env["PRESENTLY_TEST_GUESSES"] ?? 2000)
const patient = { timeout: 120_000 + guesses * 20 }
const domain = "example.com"
const person = `sip:alice.winterbourne@${domain}`
const user = "alice.winterbourne"

const cluster = await startPostgres(false)
const folder = mkdtempSync(join(tmpdir(), "presently-dictionary-"))
afterAll(() => {
  cluster?.remove()
  rmSync(folder, { recursive: true, force: true })
})

const write = (address: string, basic: string): string =>
  `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${address}"><tuple id="t1"><status><basic>${basic}</basic></status></tuple></presence>`

const rules = ruleset(ruleFor(`sip:bob@${domain}`, "allow") + ruleFor(`sip:carol@${domain}`, "polite-block"))
/** What others say of her is theirs and stays: these name nobody. */
const rulesOfBob = ruleset(
  rule("all", `<identity><many domain="${domain}"/></identity>`, handling("allow"), everything),
)

/** Somebody publishes one thing and another, is watched, and watches; with rules, headers and parameters of a media type. */
const lived = async (phone: Phone): Promise<void> => {
  // until rules are in force, nobody is let in
  while (
    (await script(phone, { user: "bob", presentity: person }).subscribe({ Expires: "0" })).raw.status !== 200
  ) {
    await pause(50)
  }
  const bob = script(phone, { user: "bob", presentity: person })
  const carol = script(phone, { user: "carol", presentity: person })
  for (const one of [bob, carol]) {
    assert.equal((await one.subscribe({ Expires: "600" })).raw.status, 200)
    answer(phone, await one.notify())
  }
  const device = script(phone, { user, presentity: person })
  const state = { Expires: "600", "Content-Type": "application/pidf+xml;charset=utf-8" }
  let published = await device.publish(state, write(person, "open"))
  assert.equal(published.raw.status, 200)
  answer(phone, await bob.notify())
  for (const basic of ["closed", "open"]) {
    const tag = published.header("sip-etag")!
    published = await device.publish({ ...state, "SIP-If-Match": tag }, write(person, basic))
    answer(phone, await bob.notify())
  }
  assert.equal((await bob.subscribe({ Expires: "900" })).raw.status, 200)
  answer(phone, await bob.notify())
  const line = script(phone, { user, presentity: person })
  const seized = await line.publish({
    Event: "call-info",
    Expires: "600",
    "Call-Info": `<${person}>;appearance-index=1;appearance-state=seized`,
  })
  assert.equal(seized.raw.status, 200)
  const shared = script(phone, { user: "bob", presentity: person })
  assert.equal((await shared.subscribe({ Event: "call-info", Accept: null, Expires: "600" })).raw.status, 200)
  answer(phone, await shared.notify())
  const watching = script(phone, { user, presentity: `sip:bob@${domain}` })
  assert.equal((await watching.subscribe({ Expires: "600" })).raw.status, 200)
  answer(phone, await watching.notify())
}

const filesIn = (place: string): readonly Buffer[] =>
  readdirSync(place, { recursive: true, withFileTypes: true }).flatMap((entry) => {
    if (!entry.isFile()) return []
    try {
      return [readFileSync(join(entry.parentPath, entry.name))]
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "ENOENT") return []
      throw cause
    }
  })

/** Every row of every table as text, and what the planner knows of them: what files may hold compressed. */
const saidBy = (database: Layer.Layer<PgClient.PgClient, unknown>): Promise<Buffer> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      const tables = yield* sql<{ name: string }>`
        SELECT quote_ident(relname) AS name FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`
      const said: string[] = []
      for (const name of [...tables.map((one) => one.name), "pg_catalog.pg_stats"]) {
        const rows = yield* sql.unsafe<{ row: string }>(`SELECT t::text AS row FROM ${name} t`)
        said.push(...rows.map(({ row }) => row))
      }
      return Buffer.from(said.join("\n"))
    }).pipe(Effect.provide(database)) as Effect.Effect<Buffer>,
  )

const guessedIn = (haystack: Haystack, addresses: readonly string[]): readonly string[] => {
  const found: string[] = []
  for (const address of addresses) {
    for (const { name, octets } of digestsOf(address, likelyDocuments(address, write)))
      if (haystack.has(octets)) found.push(`${address}: ${name}`)
  }
  return found
}

// the npm package of PostgreSQL has no pg_dump
describe.skipIf(!existsSync(join(postgresBinaries() ?? "", "pg_dump")))("erase against a dictionary", () => {
  for (const store of ["PostgreSQL", "embedded"] as const) {
    it(
      `before, guessing names the person; after, in no file of ${store} and in nothing it says`,
      { ...patient, tags: ["T38"] },
      async () => {
        const url = store === "PostgreSQL" ? cluster!.database() : null
        const data = url === null ? join(folder, "data") : null
        const place = url === null ? ["--data", data!] : ["--database-url", url]
        const files = url === null ? data! : cluster!.data
        const database: Layer.Layer<PgClient.PgClient, unknown> =
          url === null
            ? layerEmbedded(data, { application: newProgramName("test") })
            : PgClient.layer({ url: Redacted.make(url), maxConnections: 1, applicationName: "test" })
        const rulesFolder = join(folder, `rules-${store}`)
        mkdirSync(rulesFolder)
        writeFileSync(join(rulesFolder, `${user}@${domain}.xml`), rules)
        writeFileSync(join(rulesFolder, `bob@${domain}.xml`), rulesOfBob)
        const server = await startPresence({
          memory: false,
          database_url: url,
          data,
          rules_dir: rulesFolder,
        })
        const phone = await openPhone(server, "udp")
        try {
          await lived(phone)
        } finally {
          phone.close()
          await server.stop()
        }
        if (url !== null) {
          // documents are gone from the log, and digests of them are there
          const work = Effect.flatMap(PgClient.PgClient, (sql) =>
            compact(
              makeLogAdmin(sql),
              {
                days: 0,
                documents: new Map([
                  ["presence" as PackageName, 1],
                  ["call-info" as PackageName, 1],
                ]),
              },
              Date.now() + 3 * 86_400_000,
              { by: "test", key: null },
            ).pipe(Effect.andThen(sql.unsafe("ANALYZE"))),
          )
          await Effect.runPromise(Effect.provide(work, database) as Effect.Effect<unknown>)
        }
        const before = makeHaystack([...filesIn(files), await saidBy(database)])
        const known = guessedIn(before, likelyAddresses(60, domain, [person]))
        assert.ok(known.length > 0 && known.every((one) => one.startsWith(person)), known.join("\n"))

        const erased = await run(["erase", person, ...place, "--json"])
        assert.equal(erased.code, 0, erased.stderr)
        const { remains, left } = JSON.parse(erased.stdout) as { remains: unknown; left: unknown }
        assert.deepEqual({ remains, left }, { remains: null, left: [] })
        const dump = url === null ? [] : [execFileSync(join(postgresBinaries()!, "pg_dump"), [url])]
        const after = makeHaystack([...filesIn(files), await saidBy(database), ...dump])
        assert.ok(after.octets > 1_000_000)
        for (const word of [person, user, "winterbourne"]) assert.equal(after.has(Buffer.from(word)), false)
        assert.deepEqual(guessedIn(after, likelyAddresses(guesses, domain, [person])), [])
        const verified = await run(["verify", ...place, "--from-start"])
        assert.equal(verified.code, 0, verified.stdout + verified.stderr)
      },
    )
  }
})
