/**
 * `presently demo`: the story of a lamp that stays lit. The messages of one change are in `client.e2e.test.ts`.
 */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { describe, it } from "vitest"
import { Presence } from "../../../src/app/library/presence.ts"
import { commandFile } from "../../support/command-file.ts"
import { assertPrints } from "../../support/page.ts"
import { patient, run } from "./command.ts"

const carla = "sip:204@office.example"
const until = "2026-03-02 10:10:08.000"

/** `…` stands for anything. */
const story = `An office, on a clock of its own. 201 is the reception, with lamps for 203 (Ben) and 204 (Carla).
205 (Emil) has a lamp for 204 as well.

  time      what happens                                        203 at 201  204 at 201  204 at 205
  09:00:00  the phones subscribe                                dark        dark        dark
  09:10:00  204 rings: its phone publishes "early"              dark        blinks      blinks
  09:10:08  Carla answers: "confirmed", for an hour             dark        lit         lit
  09:12:30  the phone of 204 loses power during the call        dark        lit         lit
  09:20:00  203 answers a call: "confirmed"                     lit         lit         lit
  09:21:00  203 hangs up: "terminated"                          dark        lit         lit
  09:40:00  reception: Carla is out, why is her lamp lit?       dark        lit         lit

$ presently why ${carla} --watcher sip:201@office.example --at 09:40:00 --utc
sip:201@office.example was told of the change at 2026-03-02 09:10:08.000 (position …, dialog) at once: NOTIFY CSeq 3 answered after 0 ms.
  change    position …: PublicationModified  dialog  confirmed [call]  etag …  until ${until}  from library
  watching  #1  since 2026-03-02 09:00:00.000  position …  from library
  before    position …, 2026-03-02 09:10:00.000: NOTIFY CSeq 2 (early [call]) answered after 0 ms
  told      position …, 2026-03-02 09:10:08.000: NOTIFY CSeq 3 (confirmed [call]) answered after 0 ms

$ presently at ${carla} 09:40:00 --utc
${carla} at 2026-03-02 09:40:00.000, after … decisions
publication  dialog  etag …  confirmed [call]  since 2026-03-02 09:10:08.000  until ${until}
document of dialog …
watcher  sip:201@office.example  dialog  active  since 2026-03-02 09:00:00.000  until 2026-03-02 17:00:00.000  sees confirmed [call]
watcher  sip:205@office.example  dialog  active  since 2026-03-02 09:00:00.000  until 2026-03-02 17:00:00.000  sees confirmed [call]

The server is right by what it knows: the last that the phone of 204 published is "confirmed", and that counts until
10:10:08. The end of the call was never published. Both watchers were told, and answered. So the lamp is lit until
then, unless the phone comes back and publishes.

  10:10:08  the publication expires                             dark        dark        dark

A shorter lifetime ends it sooner: with max_expires_publish = 300 the lamps would have gone out at 09:15:08.

Next: presently demo sip:alice@example.com draws the messages of such a change.
      presently dev, and in a second terminal: presently watch sip:alice@example.com
`

describe.concurrent("demo", patient, () => {
  it(
    "tells of a lamp that stays lit: which publication, until when, who sees it; the same each time",
    { tags: ["OPS-demo"] },
    async () => {
      const [first, second] = await Promise.all([run(["demo"]), run(["demo"], { env: { TZ: "Asia/Tokyo" } })])
      assert.deepEqual([first.code, first.stderr], [0, ""])
      assertPrints(first.stdout, { command: "demo", output: story })
      assert.equal(second.stdout, first.stdout)
      assert.ok(!first.stdout.includes("\u001b"), "no colour away from a terminal")
    },
  )

  const canUnshare = spawnSync("unshare", ["-n", "true"]).status === 0
  it.skipIf(!canUnshare)(
    "needs no network, not even a loopback interface (left out where no network namespace can be made)",
    { tags: ["OPS-demo"] },
    () => {
      const { status, stdout } = spawnSync("unshare", ["-n", process.execPath, commandFile(), "demo"], {
        encoding: "utf8",
      })
      assert.equal(status, 0)
      assertPrints(stdout, { command: "demo", output: story })
    },
  )

  it("is right about what a shorter lifetime would have done", { tags: ["OPS-demo"] }, async () => {
    let now = Date.parse("2026-03-02T09:10:08Z")
    await using presence = await Presence.make({ now: () => now, limits: { maxExpiresPublish: 300 } })
    const body =
      `<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="${carla}">` +
      `<dialog id="call"><state>confirmed</state></dialog></dialog-info>`
    await presence.publish({ presentity: carla, event: "dialog", body, expires: 3600 })
    const count = async (time: string): Promise<number> => {
      now = Date.parse(`2026-03-02T${time}Z`)
      await presence.settle()
      return (await presence.at(carla, now)).publications.length
    }
    assert.deepEqual([await count("09:15:07"), await count("09:15:08")], [1, 0])
  })
})
