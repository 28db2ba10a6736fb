/**
 * A server for one test, its phones, and the messages that they exchange most; all are closed after the test.
 */
import assert from "node:assert/strict"
import type { TestContext } from "vitest"
import type { Message } from "../../src/app/client/wire.ts"
import { startPresence } from "./server.ts"
import type { PresenceServer } from "./server.ts"
import { answer, openPhone, pidf, script, tuple } from "./sip-client.ts"
import type { Phone, Script, Transport } from "./sip-client.ts"
import { watcherList } from "./watcher-info-reader.ts"
import type { Watchers } from "./watcher-info-reader.ts"

export const phoneOpen = pidf(tuple("phone", "open"))
export const phoneClosed = pidf(tuple("phone", "closed"))

/** A call and the phone that makes it. */
export type Call = Script & { readonly phone: Phone }

export interface Scene {
  readonly server: PresenceServer
  /** A further phone. */
  readonly anotherPhone: () => Promise<Phone>
  /** A call of that user on a new phone. */
  readonly another: (user: string) => Promise<Call>
  /** Alice's only publication: created the first time, then modified. */
  readonly publish: (body?: string) => Promise<void>
  /**
   * Puts Alice's rules in force through the management port, which must be on; null removes them. Returns the status.
   */
  readonly rules: (text: string | null) => Promise<number>
}

export type SceneSettings = Parameters<typeof startPresence>[0]

export const openScene = async (
  { onTestFinished }: TestContext,
  settings: SceneSettings = {},
  transport: Transport = "udp",
): Promise<Scene> => {
  const server = await startPresence({ domain: ["example.com"], ...settings })
  const phones: Phone[] = []
  onTestFinished(async () => {
    // the stop must not wait for NOTIFYs that the test did not answer
    await Promise.all(phones.map(hangUp))
    for (const phone of phones) phone.close()
    await server.stop()
  })
  const anotherPhone = async (): Promise<Phone> => {
    const phone = await openPhone(server, transport)
    phones.push(phone)
    return phone
  }
  const another = async (user: string): Promise<Call> => {
    const phone = await anotherPhone()
    return Object.assign(script(phone, { user }), { phone })
  }
  let publisher: Call | null = null
  let entityTag: string | null = null
  return {
    server,
    anotherPhone,
    another,
    publish: async (body = phoneOpen) => {
      publisher ??= await another("alice")
      const match: Record<string, string> = entityTag === null ? {} : { "SIP-If-Match": entityTag }
      const response = await publisher.publish({ Expires: "3600", ...match }, body)
      assert.equal(response.raw.status, 200)
      entityTag = response.header("sip-etag")
    },
    rules: async (text) => {
      const response = await fetch(
        `${server.admin}/v1/presentities/${encodeURIComponent("sip:alice@example.com")}/rules`,
        {
          method: text === null ? "DELETE" : "PUT",
          headers: { connection: "close" },
          ...(text === null ? {} : { body: text }),
        },
      )
      await response.text()
      return response.status
    },
  }
}

/** Ends each subscription whose NOTIFY has arrived, or is on its way, and was not taken by the test. */
const hangUp = async (phone: Phone): Promise<void> => {
  const isNotify = ({ raw }: Message): boolean => raw.isRequest && raw.method === "NOTIFY"
  for (;;) {
    const notify = await phone.next(isNotify, 15).catch(() => null)
    if (notify === null) return
    answer(phone, notify, "481 Gone")
  }
}

/** Headers of a SUBSCRIBE for watcher information. */
export const winfo = { Event: "presence.winfo", Accept: "application/watcherinfo+xml" }

/** The next NOTIFY of a winfo subscription, answered 200; `rows` has `uri status event` of each watcher. */
export const toldOfWatchers = async (
  owner: Call,
): Promise<Watchers & { readonly rows: readonly string[]; readonly cseq: number }> => {
  const notify = await owner.notify()
  answer(owner.phone, notify)
  assert.equal(notify.header("event"), "presence.winfo")
  const contentType = notify.header("content-type") ?? ""
  const list = watcherList({ contentType, text: notify.raw.body.toString("utf8") })
  assert.ok(list !== null, contentType)
  assert.deepEqual([list.resource, list.packageName], ["sip:alice@example.com", "presence"])
  return {
    ...list,
    cseq: notify.raw.cseq,
    rows: list.entries.map(({ uri, status, event }) => `${uri} ${status} ${event}`),
  }
}
