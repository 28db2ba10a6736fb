/**
 * A short story over the wire, for tests that examine the log afterwards.
 */
import assert from "node:assert/strict"
import { answer, openPhone, pidf, script, tuple } from "./sip-client.ts"

/** Bob watches alice, who opens, closes and opens; he is notified each time; dave publishes. */
export const live = async (port: number): Promise<void> => {
  const phone = await openPhone({ portOf: () => port }, "udp")
  const bob = script(phone, { user: "bob" })
  const published = async (basic: string, over: Record<string, string> = {}) => {
    const { raw, header } = await script(phone, { user: "alice" }).publish(
      { Expires: "600", ...over },
      pidf(tuple("phone", basic)),
    )
    assert.equal(raw.status, 200)
    return header("sip-etag") ?? ""
  }
  assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
  answer(phone, await bob.notify())
  let tag = ""
  for (const basic of ["open", "closed", "open"]) {
    tag = await published(basic, tag === "" ? {} : { "SIP-If-Match": tag })
    answer(phone, await bob.notify())
  }
  await script(phone, { user: "dave", presentity: "sip:dave@example.com" }).publish(
    { Expires: "600" },
    pidf(tuple("phone", "open")),
  )
  phone.close()
}
