/**
 * Worked flows of publications, from the PUBLISH on the wire to the NOTIFY on the wire.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { summaryOf } from "../../src/explain/document-summary.ts"
import { notBefore } from "../support/condition.ts"
import { openScene, phoneOpen } from "../support/scene.ts"
import type { SceneSettings } from "../support/scene.ts"
import { pause, pidf, tuple } from "../support/sip-client.ts"
import type { Script, Transport } from "../support/sip-client.ts"

const asSent = { state: "active", body: phoneOpen }
const noted = (note: string): string => pidf(tuple("phone", "open", note))

/** A server with alice's phone and pad and bob. */
const scene = async (context: TestContext, transport: Transport, settings: SceneSettings = {}) => {
  const { another } = await openScene(context, settings, transport)
  const [bob, phone, pad] = [await another("bob"), await another("alice"), await another("alice")]
  return { bob, bobPhone: bob.phone, phone, alicePhone: phone.phone, pad }
}

/** Publishes and gives the entity-tag. */
const publish = async (by: Script, body: string, headers = {}): Promise<string> => {
  const response = await by.publish({ Expires: "3600", ...headers }, body)
  assert.equal(response.raw.status, 200)
  return response.header("sip-etag") ?? ""
}

describe.concurrent.each<Transport>(["udp", "tcp"])("publications over %s", (transport) => {
  it(
    "what is published is notified",
    { tags: ["F02", "3903-4.2-a", "3903-6-n", "3903-6-o", "3856-6.7-a", "4479-3.1-a", "L22", "L36"] },
    async (context) => {
      const { bob, bobPhone, phone } = await scene(context, transport)
      assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
      await bob.notified({ state: "active", expires: 600, body: null })
      const response = await phone.publish({ Expires: "3600" }, phoneOpen)
      assert.equal(response.raw.status, 200)
      assert.equal(response.header("expires"), "3600")
      assert.match(response.header("sip-etag") ?? "", /^\S+$/)
      assert.equal(response.raw.contentLength, 0)
      await bob.notified({ ...asSent, expires: 600 })
      await bobPhone.hearsNothing()
    },
  )

  it(
    "a refresh changes the entity-tag and is silent",
    { tags: ["F03", "3903-4.3-a", "3903-6-o", "L16", "L19"] },
    async (context) => {
      const { bob, bobPhone, phone } = await scene(context, transport)
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active", body: null })
      const first = await publish(phone, phoneOpen)
      await bob.notified(asSent)
      const refresh = await phone.publish({ "SIP-If-Match": first, Expires: "3600" })
      assert.equal(refresh.raw.status, 200)
      assert.equal(refresh.header("expires"), "3600")
      assert.notEqual(refresh.header("sip-etag"), first)
      await bobPhone.hearsNothing()
      assert.equal((await phone.publish({ "SIP-If-Match": first, Expires: "3600" })).raw.status, 412)
    },
  )
})

describe.concurrent("publications", () => {
  it(
    "a burst is one NOTIFY now and one after the interval",
    { tags: ["F04", "3265-4.4.10-a", "3903-4.4-a", "3856-6.10-a", "6446-5.5-a", "L12", "L35", "L36"] },
    async (context) => {
      const { bob, bobPhone, phone } = await scene(context, "udp", { notify_min_interval: 4 })
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active", body: null })
      await pause(4_050)
      const isDue = notBefore()
      const first = await publish(phone, noted("in a meeting"))
      await bob.notified({ state: "active", body: noted("in a meeting") })
      const second = await publish(phone, noted("back in 5"), { "SIP-If-Match": first })
      await publish(phone, noted("available"), { "SIP-If-Match": second })
      await bob.notified({ state: "active", body: noted("available") })
      isDue(4_000)
      await bobPhone.hearsNothing(4_100)
    },
  )

  it(
    "a change taken back within the interval is never told",
    { tags: ["F04", "3265-4.4.10-a", "L36"] },
    async (context) => {
      const { bob, bobPhone, phone } = await scene(context, "udp", { notify_min_interval: 4 })
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active", body: null })
      await pause(4_050)
      const first = await publish(phone, noted("in a meeting"))
      await bob.notified({ state: "active", body: noted("in a meeting") })
      const second = await publish(phone, noted("back in 5"), { "SIP-If-Match": first })
      await publish(phone, noted("in a meeting"), { "SIP-If-Match": second })
      await bobPhone.hearsNothing(4_300)
    },
  )

  it(
    "an expired publication is shown offline, and its refresh is too late",
    { tags: ["F11", "3903-6-g", "3856-6.7-a", "L09", "L17", "L22"] },
    async (context) => {
      const { bob, bobPhone, phone } = await scene(context, "udp", { notify_offline_body: true })
      const isDue = notBefore()
      const entityTag = await publish(phone, phoneOpen, { Expires: "1" })
      await bob.subscribe({ Expires: "3600" })
      await bob.notified({ ...asSent, expires: 3_600 })
      const offline = pidf(`<tuple id="offline"><status><basic>closed</basic></status></tuple>`)
      await bob.notified({ state: "active", expires: 3_600, body: offline })
      isDue(1_000)
      const late = await phone.publish({ "SIP-If-Match": entityTag, Expires: "30" })
      assert.equal(late.raw.status, 412)
      assert.equal(late.header("sip-etag"), null)
      await bobPhone.hearsNothing()
    },
  )

  it(
    "of two devices with one entity-tag the second starts anew",
    { tags: ["F13", "3903-6-g", "3903-5-a", "3903-10.4-a", "L17", "L20"] },
    async (context) => {
      const { bob, phone, pad } = await scene(context, "udp")
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active", body: null })
      const shared = await publish(phone, phoneOpen)
      await bob.notified(asSent)
      const wins = await publish(phone, noted("phone wins"), { "SIP-If-Match": shared })
      await bob.notified({ state: "active", body: noted("phone wins") })
      const padOpen = tuple("pad", "open", "pad")
      const race = await pad.publish({ "SIP-If-Match": shared, Expires: "3600" }, pidf(padOpen))
      assert.equal(race.raw.status, 412)
      const anew = await publish(pad, pidf(padOpen))
      assert.equal(new Set([shared, wins, anew]).size, 3)
      await bob.notified({ state: "active", body: pidf(tuple("phone", "open", "phone wins"), padOpen) })
    },
  )

  it(
    "too short is refused with the minimum",
    { tags: ["F14", "3265-3.1.6.1-c", "3265-3.1.6.4-c", "3903-6-j", "3261-21.4.17-a", "L02"] },
    async (context) => {
      const minima = { min_expires_publish: 120, min_expires_subscribe: 120 }
      const { bob, bobPhone, phone } = await scene(context, "udp", minima)
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active", body: null })
      const brief = await bob.subscribe({ Expires: "30" })
      assert.equal(brief.raw.status, 423)
      assert.equal(brief.header("min-expires"), "120")
      const publication = await phone.publish({ Expires: "30" }, phoneOpen)
      assert.equal(publication.raw.status, 423)
      assert.equal(publication.header("min-expires"), "120")
      assert.equal(publication.header("sip-etag"), null)
      await bobPhone.hearsNothing()
      assert.equal((await bob.subscribe({ Expires: "0" })).raw.status, 200)
      await bob.notified({ state: "terminated;reason=timeout", body: null })
    },
  )

  it(
    "unknown package, wrong type, nothing acceptable",
    {
      tags: [
        "F15",
        "3265-3.1.6.1-b",
        "3903-6-e",
        "3903-6-k",
        "3903-11.1.1-a",
        "6665-4.1.2.1-a",
        "3261-8.2.3-a",
        "L07",
        "L18",
      ],
    },
    async (context) => {
      const { bob, bobPhone, phone } = await scene(context, "udp")
      const weather = await bob.subscribe({ Event: "weather", Accept: null, Expires: "600" })
      assert.equal(weather.raw.status, 489)
      assert.match(weather.header("allow-events") ?? "", /\bpresence\b/)
      const wrong = await phone.publish({ "Content-Type": "text/plain", Expires: "600" }, "hello\r\n")
      assert.equal(wrong.raw.status, 415)
      assert.equal(wrong.header("accept"), "application/pidf+xml")
      const weatherReport = await phone.publish({ Event: "weather", Expires: "600" }, phoneOpen)
      assert.equal(weatherReport.raw.status, 489)
      assert.match(weatherReport.header("allow-events") ?? "", /\bpresence\b/)
      assert.equal((await bob.subscribe({ Accept: "text/plain", Expires: "600" })).raw.status, 406)
      await bobPhone.hearsNothing()
    },
  )

  it(
    "two sources composed, one removed",
    {
      tags: ["F16", "3903-4.2-b", "3903-4.5-a", "3903-6-m", "3903-6-n", "3863-4.1.2-a", "L20", "L21", "L22"],
    },
    async (context) => {
      const { bob, bobPhone, phone, pad } = await scene(context, "udp", {
        id_collision: "rename",
        generate_offline_body: false,
      })
      await bob.subscribe({ Expires: "3600" })
      await bob.notified({ state: "active", body: null })
      const fromPhone = tuple("t1", "open")
      const entityTag = await publish(phone, pidf(fromPhone))
      await bob.notified({ state: "active", body: pidf(fromPhone) })
      const fromPad = tuple("t1", "closed", "pad")
      await publish(pad, pidf(fromPad))
      const both = await bob.notified({ state: "active" })
      const shown = summaryOf({ contentType: "application/pidf+xml", text: both.raw.body.toString("utf8") })
      const tuples = shown?.tuples ?? []
      assert.deepEqual(
        tuples.map(({ basic }) => basic),
        ["open", "closed"],
      )
      assert.equal(tuples[0]?.id, "t1")
      assert.notEqual(tuples[1]?.id, "t1")
      const removal = await phone.publish({ "SIP-If-Match": entityTag, Expires: "0" })
      assert.equal(removal.raw.status, 200)
      assert.equal(removal.header("expires"), "0")
      assert.notEqual(removal.header("sip-etag"), entityTag)
      const survivor = fromPad.replace(`id="t1"`, `id="${tuples[1]?.id}"`)
      await bob.notified({ state: "active", body: pidf(survivor) })
      await bobPhone.hearsNothing()
    },
  )
})
