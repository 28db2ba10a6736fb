/**
 * Management commands: JSON-RPC under all names OpenSIPS's commands have had, and plain resources.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { ruleFor, ruleset } from "../../support/rules-builders.ts"
import { openScene, phoneClosed, phoneOpen } from "../../support/scene.ts"

const alice = "sip:alice@example.com"

const scene = async (context: TestContext, settings: Parameters<typeof openScene>[1] = {}) => {
  const opened = await openScene(context, { admin: "127.0.0.1:0", ...settings })
  const admin = opened.server.admin ?? ""
  const post = async (path: string, body: string) => {
    const response = await fetch(`${admin}${path}`, { method: "POST", body })
    const text = await response.text()
    return { status: response.status, json: text === "" ? null : (JSON.parse(text) as unknown) }
  }
  return {
    ...opened,
    post,
    get: async (path: string) =>
      (await fetch(`${admin}${path}`)).json() as Promise<{ items: Record<string, unknown>[] }>,
    /** The result of a call, or its error as `code message`. */
    mi: async (method: string, params?: unknown): Promise<unknown> => {
      const { json } = await post("/mi", JSON.stringify({ jsonrpc: "2.0", method, params, id: 7 }))
      const { id, result, error } = json as {
        id: unknown
        result?: unknown
        error?: { code: number; message: string }
      }
      assert.equal(id, 7)
      return error === undefined ? result : `${error.code} ${error.message}`
    },
  }
}

describe("refreshWatchers", () => {
  it(
    "type 0 asks the rules again, any other tells the present state, rules applied",
    { tags: ["OPS-refreshWatchers", "BUG-1", "BUG-9", "BUG-10"] },
    async (context) => {
      const { another, publish, rules, mi, post } = await scene(context, { policy: "rules" })
      await publish()
      assert.equal(await rules(ruleset(ruleFor("sip:bob@example.com", "polite-block"))), 204)
      const bob = await another("bob")
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active", body: null })
      assert.equal(await mi("refreshWatchers", [alice, "presence", 1]), "OK")
      // politely blocked, so told that nobody is there, whatever is published
      const again = await bob.notified({ state: "active" })
      assert.doesNotMatch(again.raw.body.toString(), /open/)
      assert.equal(
        await mi("presence:refresh_watchers", { presentity_uri: alice, event: "presence", refresh_type: 0 }),
        "OK",
      )
      await bob.phone.hearsNothing()
      await rules(ruleset(ruleFor("sip:bob@example.com", "allow")))
      await bob.notified({ state: "active" })
      assert.equal(await mi("refresh_watchers", [alice, "presence", "2"]), "OK")
      await bob.notified({ state: "active" })
      // a package without rules, and one without watchers
      assert.equal(await mi("refreshWatchers", [alice, "dialog", 0]), "OK")
      assert.equal(
        (await post(`/v1/presentities/${encodeURIComponent(alice)}/refresh`, '{"kind": "state"}')).status,
        204,
      )
      await bob.notified({ state: "active" })
    },
  )
})

describe("lists", () => {
  it(
    "every live publication with OpenSIPS's fields first",
    { tags: ["OPS-pres_phtable_list"] },
    async (context) => {
      const { another, mi, get } = await scene(context)
      const [one, other] = [await another("alice"), await another("alice")]
      const tag = (await one.publish({ Expires: "600" }, phoneOpen)).header("sip-etag")
      await other.publish({ Expires: "600" }, phoneClosed)
      for (const name of ["pres_phtable_list", "presence:phtable_list"]) {
        const rows = (await mi(name)) as Record<string, unknown>[]
        assert.deepEqual(
          rows.map((row) => [row["pres_uri"], row["event"], row["etag_count"]]),
          [
            [alice, "presence", 2],
            [alice, "presence", 2],
          ],
        )
        assert.equal(rows[0]?.["etag"], tag)
        assert.deepEqual(Object.keys(rows[0] ?? {}).slice(0, 4), ["pres_uri", "event", "etag_count", "etag"])
      }
      assert.deepEqual(await mi("pres_phtable_list", ["dialog"]), [])
      assert.equal((await get("/v1/presentities?event=presence")).items.length, 2)
    },
  )

  it(
    "subscriptions by shell wildcards over whole URIs, both or neither, however long",
    { tags: ["OPS-subs_phtable_list", "BUG-19"] },
    async (context) => {
      const { another, mi, get } = await scene(context)
      const [bob, carol] = [await another("bob"), await another("carol")]
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active" })
      await carol.subscribe({ Event: "dialog", Accept: null, Expires: "600" })
      const rows = (await mi("subs_phtable_list")) as Record<string, unknown>[]
      assert.equal(
        Object.keys(rows[0] ?? {})
          .slice(0, 15)
          .join(" "),
        "pres_uri event expires db_flag version to_user to_domain to_tag from_user from_domain from_tag contact callid " +
          "local_cseq remote_cseq",
      )
      const [first] = rows
      assert.deepEqual(
        [
          first?.["to_user"],
          first?.["from_user"],
          first?.["callid"],
          first?.["to_tag"],
          first?.["local_cseq"],
          first?.["status"],
        ],
        ["alice", "bob", bob.callId, bob.toTag, 1, "active"],
      )
      const from = async (pattern: string, to = "*"): Promise<unknown> =>
        ((await mi("presence:subs_phtable_list", [pattern, to])) as Record<string, unknown>[]).map(
          (row) => row["from_user"],
        )
      assert.deepEqual(await from("sip:b?b@*"), ["bob"])
      assert.deepEqual(await from("*@example.com"), ["bob", "carol"])
      assert.deepEqual(await from("*", "sip:nobody@*"), [])
      assert.deepEqual(await from(`${"*a".repeat(20_000)}*`), [])
      assert.equal(await mi("subs_phtable_list", ["*"]), "-32602 give both from and to, or neither")
      assert.equal((await get(`/v1/subscriptions?from=${encodeURIComponent("sip:bob@*")}`)).items.length, 1)
    },
  )

  it("is done before it is asked", { tags: ["OPS-cleanup"] }, async (context) => {
    const { publish, mi, post, get } = await scene(context)
    await publish()
    assert.equal(await mi("cleanup"), "OK")
    assert.equal(await mi("presence:cleanup", []), "OK")
    assert.deepEqual(await post("/v1/maintenance/cleanup", ""), { status: 200, json: { decided: 0 } })
    assert.equal((await get("/v1/presentities")).items.length, 1)
  })
})

describe("wrong calls", () => {
  it("each is told what is wrong, and nothing happens", { tags: ["OPS-mi"] }, async (context) => {
    const { mi, post, another } = await scene(context)
    const usage = "expected presentity_uri, event, refresh_type"
    for (const [method, params, answer] of [
      [
        "weather",
        [],
        "-32601 weather: there is no such command; there are pres_phtable_list, refreshWatchers, pres_expose, " +
          "subs_phtable_list, pres_list_sharing_tags, pres_set_sharing_tag_active, cleanup",
      ],
      ["refreshWatchers", ["", "presence", 0], "404 Empty presentity URI"],
      ["refreshWatchers", [alice, "", 0], "400 Empty event"],
      ["refreshWatchers", [alice, "weather", 0], "404 unknown event weather"],
      [
        "refreshWatchers",
        ["nobody at all", "presence", 0],
        "400 nobody at all is no presentity URI: write sip:alice@example.com",
      ],
      ["refreshWatchers", [alice, "presence"], `-32602 refresh_type is missing; ${usage}`],
      ["refreshWatchers", undefined, `-32602 presentity_uri is missing; ${usage}`],
      ["refreshWatchers", [alice, "presence", 0, 1], `-32602 too many parameters; ${usage}`],
      ["refreshWatchers", { uri: alice }, `-32602 uri: there is no such parameter; ${usage}`],
      [
        "refreshWatchers",
        [alice, "presence", {}],
        `-32602 refresh_type is neither text nor a number; ${usage}`,
      ],
      ["refreshWatchers", "x", `-32602 ${usage}`],
      [
        "refreshWatchers",
        [alice, "presence", "soon"],
        "-32602 refresh_type = soon: expected 0 (rules changed) or another whole number",
      ],
      ["cleanup", [1], "-32602 too many parameters; expected no parameters"],
      ["pres_expose", [], "-32602 event is missing; expected event, [filter]"],
      ["pres_expose", ["weather"], "404 event = weather: there is no such event package"],
    ] as const) {
      assert.equal(await mi(method, params), answer)
    }
    const codeOf = async (body: string): Promise<unknown> =>
      ((await post("/mi", body)).json as { error: { code: number } }).error.code
    assert.equal(await codeOf("{"), -32_700)
    assert.equal(await codeOf("[]"), -32_600)
    assert.equal(await codeOf('{"method": "cleanup", "id": 1}'), -32_600)
    assert.equal((await post("/mi", '{"jsonrpc": "2.0", "method": "cleanup"}')).status, 204)
    const batch = await post(
      "/mi",
      '[{"jsonrpc": "2.0", "method": "cleanup", "id": "a"}, 5, {"jsonrpc": "2.0", "method": "cleanup"}]',
    )
    assert.deepEqual(
      (batch.json as { id: unknown; error?: { code: number } }[]).map(({ id, error }) => [id, error?.code]),
      [
        ["a", undefined],
        [null, -32_600],
      ],
    )
    for (const [path, body, status] of [
      ["/v1/presentities/nobody%20at%20all/refresh", "", 400],
      [`/v1/presentities/${encodeURIComponent(alice)}/refresh`, '{"kind": "all"}', 400],
      [`/v1/presentities/${encodeURIComponent(alice)}/refresh`, "[]", 400],
      [`/v1/presentities/${encodeURIComponent(alice)}/refresh`, '{"event": "weather"}', 404],
    ] as const) {
      assert.equal((await post(path, body)).status, status, path + body)
    }
    const bob = await another("bob")
    await bob.phone.hearsNothing()
  })
})
