/**
 * The management port: who may do what, how refusals look, what it says of itself, and the resources no command has.
 */
import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Validator } from "@seriousme/openapi-schema-validator"
import { Effect, Redacted } from "effect"
import fc from "fast-check"
import { afterAll, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { scopes, tokenLine } from "../../../src/adapters/admin/tokens.ts"
import { asking } from "../../support/admin.ts"
import type { Ask } from "../../support/admin.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { ruleFor, ruleset } from "../../support/rules-builders.ts"
import { openScene, phoneOpen } from "../../support/scene.ts"
import type { SceneSettings } from "../../support/scene.ts"
import { startPresence } from "../../support/server.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const alice = "sip%3Aalice%40example.com"
const bob = "sip%3Abob%40example.com"

const fileOf = ({ onTestFinished }: TestContext, text: string): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-tokens-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, "tokens")
  writeFileSync(file, text)
  return file
}

interface OpenApiDocument {
  readonly openapi: string
  readonly info: { readonly version: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly summary?: string }>>>>
}

const withTokens = async (context: TestContext, settings: SceneSettings = {}) => {
  const lines = scopes.map((scope) => tokenLine(`the-${scope}`, scope, `secret-of-${scope}`))
  const scene = await openScene(context, {
    admin: "127.0.0.1:0",
    admin_tokens_file: fileOf(context, `# tokens\n${lines.join("\n")}\n`),
    ...settings,
  })
  return {
    ...scene,
    as: (scope: string): Ask => asking(scene.server.admin, { authorization: `Bearer secret-of-${scope}` }),
  }
}

describe("who may do what", () => {
  it(
    "without a token that is known, nothing; probes and metrics alone are open",
    { tags: ["OPS-tokens", "T30"] },
    async (context) => {
      const { server } = await withTokens(context)
      const { paths } = (await asking(server.admin)("GET", "/openapi.json")).json as OpenApiDocument
      for (const authorization of [null, "Bearer ", "Bearer wrong", "Basic c2VjcmV0", "secret-of-admin"]) {
        const ask = asking(server.admin, authorization === null ? {} : { authorization })
        for (const [path, methods] of Object.entries(paths)) {
          for (const method of Object.keys(methods)) {
            const answer = await ask(method.toUpperCase(), path.replaceAll(/\{[^}]+\}/g, "x"))
            const { status, code, detail } = answer.json as Record<string, unknown>
            assert.deepEqual(
              [answer.status, status, code, detail],
              [401, 401, "no-token", "send Authorization: Bearer TOKEN with a token this server knows"],
              `${method} ${path}`,
            )
            assert.equal(answer.header("content-type"), "application/problem+json")
          }
        }
      }
      for (const probe of ["/live", "/ready", "/startup", "/metrics"]) {
        assert.equal((await asking(server.admin)("GET", probe)).status, 200)
      }
    },
  )

  it(
    "only an admin has somebody forgotten; what is kept in memory is forgotten with the server",
    { tags: ["T38"] },
    async (context) => {
      const { as } = await withTokens(context)
      for (const scope of ["read", "operate"]) {
        const { status, json } = await as(scope)("POST", `/v1/presentities/${alice}/erase`)
        assert.deepEqual([status, (json as { code: string }).code], [403, "not-allowed"])
      }
      for (const [person, ...refusal] of [
        [alice, 409, "conflict", "what is kept in memory is forgotten with the server"],
        ["alice", 400, "invalid", "alice is no presentity URI: write sip:alice@example.com"],
      ]) {
        const { status, json } = await as("admin")("POST", `/v1/presentities/${person}/erase`)
        const { code, detail } = json as { code: string; detail: string }
        assert.deepEqual([status, code, detail], refusal)
      }
    },
  )

  it(
    "a scope includes the smaller ones, and a larger one is asked for by name",
    { tags: ["OPS-tokens", "T30"] },
    async (context) => {
      const { as, server } = await withTokens(context)
      const rules = ruleset(ruleFor("sip:bob@example.com", "allow"))
      const asked: readonly (readonly [needs: string, method: string, path: string, body?: unknown])[] = [
        ["read", "GET", "/v1/presentities"],
        ["read", "GET", "/v1/subscriptions"],
        ["read", "GET", "/v1/sharing-tags"],
        ["read", "GET", "/v1/webhooks"],
        ["read", "GET", "/v1/log-level"],
        ["read", "GET", "/status"],
        ["read", "POST", `/v1/presentities/${alice}/rules/test?watcher=${bob}`, rules],
        ["operate", "PUT", `/v1/presentities/${alice}/rules`, rules],
        ["operate", "PUT", `/v1/presentities/${alice}/hard-state`, phoneOpen],
        ["documents", "GET", `/v1/presentities/${alice}`],
        ["documents", "GET", `/v1/presentities/${alice}/rules`],
        ["documents", "GET", `/v1/presentities/${alice}/hard-state`],
        ["documents", "GET", `/v1/presentities/${alice}/history`],
        ["documents", "GET", `/v1/presentities/${alice}/at?time=now`],
        ["documents", "GET", `/v1/presentities/${alice}/diff?from=1m&to=now`],
        ["documents", "GET", `/v1/presentities/${alice}/seen?watcher=${bob}`],
        ["documents", "GET", `/v1/presentities/${alice}/why?watcher=${bob}`],
        ["operate", "POST", "/v1/publications", { presentity: "sip:alice@example.com", body: phoneOpen }],
        ["operate", "POST", `/v1/presentities/${alice}/refresh`, {}],
        ["operate", "POST", `/v1/presentities/${alice}/terminate`, {}],
        ["operate", "PUT", `/v1/presentities/${alice}/watchers/${bob}/decision`, { handling: "allow" }],
        ["operate", "POST", "/v1/maintenance/cleanup"],
        ["admin", "PUT", "/v1/log-level", { level: "debug" }],
        ["admin", "POST", "/v1/reload"],
        ["admin", "PUT", "/v1/sharing-tags/vip", { state: "active" }],
      ]
      const stream = async (scope: string): Promise<number> => {
        const ended = new AbortController()
        const { status } = await fetch(`${server.admin}/v1/events`, {
          headers: { authorization: `Bearer secret-of-${scope}` },
          signal: ended.signal,
        })
        ended.abort()
        return status
      }
      assert.deepEqual([await stream("read"), await stream("documents")], [403, 200])
      for (const [needs, method, path, body] of asked) {
        for (const scope of scopes) {
          const answer = await as(scope)(method, path, body)
          if (scopes.indexOf(scope) >= scopes.indexOf(needs as (typeof scopes)[number])) {
            assert.ok(answer.status < 300, `${scope} ${method} ${path}: ${answer.status} ${answer.text}`)
          } else {
            const { detail, code } = answer.json as Record<string, unknown>
            assert.deepEqual(
              [answer.status, code, detail],
              [403, "not-allowed", `needs a token of scope ${needs}; the-${scope} has ${scope}`],
              `${method} ${path}`,
            )
          }
        }
      }
      for (const [needs, method, params] of [
        ["read", "pres_phtable_list", []],
        ["read", "subs_phtable_list", []],
        ["read", "pres_list_sharing_tags", []],
        ["operate", "cleanup", []],
        ["operate", "refreshWatchers", ["sip:alice@example.com", "presence", 0]],
        ["operate", "pres_expose", ["presence"]],
        ["admin", "pres_set_sharing_tag_active", ["vip"]],
      ] as const) {
        for (const scope of scopes) {
          const { json } = await as(scope)("POST", "/mi", { jsonrpc: "2.0", id: 1, method, params })
          const { error } = json as { error?: { code: number; message: string } }
          if (scopes.indexOf(scope) >= scopes.indexOf(needs)) assert.equal(error, undefined)
          else {
            assert.equal(error?.code, 403)
            assert.match(
              error.message,
              new RegExp(`^${method} needs a token of scope ${needs}; .* the-${scope} has ${scope}$`),
            )
          }
        }
      }
    },
  )

  it.skipIf(cluster === null)(
    "what a caller did stands in the log with his name",
    { tags: ["OPS-tokens"] },
    async (context) => {
      const database_url = cluster!.database()
      const { as } = await withTokens(context, { memory: false, database_url })
      const wish = { presentity: "sip:alice@example.com", body: phoneOpen }
      assert.equal((await as("operate")("POST", "/v1/publications", wish)).status, 200)
      const origins = await Effect.runPromise(
        Effect.flatMap(PgClient.PgClient, (sql) => sql<{ origin: string }>`SELECT origin FROM events`).pipe(
          Effect.provide(PgClient.layer({ url: Redacted.make(database_url) })),
        ),
      )
      assert.deepEqual(
        origins.map(({ origin }) => origin),
        ["management port 127.0.0.1 the-operate"],
      )
    },
  )

  it(
    "without tokens it answers programs that ask by address, not pages of somebody else in a browser",
    { tags: ["T30"] },
    async (context) => {
      const { server } = await openScene(context, { admin: "127.0.0.1:0" })
      const { port } = new URL(server.admin ?? "")
      const asked = (headers: Record<string, string>, method = "GET") =>
        new Promise<number>((resolve, reject) => {
          request({ host: "127.0.0.1", port, path: "/v1/presentities", method, headers }, (response) => {
            response.resume()
            resolve(response.statusCode ?? 0)
          })
            .on("error", reject)
            .end()
        })
      assert.deepEqual(
        await Promise.all([
          asked({}),
          asked({ host: `localhost:${port}` }),
          asked({ host: `rebound.example.net:${port}` }),
          asked({ origin: "https://evil.example" }),
          asked({ origin: "null" }),
          asked({ origin: `http://127.0.0.1:${port}` }),
        ]),
        [200, 200, 403, 403, 403, 200],
      )
    },
  )

  it(
    "a file of tokens that cannot be used ends the start, and says why",
    { tags: ["F8"] },
    async (context) => {
      const digest = "0".repeat(64)
      for (const [text, why] of [
        ["", " = FILE: there is no token in it; make one with `presently token NAME`"],
        [
          "ops:operate",
          " FILE:1: expected NAME:read|documents|operate|admin:SHA256, as `presently token` writes it",
        ],
        [
          `ops:root:${digest}\n`,
          " FILE:1: expected NAME:read|documents|operate|admin:SHA256, as `presently token` writes it",
        ],
        [`a:read:${digest}\n\na:read:${digest}`, " FILE:3: a has a line already: leave one of the two out"],
      ] as const) {
        const file = fileOf(context, text)
        const failed = await startPresence({ admin: "127.0.0.1:0", admin_tokens_file: file }).then(
          () => assert.fail("it started"),
          (cause: unknown) => cause as { readonly faults?: readonly string[] },
        )
        assert.deepEqual(failed.faults, [`admin_tokens_file${why.replace("FILE", file)}`])
      }
      const open = await startPresence({ admin: "0.0.0.0:0" }).then(
        () => assert.fail("it started"),
        (cause: unknown) => cause as { readonly faults?: readonly string[] },
      )
      assert.match(
        open.faults?.[0] ?? "",
        /^admin = 0\.0\.0\.0:0 \(default\): the management port without tokens is for loopback/,
      )
    },
  )
})

describe("what it says of itself", () => {
  it(
    "an OpenAPI 3.1 document that a validator accepts, with a summary for every resource",
    { tags: ["OPS-openapi"] },
    async (context) => {
      const { server } = await openScene(context, { admin: "127.0.0.1:0" })
      const document = (await asking(server.admin)("GET", "/openapi.json")).json as OpenApiDocument
      const { valid, errors } = await new Validator().validate(structuredClone(document) as never)
      assert.deepEqual([valid, errors], [true, undefined])
      assert.match(document.openapi, /^3\.1\./)
      assert.match(document.info.version, /^\d+\.\d+\.\d+/)
      assert.ok(Object.keys(document.paths).length >= 20)
      for (const [path, methods] of Object.entries(document.paths)) {
        for (const [method, { summary }] of Object.entries(methods)) {
          assert.ok(summary !== undefined && summary !== "", `${method} ${path}`)
        }
      }
    },
  )

  it(
    "every refusal is a problem (RFC 9457), whatever is asked",
    { tags: ["OPS-openapi"] },
    async (context) => {
      const { server } = await openScene(context, { admin: "127.0.0.1:0" })
      const ask = asking(server.admin)
      for (const [method, path, body, status, detail] of [
        [
          "GET",
          "/nothing/here",
          undefined,
          404,
          "GET /nothing/here: no such resource; /openapi.json names them all",
        ],
        [
          "PATCH",
          "/v1/presentities",
          {},
          404,
          "PATCH /v1/presentities: no such resource; /openapi.json names them all",
        ],
        [
          "GET",
          "/v1/presentities?limit=0",
          undefined,
          400,
          "query.limit: Expected a value between 1 and 1000",
        ],
        [
          "GET",
          "/v1/presentities?cursor=*",
          undefined,
          400,
          "cursor = *: expected `next` of the page before",
        ],
        [
          "GET",
          "/v1/presentities/%25",
          undefined,
          400,
          "% is no presentity URI: write sip:alice@example.com",
        ],
        ["GET", `/v1/presentities/${alice}`, undefined, 404, "nothing is known of sip:alice@example.com"],
        [
          "GET",
          `/v1/presentities/${alice}/rules`,
          undefined,
          404,
          "sip:alice@example.com has no rules for presence",
        ],
        ["PUT", `/v1/presentities/${alice}/rules`, "<ruleset", 409, /./],
        ["POST", `/v1/presentities/${alice}/refresh`, "[", 400, /^body: .*JSON/],
        ["POST", `/v1/presentities/${alice}/refresh`, { event: "weather" }, 404, "unknown event weather"],
        ["PUT", `/v1/presentities/${alice}/watchers/${bob}/decision`, {}, 400, "body.handling: Missing key"],
        [
          "PUT",
          `/v1/presentities/${alice}/watchers/${bob}/decision`,
          { handling: "maybe" },
          400,
          'body.handling: Expected "block" | "confirm" | "polite-block" | "allow"',
        ],
        ["POST", "/v1/publications", { body: phoneOpen }, 400, "body.presentity: Missing key"],
        [
          "POST",
          "/v1/publications",
          { presentity: "alice", body: phoneOpen },
          400,
          "alice is no presentity URI: write sip:alice@example.com",
        ],
        [
          "POST",
          "/v1/publications",
          { presentity: "sip:alice@example.com", entityTag: "nobodys" },
          412,
          "no live publication has that entity-tag",
        ],
        ["PUT", "/v1/sharing-tags/a%20b", { state: "active" }, 400, /^tag = a b: expected/],
        ["PUT", "/v1/sharing-tags/a", { state: "on" }, 400, 'body.state: Expected "active" | "backup"'],
        ["PUT", "/v1/log-level", { level: "loud" }, 400, /^body\.level: Expected "error"/],
        [
          "PUT",
          `/v1/presentities/${alice}/rules`,
          "x".repeat(1_100_000),
          413,
          "expected a body of at most 1 MiB",
        ],
        ["POST", "/mi", "x".repeat(1_100_000), 413, "expected a body of at most 1 MiB"],
      ] as const) {
        const answer = await ask(method, path, body)
        const problem = answer.json as Record<string, unknown>
        const named = `${method} ${path}`
        assert.equal(answer.status, status, `${named}: ${answer.text}`)
        assert.equal(problem["status"], status, named)
        assert.match(String(problem["type"]), /^urn:presently:/, named)
        assert.match(String(problem["code"]), /^[a-z-]+$/, named)
        assert.ok(String(problem["title"]).length > 0, named)
        if (typeof detail === "string") assert.equal(problem["detail"], detail, named)
        else assert.match(String(problem["detail"]), detail, named)
        assert.equal(answer.header("content-type"), "application/problem+json", named)
      }
    },
  )

  it("no body whatever makes it answer 5xx", { tags: ["T30"] }, async (context) => {
    const { server } = await openScene(context, { admin: "127.0.0.1:0" })
    const ask = asking(server.admin)
    const { paths } = (await ask("GET", "/openapi.json")).json as OpenApiDocument
    const places = Object.entries(paths)
      .filter(([path]) => path !== "/v1/events")
      .flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => [method.toUpperCase(), path] as const),
      )
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...places),
        fc.oneof(fc.json(), fc.string(), fc.constant(phoneOpen)),
        fc.oneof(fc.webSegment(), fc.constant(alice)),
        async ([method, path], body, segment) => {
          const target = path.replaceAll(/\{[^}]+\}/g, segment === "" ? "x" : segment)
          const { status } = await ask(method, target, method === "GET" ? undefined : body)
          assert.ok(status < 500, `${method} ${target} ${body}: ${status}`)
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe("resources", () => {
  it(
    "a watcher is approved or denied whatever the rules say, until the decision is taken back",
    { tags: ["OPS-decide", "AUT-1"] },
    async (context) => {
      const { server, another, publish } = await openScene(context, { admin: "127.0.0.1:0", policy: "rules" })
      const ask = asking(server.admin)
      const place = `/v1/presentities/${alice}/watchers`
      await publish()
      const phone = await another("bob")
      await phone.subscribe({ Expires: "600" })
      await phone.notified({ state: "pending" })
      const watchers = async () =>
        ((await ask("GET", place)).json as { items: Record<string, unknown>[] }).items.map(
          ({ watcher, status }) => `${String(watcher)} ${String(status)}`,
        )
      assert.deepEqual(await watchers(), ["sip:bob@example.com pending"])
      assert.equal((await ask("PUT", `${place}/${bob}/decision`, { handling: "allow" })).status, 204)
      await phone.notified({ state: "active", body: phoneOpen })
      assert.deepEqual(await watchers(), ["sip:bob@example.com active"])
      const { decisions } = (await ask("GET", `/v1/presentities/${alice}`)).json as { decisions: unknown[] }
      assert.deepEqual(decisions, [{ event: "presence", watcher: "sip:bob@example.com", handling: "allow" }])
      assert.equal((await ask("DELETE", `${place}/${bob}/decision`)).status, 204)
      await phone.notified({ state: "pending" })
      assert.equal((await ask("PUT", `${place}/${bob}/decision`, { handling: "block" })).status, 204)
      await phone.notified({ state: "terminated;reason=rejected" })
    },
  )

  it(
    "ends the subscriptions of one watcher, or of all, with the reason given",
    { tags: ["OPS-terminate"] },
    async (context) => {
      const { server, another } = await openScene(context, { admin: "127.0.0.1:0" })
      const ask = asking(server.admin)
      const [one, other] = [await another("bob"), await another("carol")]
      for (const phone of [one, other]) {
        await phone.subscribe({ Expires: "600" })
        await phone.notified({ state: "active" })
      }
      const place = `/v1/presentities/${alice}/terminate`
      assert.equal((await ask("POST", place, { watcher: "sip:bob@example.com" })).status, 204)
      await one.notified({ state: "terminated;reason=deactivated" })
      await other.phone.hearsNothing()
      assert.equal((await ask("POST", place, { reason: "noresource" })).status, 204)
      await other.notified({ state: "terminated;reason=noresource" })
    },
  )

  it(
    "publishes, modifies, refreshes and removes as PUBLISH does, and watchers are told",
    { tags: ["OPS-publish", "3903-4-a"] },
    async (context) => {
      const { server, another } = await openScene(context, { admin: "127.0.0.1:0" })
      const ask = asking(server.admin)
      const phone = await another("bob")
      await phone.subscribe({ Expires: "600" })
      await phone.notified({ state: "active", body: null })
      const wish = { presentity: "sip:alice@example.com" }
      const first = (await ask("POST", "/v1/publications", { ...wish, body: phoneOpen })).json as {
        entityTag: string
        expires: number
      }
      assert.equal(first.expires, 3600)
      await phone.notified({ state: "active", body: phoneOpen })
      const refreshed = await ask("POST", "/v1/publications", {
        ...wish,
        entityTag: first.entityTag,
        expires: 60,
      })
      assert.equal((refreshed.json as { expires: number }).expires, 60)
      assert.equal(
        (await ask("POST", "/v1/publications", { ...wish, entityTag: first.entityTag })).status,
        412,
      )
      const { entityTag } = refreshed.json as { entityTag: string }
      const place = `/v1/publications/${entityTag}?presentity=${alice}`
      assert.equal((await ask("DELETE", place)).status, 204)
      await phone.notified({ state: "active" })
      assert.equal((await ask("DELETE", place)).status, 412)
    },
  )

  it(
    "a document is replaced only when it is still the one that was read",
    { tags: ["OPS-rules", "XCAP-etag"] },
    async (context) => {
      const { server } = await openScene(context, { admin: "127.0.0.1:0" })
      const ask = asking(server.admin)
      const place = `/v1/presentities/${alice}/rules`
      const [open, closed] = [
        ruleset(ruleFor("sip:bob@example.com", "allow")),
        ruleset(ruleFor("sip:bob@example.com", "block")),
      ]
      assert.equal((await ask("PUT", place, open, { "if-none-match": "*" })).status, 204)
      assert.equal((await ask("PUT", place, open, { "if-none-match": "*" })).status, 412)
      const read = await ask("GET", place)
      const etag = read.header("etag") ?? ""
      assert.equal(read.text, open)
      assert.equal((await ask("PUT", place, closed, { "if-match": '"other"' })).status, 412)
      const replaced = await ask("PUT", place, closed, { "if-match": `"other", ${etag}` })
      assert.equal(replaced.status, 204)
      assert.notEqual(replaced.header("etag"), etag)
      assert.equal((await ask("DELETE", place, undefined, { "if-match": etag })).status, 412)
      const present = replaced.header("etag") ?? ""
      assert.equal((await ask("DELETE", place, undefined, { "if-match": present })).status, 204)
      assert.equal((await ask("GET", place)).status, 404)
    },
  )

  it(
    "pages hold everything once, in order, however long they are",
    { tags: ["OPS-lists"] },
    async (context) => {
      const { server } = await openScene(context, { admin: "127.0.0.1:0" })
      const ask = asking(server.admin)
      const users = Array.from({ length: 23 }, (_, n) => `u${`${n}`.padStart(2, "0")}`)
      for (const user of users) {
        await ask("POST", "/v1/publications", { presentity: `sip:${user}@example.com`, body: phoneOpen })
      }
      for (const limit of [1, 5, 23, 1000]) {
        const found: string[] = []
        let cursor: string | null = ""
        let pages = 0
        while (cursor !== null) {
          const query: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`
          const page = (await ask("GET", `/v1/presentities?limit=${limit}${query}`)).json as {
            items: { pres_uri: string }[]
            next: string | null
          }
          found.push(...page.items.map(({ pres_uri }) => pres_uri))
          cursor = page.next
          pages += 1
          assert.ok(pages < 50)
        }
        assert.deepEqual(
          found,
          users.map((user) => `sip:${user}@example.com`),
        )
      }
    },
  )

  it("OPS-log-level: more or less is said from now on", async (context) => {
    const { server } = await openScene(context, { admin: "127.0.0.1:0" })
    const ask = asking(server.admin)
    assert.deepEqual((await ask("GET", "/v1/log-level")).json, { level: "info" })
    assert.equal((await ask("PUT", "/v1/log-level", { level: "debug" })).status, 204)
    assert.deepEqual((await ask("GET", "/v1/log-level")).json, { level: "debug" })
  })
})
