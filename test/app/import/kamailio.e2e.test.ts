/**
 * A weekend's move: phones and publishers on a real Kamailio, its database taken over, and the same phones on our server
 * at the same address.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { emptyEmbedded } from "../../support/embedded.ts"
import { noKamailio, startKamailio } from "../../support/kamailio.ts"
import { emptyFolder, importFrom, inShort } from "../../support/moving.ts"
import { phoneClosed, phoneOpen, toldOfWatchers, winfo } from "../../support/scene.ts"
import type { Call } from "../../support/scene.ts"
import { startPresence } from "../../support/server.ts"
import type { PresenceServer } from "../../support/server.ts"
import { answer, openPhone, script } from "../../support/sip-client.ts"

if (noKamailio !== null) process.stderr.write(`kamailio.e2e.test.ts skipped: ${noKamailio}\n`)

describe.skipIf(noKamailio !== null)("moving over from Kamailio", () => {
  it(
    "dialogs, CSeq, versions and entity-tags go on where Kamailio left them",
    { tags: ["OPS-import", "L05"] },
    async (context) => {
      const kamailio = await startKamailio()
      context.onTestFinished(kamailio.remove)
      const place = { portOf: () => kamailio.port }
      const another = async (user: string): Promise<Call> => {
        const phone = await openPhone(place, "udp")
        context.onTestFinished(phone.close)
        return Object.assign(script(phone, { user }), { phone })
      }
      const bob = await another("bob")
      assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
      await bob.notified({ state: "active" })
      const owner = await another("alice")
      assert.equal((await owner.subscribe({ ...winfo, Expires: "600" })).raw.status, 200)
      const list = await owner.notify()
      answer(owner.phone, list)
      const alice = await another("alice")
      const first = await alice.publish({ Expires: "600" }, phoneOpen)
      assert.equal(first.raw.status, 200)
      await bob.notified({ state: "active" })
      await kamailio.stop()

      const data = await emptyEmbedded(emptyFolder(context))
      const request = { layout: "kamailio", from: kamailio.file } as const
      const report = await importFrom(request, { data })
      assert.deepEqual(inShort(report, "presentity"), { taken: 1, present: 0 })
      assert.deepEqual(inShort(report, "active_watchers"), { taken: 2, present: 0 })
      assert.equal(report.decisions, 3)

      const server: PresenceServer = await startPresence({
        memory: false,
        data,
        domain: ["example.com"],
        listen: [`udp:127.0.0.1:${kamailio.port}`],
      })
      let isStopped = false
      const stop = async (): Promise<void> => {
        if (!isStopped) await server.stop()
        isStopped = true
      }
      context.onTestFinished(stop)
      // nobody is told anything because of the move itself
      await bob.phone.hearsNothing()

      const changed = await alice.publish(
        { Expires: "600", "SIP-If-Match": first.header("sip-etag") ?? "" },
        phoneClosed,
      )
      assert.equal(changed.raw.status, 200)
      // the script has checked tags and that the CSeq is the next one
      await bob.notified({ state: "active", body: phoneClosed })
      assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
      await bob.notified({ state: "active", body: phoneClosed })

      const carol = await another("carol")
      assert.equal((await carol.subscribe({ Expires: "600" })).raw.status, 200)
      await carol.notified({ state: "active" })
      const told = await toldOfWatchers(owner)
      assert.equal(told.cseq, list.raw.cseq + 1)
      assert.deepEqual(
        told.rows.map((row) => row.split(" ").slice(0, 2).join(" ")),
        ["sip:bob@example.com active", "sip:carol@example.com active"],
      )
      const before = Number(/version="(\d+)"/.exec(list.raw.body.toString("utf8"))?.[1])
      assert.equal(told.version, before + 1)

      assert.equal((await bob.subscribe({ Expires: "0" })).raw.status, 200)
      await bob.notified({ state: "terminated;reason=timeout" })

      // what the server has moved on since does not come back
      await stop()
      const again = await importFrom(request, { data })
      assert.equal(again.decisions, 0)
      assert.deepEqual(inShort(again, "active_watchers"), { taken: 0, present: 2 })
      assert.deepEqual(inShort(again, "presentity"), { taken: 0, present: 1 })
    },
  )
})
