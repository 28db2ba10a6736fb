/**
 * What RFC 3903 and the presence formats ask of a compositor, on the wire.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { authorize, challengeOf } from "../../src/app/client/credentials.ts"
import { userLine } from "../../src/app/config/users.ts"
import { openScene, phoneClosed, phoneOpen } from "../support/scene.ts"
import type { Call } from "../support/scene.ts"
import { answer, pidf, tuple, xml } from "../support/sip-client.ts"
import { usersFile } from "../support/users.ts"

/** The document a fetch shows. */
const shown = async (watcher: Call): Promise<string> => {
  await watcher.subscribe({ Expires: "0" })
  const notify = await watcher.notify()
  answer(watcher.phone, notify)
  return notify.raw.body.toString("utf8")
}

describe("PUBLISH", () => {
  it(
    "what it does follows from body, entity-tag and lifetime, and from nothing else",
    { tags: ["3903-4.1-b", "3903-6-f", "3903-12-a"] },
    async (context) => {
      const { another } = await openScene(context)
      const [bob, phone] = [await another("bob"), await another("alice")]
      const ask = (headers: Readonly<Record<string, string | readonly string[]>>, body = "") =>
        phone.publish(headers, body)
      // neither body nor tag
      assert.equal((await ask({ Expires: "60" })).raw.status, 400)
      const initial = await ask({ Expires: "60" }, phoneOpen)
      const tag = initial.header("sip-etag")!
      // a token, not a quoted string
      assert.match(tag, /^[A-Za-z0-9.!%*_+`'~-]+$/)
      const refreshed = await ask({ Expires: "60", "SIP-If-Match": tag })
      assert.equal(xml(await shown(bob)), xml(phoneOpen))
      const modified = await ask(
        { Expires: "60", "SIP-If-Match": refreshed.header("sip-etag")! },
        phoneClosed,
      )
      assert.equal(xml(await shown(await another("bob"))), xml(phoneClosed))
      const last = modified.header("sip-etag")!
      for (const wrong of ["*", tag, refreshed.header("sip-etag")!, `${last}x`, last.toUpperCase() + last]) {
        assert.equal((await ask({ Expires: "60", "SIP-If-Match": wrong }, phoneOpen)).raw.status, 412, wrong)
      }
      assert.equal(
        (await ask({ Expires: "60", "SIP-If-Match": `${last}, ${last}` }, phoneOpen)).raw.status,
        400,
      )
      assert.equal((await ask({ Expires: "60", "SIP-If-Match": [last, last] }, phoneOpen)).raw.status, 400)
      assert.equal((await ask({ Expires: "60", "SIP-If-Match": `"${last}"` }, phoneOpen)).raw.status, 400)
      assert.equal(xml(await shown(await another("bob"))), xml(phoneClosed))
      const removed = await ask({ Expires: "0", "SIP-If-Match": last })
      assert.deepEqual([removed.raw.status, removed.header("expires")], [200, "0"])
      assert.equal(await shown(await another("bob")), "")
    },
  )

  it(
    "for somebody of another domain gets 404, as does one for nobody",
    { tags: ["3903-6-d", "3261-8.2.2.1"] },
    async (context) => {
      const { another } = await openScene(context)
      const phone = await another("alice")
      for (const target of ["sip:alice@elsewhere.example", "sip:example.com"]) {
        assert.equal(
          (await phone.ask("PUBLISH", { Expires: "60" }, phoneOpen, target)).raw.status,
          404,
          target,
        )
      }
    },
  )

  it(
    "is challenged by digest with qop, and nobody publishes for somebody else",
    { tags: ["3903-14.1-a", "3903-14.1-b", "3261-22.4-a"] },
    async (context) => {
      const file = usersFile(
        context,
        userLine("alice", "example.com", "wonder", "SHA-256"),
        userLine("bob", "example.com", "builder", "SHA-256"),
      )
      const { another } = await openScene(context, { users_file: file, policy: "open" })
      const publishAs = async (username: string, password: string): Promise<number> => {
        const phone = await another(username)
        const challenged = await phone.publish({ Expires: "60" }, phoneOpen)
        assert.equal(challenged.raw.status, 401)
        assert.match(challenged.header("www-authenticate") ?? "", /^Digest .*qop=/)
        const challenge = challengeOf(challenged)
        assert.ok(challenge !== null)
        const Authorization = authorize(challenge, { user: username, password }, "PUBLISH", phone.target)
        return (await phone.publish({ Expires: "60", Authorization }, phoneOpen)).raw.status
      }
      assert.equal(await publishAs("alice", "wonder"), 200)
      assert.equal(await publishAs("bob", "builder"), 403)
      assert.equal(await publishAs("alice", "builder"), 401)
      const basic = await (
        await another("alice")
      ).publish(
        { Expires: "60", Authorization: `Basic ${Buffer.from("alice:wonder").toString("base64")}` },
        phoneOpen,
      )
      assert.equal(basic.raw.status, 401)
    },
  )

  it(
    "many publications in the interval reach a watcher as one NOTIFY",
    { tags: ["3903-14.2-a"] },
    async (context) => {
      const { another, publish } = await openScene(context, { notify_min_interval: 1 })
      const bob = await another("bob")
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active" })
      for (let round = 0; round < 10; round++) await publish(round % 2 === 0 ? phoneOpen : phoneClosed)
      await bob.notified({ state: "active", body: phoneOpen })
      await bob.notified({ state: "active", body: phoneClosed })
      await bob.phone.hearsNothing()
    },
  )

  it(
    "several PIDF sources are one document, the same whoever asks and however often",
    { tags: ["3903-10.1-a", "3903-10.3-a"] },
    async (context) => {
      const { another } = await openScene(context)
      for (const id of ["desk", "mobile", "web"]) {
        const phone = await another("alice")
        assert.equal((await phone.publish({ Expires: "60" }, pidf(tuple(id, "open")))).raw.status, 200)
      }
      const documents = await Promise.all(
        [another("bob"), another("carol"), another("bob")].map(async (one) => shown(await one)),
      )
      assert.equal(new Set(documents).size, 1)
      assert.deepEqual(documents[0]!.match(/id="(\w+)"/g), ['id="desk"', 'id="mobile"', 'id="web"'])
    },
  )
})

describe("refusals", () => {
  it(
    "a challenge leaves nothing behind: the same request gets the same To tag, another one another",
    { tags: ["3261-8.2.7-a"] },
    async (context) => {
      const file = usersFile(context, userLine("alice", "example.com", "wonder", "SHA-256"))
      const { another } = await openScene(context, { users_file: file })
      const phone = await another("alice")
      const text = phone.write("PUBLISH", { Expires: "60" }, phoneOpen)
      const tagOf = async (message: string): Promise<string> => {
        phone.phone.send(message)
        const response = await phone.phone.next(({ raw }) => !raw.isRequest)
        assert.equal(response.raw.status, 401)
        return /;tag=(\S+)/.exec(response.raw.to)?.[1] ?? ""
      }
      const first = await tagOf(text)
      assert.notEqual(first, "")
      assert.equal(await tagOf(text), first)
      assert.notEqual(await tagOf(phone.write("PUBLISH", { Expires: "60" }, phoneOpen)), first)
    },
  )

  it(
    "what is malformed is answered 400 with a phrase that names it",
    { tags: ["3261-21.4.1-a"] },
    async (context) => {
      const { another } = await openScene(context)
      const phone = await another("alice")
      for (const [headers, phrase] of [
        [{ Event: "presence;id=" }, "Malformed Event"],
        [{ "SIP-If-Match": "a b" }, "Malformed SIP-If-Match"],
        [{ "Content-Type": "nonsense" }, "Malformed Content-Type"],
      ] as const) {
        phone.phone.send(phone.write("PUBLISH", { Expires: "60", ...headers }, phoneOpen))
        const response = await phone.phone.next(({ raw }) => !raw.isRequest)
        assert.deepEqual([response.raw.status, response.reason], [400, phrase])
      }
    },
  )
})

describe("a presence document", () => {
  it(
    "is passed on as it was published, whatever its values are worth",
    { tags: ["3863-4.1.2-b", "3863-4.1.3-a", "3863-4.1.4-a", "3863-4.1.5-a"] },
    async (context) => {
      const { another } = await openScene(context)
      const statuses = [
        "<basic>open</basic>",
        "<basic>Open</basic>",
        "<basic/>",
        '<x:im xmlns:x="urn:x">busy</x:im>',
      ]
      const priorities = ["1", "0.123", "0.1234", "2", "-1", "high", ""]
      const anyTuple = fc.record({
        status: fc.constantFrom(...statuses),
        contact: fc.option(fc.constantFrom(...priorities)),
      })
      let round = 0
      await fc.assert(
        fc.asyncProperty(fc.array(anyTuple, { minLength: 1, maxLength: 3 }), async (tuples) => {
          const presentity = `sip:alice${round++}@example.com`
          const phone = await another("alice")
          const body =
            `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${presentity}">` +
            tuples
              .map(({ status, contact }, index) => {
                const address =
                  contact === null ? "" : `<contact priority="${contact}">sip:a@192.0.2.1</contact>`
                return `<tuple id="t${index}"><status>${status}</status>${address}</tuple>`
              })
              .join("") +
            "</presence>"
          const published = await phone.ask("PUBLISH", { Expires: "60" }, body, presentity)
          assert.equal(published.raw.status, 200)
          const watcher = await another("bob")
          await watcher.ask("SUBSCRIBE", { Expires: "0" }, "", presentity)
          const notify = await watcher.notify()
          answer(watcher.phone, notify)
          assert.equal(xml(notify.raw.body.toString("utf8")), xml(body))
        }),
        { numRuns: 25 },
      )
    },
  )

  it(
    "timestamps come back to the letter, and none is made up",
    { tags: ["3863-4.1.7-a"] },
    async (context) => {
      const { another, publish } = await openScene(context)
      const stamped = pidf(
        tuple("phone", "open").replace("</tuple>", "<timestamp>2026-11-20T10:00:00.5Z</timestamp></tuple>"),
      )
      await publish(stamped)
      assert.match(await shown(await another("bob")), /<timestamp>2026-11-20T10:00:00.5Z<\/timestamp>/)
      await publish(phoneOpen)
      assert.doesNotMatch(await shown(await another("bob")), /timestamp/)
    },
  )

  it(
    "a target that is not ours fails, one that is succeeds with a notification at once and at each change",
    { tags: ["3859-3.4.1-a"] },
    async (context) => {
      const { another, publish } = await openScene(context)
      const bob = await another("bob")
      assert.equal((await bob.ask("SUBSCRIBE", {}, "", "pres:alice@elsewhere.example")).raw.status, 404)
      await publish()
      const carol = await another("carol")
      const granted = await carol.ask("SUBSCRIBE", { Expires: "600" }, "", "pres:alice@example.com")
      assert.equal(granted.raw.status, 200)
      answer(carol.phone, await carol.notify())
      await publish(phoneClosed)
      const changed = await carol.notify()
      answer(carol.phone, changed)
      assert.equal(xml(changed.raw.body.toString("utf8")), xml(phoneClosed))
    },
  )
})
