/**
 * A server with event packages, rules and a store of one's own, from a program or from a module that a setting names.
 */
import assert from "node:assert/strict"
import { Effect, Layer } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { storeOf } from "../../../src/app/library/own-store.ts"
import type { PromiseStore } from "../../../src/app/library/own-store.ts"
import { Server } from "../../../src/app/server/in-program.ts"
import type { RunningServer, ServerOptions } from "../../../src/app/server/in-program.ts"
import type { EventPackage } from "../../../src/domain/packages/event-package.ts"
import type { Decision } from "../../../src/domain/presentity/events.ts"
import { fold } from "../../../src/domain/presentity/evolve.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { EventStore } from "../../../src/ports/event-store.ts"
import { holds } from "../../support/condition.ts"
import { ruleFor, ruleset } from "../../support/rules-builders.ts"
import { phoneOpen } from "../../support/scene.ts"
import type { Call } from "../../support/scene.ts"
import { answer, openPhone, script } from "../../support/sip-client.ts"
import { fileOf, run as presently } from "../cli/command.ts"

interface Reading {
  readonly celsius: number
}

/** The temperature of a room: the mean of its sensors. */
const temperature: EventPackage<Reading, "temperature"> = {
  name: "temperature",
  accepts: ["text/plain"],
  produces: ["text/plain"],
  defaultExpires: 600,
  entityTags: "new-each-time",
  notifyIntervalMillis: 0,
  watchers: "everybody",
  parse: ({ text }) => {
    const celsius = Number(text)
    return Number.isFinite(celsius)
      ? { _tag: "Parsed", document: { celsius } }
      : { _tag: "Unreadable", why: "expected degrees Celsius" }
  },
  compose: ({ presentity, documents }) => {
    if (presentity === "sip:broken@example.com" && documents.length > 0) throw new Error("a sensor burns")
    const total = documents.reduce((sum, { document }) => sum + document.celsius, 0)
    return documents.length === 0 ? null : { celsius: total / documents.length }
  },
  render: ({ celsius }) => ({ contentType: "text/plain", text: celsius.toString() }),
  offline: () => null,
}

/** A log in lines of text, as a table or a file would have them. */
const storeIn = (log: string[]): PromiseStore => {
  const rows = () =>
    log.map((line, index) => ({ position: index + 1, decision: JSON.parse(line) as Decision }))
  const rowsOf = (stream: Uri) => rows().filter(({ decision }) => decision.stream === stream)
  return {
    append: async (decisions) => {
      const conflicts = new Set<Uri>()
      for (const [stream, ours] of Map.groupBy(decisions, (decision) => decision.stream)) {
        const there = rowsOf(stream)
        if (ours.every(({ version, nonce }) => there[version - 1]?.decision.nonce === nonce)) continue
        if (there.length === ours[0]!.version - 1)
          log.push(...ours.map((decision) => JSON.stringify(decision)))
        else conflicts.add(stream)
      }
      return { position: log.length, conflicts }
    },
    load: async (streams) =>
      streams.map((stream) =>
        rowsOf(stream).reduce((state, { decision }) => fold(state, decision), initial(stream)),
      ),
    read: async (after, max) => rows().slice(after, after + max),
    history: async (stream, afterVersion, max) => rowsOf(stream).slice(afterVersion, afterVersion + max),
  }
}

interface Scene {
  readonly server: RunningServer
  readonly call: (user: string) => Promise<Call>
  readonly stop: () => Promise<void>
}

const start = async (context: TestContext, options: ServerOptions): Promise<Scene> => {
  const server = await Server.start({ domain: ["example.com"], notify_min_interval: 0, ...options })
  const address = server.addresses.find((one) => one.startsWith("udp:")) ?? ""
  const udpPort = Number(address.slice(address.lastIndexOf(":") + 1))
  const asked = { udpPort, tcpPort: 0, portOf: () => udpPort, settle: server.settle, stop: server.close }
  const phones: { readonly close: () => void }[] = []
  let isStopped = false
  const stop = async (): Promise<void> => {
    if (isStopped) return
    isStopped = true
    for (const phone of phones) phone.close()
    await server.close()
  }
  context.onTestFinished(stop)
  return {
    server,
    stop,
    call: async (user) => {
      const phone = await openPhone(asked, "udp")
      phones.push(phone)
      return Object.assign(script(phone, { user }), { phone })
    },
  }
}

const room = { Event: "temperature", "Content-Type": "text/plain" }

const statusOf = async (asked: Promise<{ readonly raw: { readonly status: number } }>): Promise<number> =>
  (await asked).raw.status

/** The text of the next NOTIFY, which is answered. */
const told = async (call: Call): Promise<string> => {
  const notify = await call.notify()
  answer(call.phone, notify)
  return notify.raw.body.toString("utf8")
}

describe("a server with an event package of one's own", { tags: ["LIB-own-package"] }, () => {
  it("takes its publications, tells its watchers, and announces it", async (context) => {
    const { call } = await start(context, { packages: [temperature] })
    const watcher = await call("bob")
    const subscribed = await watcher.subscribe({ Event: "temperature", Accept: "text/plain", Expires: "600" })
    assert.equal(subscribed.raw.status, 200)
    assert.match(subscribed.header("allow-events") ?? "", /\btemperature\b/)
    assert.equal(await told(watcher), "")
    for (const [body, mean] of [
      ["20", "20"],
      ["22", "21"],
    ] as const) {
      const sensor = await call("alice")
      assert.equal(await statusOf(sensor.publish({ ...room, Expires: "60" }, body)), 200)
      assert.equal(await told(watcher), mean)
    }
    const sensor = await call("alice")
    assert.equal(await statusOf(sensor.publish({ ...room, Expires: "60" }, "warm")), 400)
    // the built-in ones are there all the same
    assert.equal(await statusOf((await call("alice")).publish({ Expires: "60" }, phoneOpen)), 200)
  })

  it("whose fault costs the presentity it happened on, and no other", async (context) => {
    const { call } = await start(context, { packages: [temperature] })
    const broken = Object.assign(await call("broken"))
    const watcher = await call("bob")
    const to = { To: "<sip:broken@example.com>" }
    const asked = (request: Record<string, string>) =>
      statusOf(
        watcher.ask(
          "SUBSCRIBE",
          { Event: "temperature", Accept: "text/plain", ...request },
          "",
          "sip:broken@example.com",
        ),
      )
    assert.equal(await asked({ Expires: "600", ...to }), 200)
    await told(watcher)
    const publication = broken.ask(
      "PUBLISH",
      { ...room, Expires: "60", ...to },
      "20",
      "sip:broken@example.com",
    )
    assert.equal(await statusOf(publication), 500)
    const other = await call("alice")
    assert.equal(await statusOf(other.publish({ ...room, Expires: "60" }, "20")), 200)
  })

  it("is refused when its name is taken, or when it is none", async () => {
    const faultsOf = (options: unknown): Promise<readonly string[]> =>
      Server.start(options as ServerOptions).then(
        async (server) => {
          await server.close()
          return []
        },
        (error: { readonly faults: readonly string[] }) => error.faults,
      )
    assert.deepEqual(await faultsOf({ packages: [{ ...temperature, name: "presence" }] }), [
      'extensions: packages[0].name = "presence": a package of that name is built in',
    ])
    assert.deepEqual(await faultsOf({ packages: [temperature, temperature] }), [
      'extensions: packages[1].name = "temperature": there is another of that name',
    ])
    assert.deepEqual(
      await faultsOf({ packages: [temperature], pass_through: ["temperature=text/plain"], memory: true }),
      [
        "pass_through = temperature=text/plain (option): event package temperature is registered twice: remove one of them; " +
          "expected NAME=TYPE or NAME=TYPE|TYPE…, for example note=text/plain",
      ],
    )
    assert.deepEqual(await faultsOf({ packages: [{ ...temperature, render: 1 }], rules: "all", store: {} }), [
      "packages[0].render = 1: expected a function",
      'rules = "all": expected a function (presentity, event) => text of a document, or null',
      "store = an object: expected a store: storeOf({ … }), or a Layer that gives EventStore",
    ])
    assert.deepEqual(
      await faultsOf({ packages: "temperature", handle_publish: [{ event: "temperature", refuse: 403 }] }),
      ['packages = "temperature": expected an array of event packages'],
    )
    assert.deepEqual(await faultsOf({ rules: () => null, rules_dir: "/tmp" }), [
      "extensions: rules and rules_dir: rules come from one place, give one of them",
    ])
    assert.deepEqual(await faultsOf({ store: storeOf(storeIn([])), memory: true }), [
      "extensions: store and memory: the log is kept in one place, give one of them",
    ])
    assert.deepEqual(await faultsOf({ rules: () => null, extensions: "./x.ts" }), [
      "extensions, and packages, rules, store of the program: give either the module or these",
    ])
  })
})

describe("a server with rules of one's own", { tags: ["LIB-own-rules"] }, () => {
  it("asks them before each new subscription, and treats nobody as allowed where they fail", async (context) => {
    const asked: string[] = []
    let text: string | null = ruleset(ruleFor("sip:bob@example.com", "allow"))
    let isFailing = false
    const { call, server } = await start(context, {
      admin: "127.0.0.1:0",
      rules: async (presentity, event) => {
        asked.push(`${presentity} ${event}`)
        if (isFailing) throw new Error("the directory is away")
        return text
      },
    })
    const subscribe = async (user: string) =>
      statusOf((await call(user)).subscribe({ Event: "presence", Expires: "0" }))
    assert.deepEqual([await subscribe("bob"), await subscribe("carol")], [200, 403])
    assert.deepEqual(asked, ["sip:alice@example.com presence", "sip:alice@example.com presence"])
    // what it says now is in force at the next subscription, for whoever watches already as well
    text = ruleset(ruleFor("sip:carol@example.com", "allow"))
    assert.deepEqual([await subscribe("carol"), await subscribe("bob")], [200, 403])
    // while it fails, what was in force stays
    isFailing = true
    assert.deepEqual([await subscribe("carol"), await subscribe("bob")], [200, 403])
    const metrics = await (await fetch(`${server.admin}/metrics`)).text()
    assert.match(metrics, /^presently_source_troubled_documents\{kind="rules"\} 1$/m)
  })

  it("has those wait of whom nothing is known, and goes on when it answers again", async (context) => {
    let isFailing = true
    const { call } = await start(context, {
      rules: () => {
        if (isFailing) throw new Error("away")
        return ruleset(ruleFor("sip:bob@example.com", "allow"))
      },
    })
    const watcher = await call("bob")
    assert.equal(await statusOf(watcher.subscribe({ Event: "presence", Expires: "600" })), 202)
    const state = async (): Promise<string> => {
      const notify = await watcher.notify()
      answer(watcher.phone, notify)
      return notify.header("subscription-state") ?? ""
    }
    assert.match(await state(), /^pending/)
    isFailing = false
    assert.match(await state(), /^active/)
  })
})

describe("a server with a store of one's own", { tags: ["LIB-own-store"] }, () => {
  it("goes on after a restart where it was", async (context) => {
    const log: string[] = []
    const options = { packages: [temperature], store: storeOf(storeIn(log)) }
    const before = await start(context, options)
    const sensor = await before.call("alice")
    assert.equal(await statusOf(sensor.publish({ ...room, Expires: "600" }, "20")), 200)
    await before.stop()
    assert.ok(log.length > 0)
    const after = await start(context, { ...options, store: storeOf(storeIn(log)) })
    const watcher = await after.call("bob")
    assert.equal(
      await statusOf(watcher.subscribe({ Event: "temperature", Accept: "text/plain", Expires: "0" })),
      200,
    )
    assert.equal(await told(watcher), "20")
  })

  it("answers 503 while it fails, and goes on by itself", async (context) => {
    const log: string[] = []
    let isAway = false
    const inner = storeIn(log)
    const { call } = await start(context, {
      store: storeOf({
        ...inner,
        append: (decisions) => (isAway ? Promise.reject(new Error("away")) : inner.append(decisions)),
        read: (after, max) => (isAway ? Promise.reject(new Error("away")) : inner.read(after, max)),
        load: (streams) => (isAway ? Promise.reject(new Error("away")) : inner.load(streams)),
      }),
    })
    const publish = async () => statusOf((await call("alice")).publish({ Expires: "60" }, phoneOpen))
    assert.equal(await publish(), 200)
    isAway = true
    assert.equal(await publish(), 503)
    isAway = false
    await holds("it goes on", async () => (await publish()) === 200)
  })

  it("is told of when it cannot be opened", async () => {
    const layer = Layer.effect(EventStore, Effect.fail(new Error("no such disk")))
    await assert.rejects(Server.start({ store: layer }), /no such disk/)
  })
})

describe("a module that a setting names", { tags: ["OPS-extensions"] }, () => {
  const code = `
    export const packages = [{
      name: "light", accepts: ["text/plain"], produces: ["text/plain"], defaultExpires: 600,
      entityTags: "new-each-time", notifyIntervalMillis: 0, watchers: "everybody",
      parse: ({ text }) => ({ _tag: "Parsed", document: text }),
      compose: ({ documents }) => documents.at(-1)?.document ?? null,
      render: (text) => ({ contentType: "text/plain", text }),
      offline: () => null,
    }]`

  it("is loaded, and what it brings is there", async (context) => {
    const extensions = fileOf(context, "extensions.mjs", code)
    const { call } = await start(context, { extensions, memory: true })
    const watcher = await call("bob")
    assert.equal(
      await statusOf(watcher.subscribe({ Event: "light", Accept: "text/plain", Expires: "600" })),
      200,
    )
    assert.equal(await told(watcher), "")
    const lamp = await call("alice")
    const headers = { Event: "light", "Content-Type": "text/plain", Expires: "60" }
    assert.equal(await statusOf(lamp.publish(headers, "on")), 200)
    assert.equal(await told(watcher), "on")
  })

  it.for([
    ["throw new Error('at once')", "at once"],
    ["export const package = []", /Unexpected|package/],
    ["export const packges = []", /^packges is exported: expected nothing but packages, rules, store$/],
    ["export default {}", /^it exports nothing of packages, rules, store$/],
    ["export default 1", /^expected an object with packages, rules, store, or some of them$/],
    ["export const packages = [{ name: 'x y' }]", /^packages\[0\]\.name = "x y": expected what can stand/],
  ] as const)("that is %s keeps a server from starting, and is told", async ([text, why], context) => {
    const file = fileOf(context, "extensions.mjs", text)
    const faults = await Server.start({ extensions: file }).then(
      () => [],
      (error: { readonly faults: readonly string[] }) => error.faults,
    )
    const [fault = ""] = faults
    const start = `extensions = ${file} (option): cannot be used: `
    assert.ok(fault.startsWith(start), fault)
    const said = fault.slice(start.length)
    assert.ok(typeof why === "string" ? said === why : why.test(said), said)
  })

  it("that cannot be loaded is told by config check and doctor", { timeout: 120_000 }, async (context) => {
    const file = fileOf(context, "extensions.mjs", "throw new Error('at once')")
    const good = fileOf(context, "good.mjs", code)
    const fault = `extensions = ${file} (flag --set): cannot be used: at once`
    const flags = ["--memory", "--set", `extensions=${file}`]
    const checked = await presently(["config", "check", ...flags])
    assert.notEqual(checked.code, 0)
    assert.ok(checked.stderr.includes(fault), checked.stderr)
    const doctor = await presently(["doctor", ...flags])
    assert.ok(`${doctor.stdout}${doctor.stderr}`.includes(fault), doctor.stdout)
    const fine = await presently(["config", "check", "--memory", "--set", `extensions=${good}`])
    assert.deepEqual([fine.code, fine.stdout.trim()], [0, "the configuration is good"])
    // it brings no store, and nothing else says where the log is kept
    const none = await presently(["config", "check", "--set", `extensions=${good}`])
    assert.match(none.stderr, /serve needs to know where to keep its log/)
  })
})
