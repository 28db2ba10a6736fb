/**
 * A shared line over UDP: two phones that watch it, take its appearances and give them back.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { openScene } from "../support/scene.ts"
import type { Call, SceneSettings } from "../support/scene.ts"
import { answer } from "../support/sip-client.ts"

const line = "<sip:alice@example.com>"
const which = (index: number): string => `${line};appearance-index=${index}`
const appearance = (index: number | "*", state: string): string =>
  `${line};appearance-index=${index};appearance-state=${state}`
const idle = appearance("*", "idle")

const watching = { Event: "call-info", Accept: null, Expires: "600" }
const seizing = (index: number) => ({
  Event: "line-seize",
  Accept: null,
  Expires: null,
  "Call-Info": which(index),
})
const publishing = { Event: "call-info", Expires: "600" }

/** The next NOTIFY of a call, answered: its Subscription-State without `expires`, and its appearances. */
const told = async (call: Call, withinMs?: number): Promise<readonly string[]> => {
  const notify = await call.notify(withinMs)
  answer(call.phone, notify)
  assert.deepEqual([notify.raw.body.length, notify.header("content-type")], [0, null])
  assert.equal(notify.headers("call-info").length, 1)
  const state = (notify.header("subscription-state") ?? "").replace(/;expires=\d+/, "")
  return [`${notify.header("event")} ${state}`, ...(notify.header("call-info") ?? "").split(", ")]
}

const watched = "call-info active"
const seized = "line-seize active"

/** Two phones of alice's line, both watching it. */
const openLine = async (context: TestContext, settings: SceneSettings = {}) => {
  const scene = await openScene(context, settings)
  const [desk, kitchen] = [await scene.another("alice"), await scene.another("alice")]
  for (const phone of [desk, kitchen]) {
    assert.equal((await phone.subscribe(watching)).raw.status, 200)
    assert.deepEqual(await told(phone), [watched, idle])
  }
  return { ...scene, desk, kitchen }
}

describe("a shared line", () => {
  it(
    "what is published of its appearances is in the Call-Info of NOTIFYs, and gone when it ends",
    { tags: ["SCA-2", "SCA-3", "OPS-extra_hdrs"] },
    async (context) => {
      const { desk, kitchen, another } = await openLine(context)
      const pbx = await another("pbx")
      const both = async (...appearances: readonly string[]): Promise<void> => {
        for (const phone of [desk, kitchen]) assert.deepEqual(await told(phone), [watched, ...appearances])
      }
      const more = ';appearance-uri="\\"Bob, the builder\\" <sip:bob@example.com>"'
      const published = await pbx.publish({
        ...publishing,
        "Call-Info": [appearance(2, "alerting"), appearance(1, "active") + more],
      })
      assert.equal(published.raw.status, 200)
      // a comma in quotes separates nothing
      for (const phone of [desk, kitchen]) {
        const notify = await phone.notify()
        answer(phone.phone, notify)
        assert.equal(
          notify.header("call-info"),
          [appearance(1, "active") + more, appearance(2, "alerting"), idle].join(", "),
        )
      }
      const tag = published.header("sip-etag") ?? ""
      const modified = await pbx.publish({
        ...publishing,
        "SIP-If-Match": tag,
        "Call-Info": appearance(2, "active"),
      })
      await both(appearance(2, "active"), idle)
      const refreshed = await pbx.publish({
        ...publishing,
        "SIP-If-Match": modified.header("sip-etag") ?? "",
      })
      assert.equal(refreshed.raw.status, 200)
      await pbx.publish({ ...publishing, "SIP-If-Match": refreshed.header("sip-etag") ?? "", Expires: "0" })
      await both(idle)
      for (const phone of [desk, kitchen]) await phone.phone.hearsNothing()
    },
  )

  it(
    "without Call-Info, with one that says nothing, or with a body it is refused",
    { tags: ["SCA-4", "PUB-12"] },
    async (context) => {
      const { another } = await openScene(context)
      const pbx = await another("pbx")
      assert.equal((await pbx.publish(publishing)).raw.status, 400)
      assert.equal((await pbx.publish({ ...publishing, "Call-Info": line })).raw.status, 400)
      const headers = { ...publishing, "Call-Info": appearance(1, "active"), "Content-Type": "text/plain" }
      assert.equal((await pbx.publish(headers, "x")).raw.status, 415)
    },
  )

  it(
    "one phone takes an appearance, the other gets 480 for it, until it is given back",
    { tags: ["SCA-5", "SCA-6", "SUB-11"] },
    async (context) => {
      const { desk, kitchen, another } = await openLine(context)
      const dialling = await another("alice")
      const granted = await dialling.subscribe(seizing(1))
      assert.deepEqual([granted.raw.status, granted.header("expires")], [200, "15"])
      assert.deepEqual(await told(dialling), [seized, appearance(1, "seized"), idle])
      for (const phone of [desk, kitchen])
        assert.deepEqual(await told(phone), [watched, appearance(1, "seized"), idle])

      const late = await another("alice")
      const refused = await late.subscribe(seizing(1))
      assert.deepEqual([refused.raw.status, refused.reason], [480, "Temporarily Unavailable"])
      assert.equal((await late.subscribe({ ...seizing(1), "Call-Info": null })).raw.status, 400)

      assert.equal((await dialling.subscribe({ ...seizing(1), Expires: "0" })).raw.status, 200)
      assert.deepEqual(await told(dialling), ["line-seize terminated;reason=timeout", idle])
      for (const phone of [desk, kitchen]) assert.deepEqual(await told(phone), [watched, idle])
      const lucky = await another("alice")
      assert.equal((await lucky.subscribe(seizing(1))).raw.status, 200)
      assert.deepEqual(await told(lucky), [seized, appearance(1, "seized"), idle])
      for (const phone of [desk, kitchen])
        assert.deepEqual(await told(phone), [watched, appearance(1, "seized"), idle])
    },
  )

  it.for([
    [false, "line_seize_timeout_notification"],
    [true, "line_seize_timeout_notification"],
  ] as const)(
    "time gives it back; told %s by OPS-%s",
    { tags: ["SCA-7"] },
    async ([line_seize_timeout_notification], context) => {
      const { desk, another } = await openLine(context, { line_seize_timeout_notification })
      const dialling = await another("alice")
      await dialling.subscribe({ ...seizing(3), Expires: "1" })
      assert.deepEqual(await told(dialling), [seized, appearance(3, "seized"), idle])
      assert.deepEqual(await told(desk), [watched, appearance(3, "seized"), idle])
      assert.deepEqual(await told(desk), [watched, idle])
      if (line_seize_timeout_notification)
        assert.deepEqual(await told(dialling), ["line-seize terminated;reason=timeout", idle])
      else await dialling.phone.hearsNothing()
    },
  )

  it.for([
    [true, "call_info_timeout_notification"],
    [false, "call_info_timeout_notification"],
  ] as const)(
    "who watches no longer is told %s by OPS-%s",
    { tags: ["SCA-7"] },
    async ([call_info_timeout_notification], context) => {
      const { another } = await openScene(context, { call_info_timeout_notification })
      const phone = await another("alice")
      await phone.subscribe({ ...watching, Expires: "1" })
      await told(phone)
      if (call_info_timeout_notification)
        assert.deepEqual(await told(phone), ["call-info terminated;reason=timeout", idle])
      else await phone.phone.hearsNothing(1_500)
    },
  )
})
