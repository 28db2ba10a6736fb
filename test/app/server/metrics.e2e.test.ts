/**
 * What a running server tells a monitoring system, read by the parser that such systems use.
 */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { describe, it } from "vitest"
import { asking } from "../../support/admin.ts"
import { holds } from "../../support/condition.ts"
import { openScene, phoneClosed, phoneOpen } from "../../support/scene.ts"

/** Reads OpenMetrics text and prints each sample as `name{labels} value`, labels in order. */
const parser = `
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as families
for family in families(sys.stdin.read()):
    assert family.documentation != "", family.name
    for sample in family.samples:
        print(json.dumps([family.type, sample.name, dict(sorted(sample.labels.items())), sample.value]))
`
/** Debian's, which has the parser as a package. */
const python = "/usr/bin/python3"
const hasParser = spawnSync(python, ["-c", "import prometheus_client.openmetrics.parser"]).status === 0

interface Sample {
  readonly type: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const parsed = (text: string): readonly Sample[] => {
  const { status, stdout, stderr } = spawnSync(python, ["-c", parser], { input: text, encoding: "utf8" })
  assert.equal(status, 0, stderr)
  return stdout
    .trim()
    .split("\n")
    .map((line) => {
      const [type, name, labels, value] = JSON.parse(line) as [string, string, Record<string, string>, number]
      return { type, name, labels, value }
    })
}

describe.skipIf(!hasParser)("metrics", () => {
  it(
    "a parser of OpenMetrics reads them all, they count what happened, and no label holds a URI",
    { tags: ["OPS-metrics"] },
    async (context) => {
      const { server, another, publish } = await openScene(context, { admin: "127.0.0.1:0" })
      const bob = await another("bob")
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active", body: null })
      await publish(phoneOpen)
      await bob.notified({ state: "active", body: phoneOpen })
      await publish(phoneClosed)
      await bob.notified({ state: "active", body: phoneClosed })
      const mallory = await another("mallory")
      mallory.phone.send("MUMBLE sip:x SIP/2.0\r\n\r\n")
      await mallory.phone.hearsNothing()
      const answer = await asking(server.admin)("GET", "/metrics")
      assert.match(answer.header("content-type") ?? "", /^application\/openmetrics-text; version=1\.0\.0/)
      const samples = parsed(answer.text)
      const value = (name: string, labels: Record<string, string> = {}): number | undefined =>
        samples.find(
          (one) =>
            one.name === name &&
            Object.entries(labels).every(([label, expected]) => one.labels[label] === expected),
        )?.value
      assert.equal(value("presently_sip_requests_total", { method: "PUBLISH", status: "200" }), 2)
      assert.equal(value("presently_sip_requests_total", { method: "SUBSCRIBE", status: "200" }), 1)
      assert.equal(value("presently_notify_outcomes_total", { outcome: "accepted" }), 3)
      assert.equal(value("presently_notify_sent_total"), 3)
      assert.equal(value("presently_notify_latency_seconds_count"), 3)
      assert.ok((value("presently_log_append_seconds_count") ?? 0) >= 3)
      assert.equal(value("presently_publications", { event: "presence" }), 1)
      assert.equal(value("presently_subscriptions", { event: "presence", state: "active" }), 1)
      assert.equal(value("presently_ready"), 1)
      assert.ok((value("presently_log_position") ?? 0) >= 3)
      assert.ok((value("presently_projection_lag_events") ?? -1) >= 0)
      assert.ok((value("process_cpu_seconds_total") ?? 0) > 0)
      assert.ok((value("presently_dropped_total", { reason: "malformed" }) ?? 0) >= 0)
      assert.match(
        samples.find(({ name }) => name === "presently_build_info")?.labels["version"] ?? "",
        /^\d/,
      )
      for (const { name, labels } of samples) {
        assert.match(name, /^(?:presently|process)_[a-z_]+$/)
        for (const text of Object.values(labels)) assert.doesNotMatch(text, /sip:|@|example/)
      }
    },
  )

  it("whoever sends cannot make new series", { tags: ["OPS-metrics"] }, async (context) => {
    const { server, another } = await openScene(context, { admin: "127.0.0.1:0" })
    const { phone } = await another("mallory")
    const count = async () => parsed((await asking(server.admin)("GET", "/metrics")).text).length
    const via = `Via: SIP/2.0/UDP 127.0.0.1:${phone.address.split(":")[1]};rport;branch=z9hG4bK`
    const unknown = (n: number): string =>
      `METHOD${n} sip:alice@example.com SIP/2.0\r\n${via}${n}\r\nMax-Forwards: 70\r\nFrom: <sip:m@example.com>;tag=m\r\n` +
      `To: <sip:alice@example.com>\r\nCall-ID: c${n}\r\nCSeq: 1 METHOD${n}\r\nContent-Length: 0\r\n\r\n`
    phone.send(unknown(0))
    await phone.next()
    const before = await count()
    for (let n = 1; n < 50; n += 1) phone.send(unknown(n))
    for (let n = 1; n < 50; n += 1) await phone.next()
    assert.equal(await count(), before)
  })
})

interface OtlpSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[]
}

const collector = async ({ onTestFinished }: { onTestFinished: (run: () => void) => void }) => {
  const spans: OtlpSpan[] = []
  const server = createServer((request, response) => {
    let body = ""
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk))
    request.on("end", () => {
      const { resourceSpans } = JSON.parse(body) as {
        resourceSpans: { scopeSpans: { spans: OtlpSpan[] }[] }[]
      }
      spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)))
      response.writeHead(200, { "content-type": "application/json" }).end("{}")
    })
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { spans, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces` }
}

const until = async (condition: () => boolean): Promise<void> => {
  await holds("what the test waits for", condition)
}

describe("traces", () => {
  it(
    "one from PUBLISH through the append to the end of each NOTIFY",
    { tags: ["OPS-traces"] },
    async (context) => {
      const { spans, url } = await collector(context)
      const { another, publish } = await openScene(context, { otlp_endpoint: url })
      const [bob, carol] = [await another("bob"), await another("carol")]
      for (const watcher of [bob, carol]) {
        await watcher.subscribe({ Expires: "600" })
        await watcher.notified({ state: "active", body: null })
      }
      await publish(phoneOpen)
      for (const watcher of [bob, carol]) await watcher.notified({ state: "active", body: phoneOpen })
      await until(() => spans.some(({ name }) => name === "PUBLISH") && spans.length >= 10)
      const root = spans.find(({ name }) => name === "PUBLISH")
      assert.ok(root !== undefined)
      const rest = spans.filter(({ traceId, name }) => traceId === root.traceId && name !== "PUBLISH")
      assert.deepEqual(rest.map(({ name }) => name).sort(), ["NOTIFY", "NOTIFY", "append"])
      for (const one of rest) {
        assert.equal(one.parentSpanId, root.spanId)
        assert.ok(BigInt(one.startTimeUnixNano) >= BigInt(root.startTimeUnixNano))
        assert.ok(BigInt(one.endTimeUnixNano) >= BigInt(one.startTimeUnixNano))
      }
      const said = (span: OtlpSpan) =>
        Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
      assert.equal(said(root)["presently.presentity"], "sip:alice@example.com")
      assert.equal(Number(said(root)["sip.status"]), 200)
      for (const one of rest.filter(({ name }) => name === "NOTIFY")) {
        assert.equal(said(one)["presently.outcome"], "Accepted")
      }
      assert.equal(
        new Set(spans.filter(({ name }) => name === "SUBSCRIBE").map((one) => one.traceId)).size,
        2,
      )
    },
  )

  it(
    "a call of the management port goes on with the trace of its caller (W3C Trace Context)",
    { tags: ["OPS-traces"] },
    async (context) => {
      const { spans, url } = await collector(context)
      const { server } = await openScene(context, {
        otlp_endpoint: url,
        trace_percent: 0,
        admin: "127.0.0.1:0",
      })
      const traceId = "0af7651916cd43dd8448eb211c80319c"
      const answer = await asking(server.admin)(
        "POST",
        "/v1/publications",
        { presentity: "sip:alice@example.com", body: phoneOpen },
        { traceparent: `00-${traceId}-b7ad6b7169203331-01` },
      )
      assert.equal(answer.status, 200)
      await until(() => spans.some(({ name }) => name === "PUBLISH"))
      const publish = spans.find(({ name }) => name === "PUBLISH")
      assert.equal(publish?.traceId, traceId)
      assert.ok(
        spans.some((one) => one.spanId === publish?.parentSpanId && one.parentSpanId === "b7ad6b7169203331"),
      )
    },
  )
})
