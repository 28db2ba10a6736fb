/**
 * What single requests are granted: rules of the configuration, and an operator's own code.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import type { PolicyRequest } from "../../../src/adapters/sip/policy.ts"
import { policyMillisMax, makePolicy } from "../../../src/app/config/request-policy-hook.ts"
import type { RequestPolicy } from "../../../src/app/config/request-policy-hook.ts"
import { readPolicyRules } from "../../../src/app/config/request-policy-rules.ts"
import { userLine } from "../../../src/app/config/users.ts"
import { Server } from "../../../src/app/server/in-program.ts"
import type { ServerOptions } from "../../../src/app/server/in-program.ts"
import { notBefore } from "../../support/condition.ts"
import { openScene, phoneClosed, phoneOpen } from "../../support/scene.ts"
import type { Call } from "../../support/scene.ts"
import { answer, openPhone, script } from "../../support/sip-client.ts"
import type { Script } from "../../support/sip-client.ts"
import { usersFile } from "../../support/users.ts"
import { fileOf } from "../cli/command.ts"

const said = async (asked: Promise<{ readonly raw: { readonly status: number } }>): Promise<number> =>
  (await asked).raw.status

/** A publication of Alice, whose phone watches her as well: what the phone is told of it. */
const publishesAndWatches = async (phone: Call, headers: Record<string, string> = {}): Promise<boolean> => {
  await phone.subscribe({ Expires: "60" })
  await phone.notified({ state: "active" })
  const publisher = Object.assign(script(phone.phone, { user: "alice" }), { phone: phone.phone })
  assert.equal(await said(publisher.publish({ Expires: "60", ...headers }, phoneOpen)), 200)
  try {
    await phone.phone.hearsNothing()
    return false
  } catch {
    answer(phone.phone, await phone.notify())
    return true
  }
}

describe("rules for SUBSCRIBE", () => {
  it(
    "force_active of one request overrules the setting, in both directions",
    { tags: ["OPS-handle_subscribe", "OPS-force_active", "AUT-9"] },
    async (context) => {
      const { another } = await openScene(context, {
        policy: "rules",
        no_rules: "confirm",
        handle_subscribe: [{ from: "sip:bob@*", force_active: true }],
      })
      const statuses = []
      for (const user of ["bob", "carol"])
        statuses.push(await said((await another(user)).subscribe({ Expires: "0" })))
      assert.deepEqual(statuses, [200, 202])
      const other = await openScene(context, {
        policy: "rules",
        force_active: true,
        handle_subscribe: [{ from: "sip:bob@*", force_active: false }],
      })
      const turned = []
      for (const user of ["bob", "carol"])
        turned.push(await said((await other.another(user)).subscribe({ Expires: "0" })))
      assert.deepEqual(turned, [202, 200])
    },
  )

  it(
    "every condition; the first rule that fits counts; without one all is as ever",
    { tags: ["OPS-handle_subscribe"] },
    async (context) => {
      const refuse = (status: number) => `${status} Rule ${status}`
      const { another } = await openScene(context, {
        handle_subscribe: [
          { event: ["message-summary", "dialog*"], refuse: refuse(480) },
          { to: "sip:carol@EXAMPLE.com", refuse: refuse(481) },
          { from: "sip:mallory@*", source: "127.0.0.0/8", refuse: refuse(482) },
          { from: "sip:mallory@*", refuse: refuse(599) },
          { from: "sip:eve@*", source: ["10.0.0.0/8", "2001:db8::/32"], refuse: refuse(599) },
          { from: "sip:eve@*", transport: "tcp", refuse: refuse(599) },
          { from: "sip:eve@*", transport: "udp", method: "SUBSCRIBE", refuse: 484 },
          { user: "*", refuse: refuse(599) },
        ],
      })
      const heard = []
      for (const [user, headers, presentity] of [
        ["bob", { Event: "message-summary" }],
        ["bob", { Event: "dialog;sla" }],
        ["bob", {}, "sip:carol@example.com"],
        ["mallory", {}],
        ["eve", {}],
        ["bob", {}],
        // what the rules know nothing of is judged by the server
        ["bob", { Event: "nonsense" }],
      ] as const) {
        const watcher = await another(user)
        const response = await watcher.ask("SUBSCRIBE", { Expires: "0", ...headers }, "", presentity)
        heard.push(`${response.raw.status} ${response.reason}`)
      }
      assert.deepEqual(heard, [
        "480 Rule 480",
        "480 Rule 480",
        "481 Rule 481",
        "482 Rule 482",
        "484 Address Incomplete",
        "200 OK",
        "489 Bad Event",
      ])
    },
  )

  it(
    "the name somebody authenticated with, and refreshes, are asked about as well",
    { tags: ["OPS-handle_subscribe"] },
    () => {
      const faults: string[] = []
      const rules = readPolicyRules(
        "subscribe",
        [
          { user: "al?ce", sharing_tag: "vip" },
          { to: "tel:*", refuse: "403" },
        ],
        () => "",
        faults,
      )
      const policy = makePolicy({ publish: [], subscribe: rules, code: null, onFault: () => {} })
      const ask = (changes: Partial<PolicyRequest>) => policy?.ask({ ...request, ...changes })
      assert.deepEqual(faults, [])
      assert.deepEqual(
        [ask({ user: "alice" }), ask({ user: "bob" }), ask({}), ask({ presentity: "tel:+4930" })],
        [{ _tag: "Granted", sharingTag: "vip" }, null, null, { _tag: "Refused", status: 403, reason: null }],
      )
    },
  )

  it("a refresh is judged by the rules of today", { tags: ["OPS-handle_subscribe"] }, async (context) => {
    let isOpen = true
    const request_policy: RequestPolicy = {
      handleSubscribe: ({ inDialog, presentity }) =>
        inDialog && presentity === "sip:alice@example.com" && !isOpen ? { refuse: "403 No More" } : null,
    }
    const { another } = await openScene(context, { request_policy })
    const watcher = await another("bob")
    await watcher.subscribe({ Expires: "60" })
    await watcher.notified({ state: "active" })
    assert.equal(await said(watcher.subscribe({ Expires: "60" })), 200)
    await watcher.notified({ state: "active" })
    isOpen = false
    assert.equal(await said(watcher.subscribe({ Expires: "60" })), 403)
  })
})

const request: PolicyRequest = {
  method: "SUBSCRIBE",
  presentity: "sip:alice@example.com",
  event: "presence",
  from: "sip:bob@example.com",
  user: null,
  contact: null,
  source: "192.0.2.1",
  port: 5060,
  transport: "udp",
  callId: "c",
  inDialog: false,
  expires: 60,
  header: () => [],
}

describe("rules for PUBLISH", () => {
  it(
    "the sender of a publication is not notified of it: by header, Contact, From, or as written",
    { tags: ["OPS-handle_publish", "PUB-11"] },
    async (context) => {
      for (const [sender, headers, isTold] of [
        [null, {}, true],
        [null, { Sender: "CONTACT" }, true],
        ["header Sender", { Sender: "CONTACT" }, false],
        ["header X-Device", { "X-Device": "<CONTACT>;q=1" }, false],
        ["header X-Device", {}, true],
        ["contact", { Contact: "<CONTACT>" }, false],
        ["contact", {}, true],
        ["from", { From: "<CONTACT>;tag=1" }, false],
        ["sip:someone@192.0.2.1", {}, true],
      ] as const) {
        const rules = sender === null ? {} : { handle_publish: [{ event: "presence", sender }] }
        const { another } = await openScene(context, rules)
        const phone = await another("alice")
        const own = `sip:alice@${phone.phone.address}`
        const written = Object.fromEntries(
          Object.entries(headers).map(([name, value]) => [name, value.replace("CONTACT", own)]),
        )
        assert.equal(
          await publishesAndWatches(phone, written),
          isTold,
          `${sender} ${JSON.stringify(headers)}`,
        )
      }
    },
  )

  it(
    "a sender that is no URI is answered 400; refuse answers what it says and publishes nothing",
    { tags: ["OPS-handle_publish", "PUB-11"] },
    async (context) => {
      const { another } = await openScene(context, {
        handle_publish: [
          { from: "sip:mallory@*", refuse: "403 Not You" },
          { to: "*", sender: "header Sender" },
        ],
      })
      const alice = await another("alice")
      const bad = await alice.publish({ Expires: "60", Sender: "<nobody" }, phoneOpen)
      assert.deepEqual([bad.raw.status, bad.reason], [400, "Malformed Sender"])
      const refused = await (await another("mallory")).publish({ Expires: "60" }, phoneOpen)
      assert.deepEqual([refused.raw.status, refused.reason], [403, "Not You"])
      const watcher = await another("bob")
      await watcher.subscribe({ Expires: "0" })
      await watcher.notified({ state: "terminated;reason=timeout", body: null })
    },
  )
})

/** A server started by a program, and a phone on it. */
const program = async (context: TestContext, options: ServerOptions): Promise<Script> => {
  const server = await Server.start(options)
  const port = Number(
    server.addresses
      .find((one) => one.startsWith("udp:"))
      ?.split(":")
      .at(-1),
  )
  const phone = await openPhone({ portOf: () => port }, "udp")
  context.onTestFinished(async () => {
    phone.close()
    await server.close()
  })
  return script(phone, { user: "bob" })
}

describe("an operator's own code", () => {
  it(
    "a file is asked about each request, at once or later, and sees what there is to see",
    { tags: ["OPS-request_policy"] },
    async (context) => {
      const file = fileOf(
        context,
        "policy.ts",
        `interface Request { readonly from: string; header(name: string): readonly string[] }
       export default {
         handleSubscribe: async ({ from, header }: Request) => {
           await new Promise((resolve) => setTimeout(resolve, 20))
           if (header("x-department")[0] === "sales") return { force_active: true }
           return from === "sip:eve@example.com" ? { refuse: "603 Never" } : undefined
         },
         handlePublish: ({ header }: Request) => ({ sender: header("X-Device")[0] }),
       }`,
      )
      const { another } = await openScene(context, {
        policy: "rules",
        request_policy: file,
        handle_subscribe: [{ from: "sip:carol@*", refuse: "480" }],
      })
      const statuses = []
      for (const [user, headers] of [
        ["bob", { "X-Department": "sales" }],
        ["bob", {}],
        ["eve", {}],
        ["carol", {}],
      ] as const) {
        statuses.push(await said((await another(user)).subscribe({ Expires: "0", ...headers })))
      }
      assert.deepEqual(statuses, [200, 202, 603, 480])
      const alice = await another("alice")
      for (const [device, status] of [
        ["sip:alice@192.0.2.1", 200],
        ["sip:@@", 400],
        [null, 200],
      ] as const) {
        assert.equal(await said(alice.publish({ Expires: "60", "X-Device": device }, phoneClosed)), status)
      }
    },
  )

  it("knows who authenticated, and where from", { tags: ["OPS-request_policy"] }, async (context) => {
    const seen: unknown[] = []
    const users_file = usersFile(context, userLine("alice", "example.com", "secret", "SHA-256"))
    const request_policy: RequestPolicy = {
      handlePublish: ({ user, from, source, transport, event, method }) => {
        seen.push({ user, from, source, transport, event, method })
      },
    }
    const { another } = await openScene(context, {
      users_file,
      trusted_peers: ["127.0.0.1;publishes_for=example.com"],
      request_policy,
    })
    const call = await another("bob")
    await call.publish({ Expires: "60", "P-Asserted-Identity": "<sip:alice@EXAMPLE.com>" }, phoneOpen)
    // the peer may publish for her, and does not say who it is that does: From is nobody's word
    await call.publish({ Expires: "60" }, phoneOpen)
    const publish = {
      user: null,
      source: "127.0.0.1",
      transport: "udp",
      event: "presence",
      method: "PUBLISH",
    }
    assert.deepEqual(seen, [
      { ...publish, from: "sip:alice@example.com" },
      { ...publish, from: "sip:anonymous@anonymous.invalid" },
    ])
  })

  it.for<readonly [string, RequestPolicy]>([
    [
      "throws",
      {
        handleSubscribe: () => {
          throw new Error("no")
        },
      },
    ],
    ["rejects", { handleSubscribe: () => Promise.reject(new Error("no")) }],
    ["says what nobody knows", { handleSubscribe: () => ({ force_activ: true }) as never }],
    ["says a status that is none", { handleSubscribe: async () => ({ refuse: "200" }) }],
    ["says a number", { handleSubscribe: () => 1 as never }],
    [
      "gives what throws when it is looked at",
      {
        handleSubscribe: () =>
          ({
            get refuse(): string {
              throw new Error("no")
            },
          }) as never,
      },
    ],
  ])(
    "code that %s is answered 500, and the server goes on",
    { tags: ["OPS-request_policy"] },
    async ([, request_policy], context) => {
      const watcher = await program(context, { request_policy })
      assert.equal(await said(watcher.subscribe({ Expires: "0" })), 500)
      assert.equal(await said(watcher.ask("PUBLISH", { Expires: "60" }, phoneOpen)), 200)
    },
  )

  it(
    "code that takes too long is answered 500, once; a repeated request does not ask again",
    { tags: ["OPS-request_policy"] },
    async (context) => {
      let asked = 0
      const watcher = await program(context, {
        request_policy: {
          handleSubscribe: () => {
            asked++
            return new Promise<null>(() => {})
          },
        },
      })
      const isDue = notBefore()
      assert.equal(await said(watcher.subscribe({ Expires: "0" })), 500)
      isDue(policyMillisMax)
      assert.equal(asked, 1)
    },
  )

  it(
    "each failure is one line that names function, request and reason",
    { tags: ["OPS-request_policy"] },
    async () => {
      const lines: string[] = []
      const policy = makePolicy({
        publish: [],
        subscribe: [],
        code: { handleSubscribe: () => Promise.reject(new TypeError("no\nstack")) },
        onFault: (line) => lines.push(line),
      })
      assert.deepEqual(await policy?.ask(request), { _tag: "Refused", status: 500, reason: null })
      assert.deepEqual(lines, [
        "request_policy: handleSubscribe failed (TypeError: no) for SUBSCRIBE of sip:alice@example.com; answered 500",
      ])
    },
  )
})

describe("a server without any of this", () => {
  it("has no policy at all", { tags: ["OPS-request_policy"] }, () => {
    assert.equal(makePolicy({ publish: [], subscribe: [], code: null, onFault: () => {} }), null)
  })
})
