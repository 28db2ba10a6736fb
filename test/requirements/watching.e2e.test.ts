/**
 * Who may watch, cell by cell: the table "What is answered" of docs/watching.md, asked of a server over UDP.
 */
import assert from "node:assert/strict"
import { createSocket } from "node:dgram"
import { readFileSync } from "node:fs"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, it } from "vitest"
import { authorize, challengeOf } from "../../src/app/client/credentials.ts"
import { readMessage } from "../../src/app/client/wire.ts"
import type { Message } from "../../src/app/client/wire.ts"
import { userLine } from "../../src/app/config/users.ts"
import { startPresence } from "../support/server.ts"
import type { PresenceServer } from "../support/server.ts"
import { messageText, mint } from "../support/sip-client.ts"
import { root } from "./titles.ts"

/**
 * Whether trusted peers are asked whom they speak for: a peer that asserts nobody is anonymous, and publishes only for
 * whom it asserts. False: those cells are left out.
 */
const arePeersAsked = true

const peerAddress = "127.0.0.20"

interface Actor {
  /** Who it authenticates as; null: it does not. */
  readonly account: string | null
  /** From. */
  readonly uri: string
  /** What a peer says of it; undefined: no peer. Null: nothing. */
  readonly asserted?: string | null
}

const owner = "sip:alice@example.com"
const colleague = "sip:bob@example.com"
const other = "sip:bob@other.example"

const actors: Readonly<Record<string, Actor>> = {
  anonymous: { account: null, uri: "sip:anonymous@anonymous.invalid" },
  "other domain": { account: "bob@other.example", uri: other },
  colleague: { account: "bob", uri: colleague },
  owner: { account: "alice", uri: owner },
  "peer for owner": { account: null, uri: owner, asserted: owner },
  "peer for colleague": { account: null, uri: colleague, asserted: colleague },
  "peer for other domain": { account: null, uri: other, asserted: other },
  // whatever it says in From
  "peer for nobody": { account: null, uri: owner, asserted: null },
}

interface Cell {
  readonly packageName: string
  readonly request: string
  readonly actor: string
  readonly expected: number
}

const cells = (): readonly Cell[] => {
  const page = readFileSync(join(root, "docs/watching.md"), "utf8")
  const table = page.slice(page.indexOf("## What is answered")).split("\n")
  const lines = table
    .filter((line) => line.startsWith("|"))
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
  const [head = [], , ...rows] = lines
  return rows.flatMap(([packageName = "", request = "", ...answers]) =>
    answers.flatMap((answer, index): readonly Cell[] =>
      answer === "–"
        ? []
        : [
            {
              packageName: packageName.replaceAll("`", ""),
              request,
              actor: head[index + 2] ?? "",
              expected: Number(answer),
            },
          ],
    ),
  )
}

const isKnownYet = ({ actor, request }: Cell): boolean =>
  arePeersAsked ||
  !(
    actor === "peer for nobody" ||
    (actor.startsWith("peer") && actor !== "peer for owner" && request === "PUBLISH")
  )

/** Speaks from an address of its own, answers every NOTIFY, and waits for final responses. */
interface Speaker {
  readonly address: string
  readonly ask: (
    write: (authorization: string | null) => string,
    account: string | null,
    target: string,
  ) => Promise<Message>
  /** Documents that came with NOTIFYs, by Call-ID. */
  readonly shown: Map<string, string>
  readonly close: () => void
}

const speakFrom = async (host: string, port: number): Promise<Speaker> => {
  const socket = createSocket("udp4")
  await new Promise<void>((resolve) => socket.bind(0, host, resolve))
  const waiting = new Map<string, (message: Message) => void>()
  const shown = new Map<string, string>()
  const send = (text: string): void => socket.send(Buffer.from(text), port, "127.0.0.1")
  socket.on("message", (bytes) => {
    const message = readMessage(bytes)
    assert.ok(message !== null)
    const { raw } = message
    if (raw.isRequest) {
      const copied = { Via: raw.vias, From: raw.from, To: raw.to, "Call-ID": raw.callId, CSeq: raw.cseqText }
      send(messageText("SIP/2.0 200 OK", copied))
      shown.set(raw.callId, (shown.get(raw.callId) ?? "") + raw.body.toString("utf8"))
    } else if (raw.status >= 200) waiting.get(`${raw.callId} ${raw.cseqText}`)?.(message)
  })
  const once = (text: string): Promise<Message> => {
    const [, callId] = /^Call-ID: (.*?)\r$/m.exec(text) ?? []
    const [, cseq] = /^CSeq: (.*?)\r$/m.exec(text) ?? []
    return new Promise((resolve) => {
      const key = `${callId} ${cseq}`
      // as a phone does while nothing comes
      const again = setInterval(() => send(text), 500)
      waiting.set(key, (message) => {
        clearInterval(again)
        waiting.delete(key)
        resolve(message)
      })
      send(text)
    })
  }
  return {
    address: `${host}:${socket.address().port}`,
    shown,
    close: () => socket.close(),
    ask: async (write, account, target) => {
      const first = await once(write(null))
      const challenge = account === null || first.raw.status !== 401 ? null : challengeOf(first)
      if (challenge === null) return first
      const method = write(null).split(" ", 1)[0]!
      return once(
        write(authorize(challenge, { user: account!, password: `secret of ${account}` }, method, target)),
      )
    },
  }
}

const types: Readonly<Record<string, readonly [type: string, body: string]>> = {
  presence: [
    "application/pidf+xml",
    `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${owner}"><tuple id="t"><status><basic>open</basic></status></tuple></presence>`,
  ],
  dialog: ["application/dialog-info+xml", dialogInfo()],
  "dialog;sla": ["application/dialog-info+xml", dialogInfo()],
  conference: [
    "application/conference-info+xml",
    `<conference-info xmlns="urn:ietf:params:xml:ns:conference-info" entity="${owner}" state="full" version="1"/>`,
  ],
  "message-summary": [
    "application/simple-message-summary",
    "Messages-Waiting: yes\r\nVoice-Message: 4/8\r\n",
  ],
  reg: [
    "application/reginfo+xml",
    `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full"><registration aor="${owner}" id="r" state="active"/></reginfo>`,
  ],
  note: ["text/plain", "secret"],
}

function dialogInfo(): string {
  return `<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="${owner}"><dialog id="d"><state>confirmed</state></dialog></dialog-info>`
}

let index = 0

/** What a request of that kind is made of besides who sends it. */
const contentOf = (
  packageName: string,
  request: string,
): { readonly headers: Readonly<Record<string, string>>; readonly body: string } => {
  // each its own appearance: a line that is taken is refused for that
  const appearance = `<${owner}>;appearance-index=${++index}`
  if (request === "PUBLISH") {
    if (packageName === "call-info")
      return { headers: { "Call-Info": `${appearance};appearance-state=active` }, body: "" }
    const [type = "text/plain", body = "x"] = types[packageName] ?? []
    return { headers: { "Content-Type": type }, body }
  }
  const isSeizing = packageName === "line-seize" && request !== "winfo"
  return { headers: isSeizing ? { "Call-Info": appearance } : {}, body: "" }
}

describe("who may watch", () => {
  let server: PresenceServer
  let phone: Speaker
  let peer: Speaker
  let folder = ""

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "presently-watching-"))
    const users = join(folder, "users.txt")
    const accounts = ["alice", "bob", "bob@other.example"]
    writeFileSync(
      users,
      accounts.map((one) => `${userLine(one, "example.com", `secret of ${one}`, "SHA-256")}\n`).join(""),
    )
    server = await startPresence({
      domain: ["example.com"],
      realm: "example.com",
      users_file: users,
      trusted_peers: [arePeersAsked ? `${peerAddress};identity=pai` : peerAddress],
      pass_through: ["note=text/plain"],
      bla_presentity_spec: "$ru",
    })
    phone = await speakFrom("127.0.0.1", server.portOf("udp"))
    peer = await speakFrom(peerAddress, server.portOf("udp"))
    for (const packageName of [...Object.keys(types), "call-info"]) {
      const { status } = (await ask(phone, actors["owner"]!, packageName, "PUBLISH")).answer.raw
      assert.equal(status, 200, packageName)
    }
  })

  afterAll(async () => {
    phone.close()
    peer.close()
    await server.stop()
    rmSync(folder, { recursive: true })
  })

  const ask = async (
    speaker: Speaker,
    { account, uri, asserted }: Actor,
    packageName: string,
    request: string,
  ) => {
    const method = request === "PUBLISH" ? "PUBLISH" : "SUBSCRIBE"
    const event = request === "winfo" ? `${packageName}.winfo` : packageName
    const callId = mint("watching")
    const tag = mint("t")
    const { headers, body } = contentOf(packageName, request)
    let cseq = 0
    const write = (authorization: string | null): string =>
      messageText(
        `${method} ${owner} SIP/2.0`,
        {
          Via: `SIP/2.0/UDP ${speaker.address};branch=${mint("z9hG4bK")};rport`,
          "Max-Forwards": "70",
          From: `<${uri}>;tag=${tag}`,
          To: `<${owner}>`,
          "Call-ID": callId,
          CSeq: `${++cseq} ${method}`,
          Event: event,
          Expires: request === "fetch" ? "0" : packageName === "line-seize" ? "15" : "600",
          ...(method === "SUBSCRIBE" ? { Contact: `<sip:somebody@${speaker.address}>` } : {}),
          ...(asserted === undefined || asserted === null ? {} : { "P-Asserted-Identity": `<${asserted}>` }),
          ...headers,
          Authorization: authorization,
        },
        body,
      )
    const answer = await speaker.ask(write, account, owner)
    return { answer, callId }
  }

  const table = cells()

  it("the table names every package and every kind of request and watcher", { tags: ["AUT-13"] }, () => {
    assert.deepEqual(
      [...new Set(table.map(({ packageName }) => packageName))],
      [
        ...Object.keys(types).slice(0, 3),
        "call-info",
        "line-seize",
        "conference",
        "message-summary",
        "reg",
        "note",
      ],
    )
    assert.deepEqual(
      [...new Set(table.map(({ request }) => request))],
      ["SUBSCRIBE", "fetch", "winfo", "PUBLISH"],
    )
    assert.deepEqual([...new Set(table.map(({ actor }) => actor))], Object.keys(actors))
    assert.equal(table.length, 9 * 4 * 8 - 8)
  })

  it.for(table.filter(isKnownYet).map((cell) => ({ ...cell, row: `${cell.packageName} ${cell.request}` })))(
    "$row by $actor: $expected",
    { tags: ["AUT-13"] },
    async ({ packageName, request, actor, expected }) => {
      const who = actors[actor]!
      const speaker = who.asserted === undefined ? phone : peer
      const { answer, callId } = await ask(speaker, who, packageName, request)
      assert.equal(answer.raw.status, expected)
      if (request !== "PUBLISH" && expected !== 200) assert.equal(speaker.shown.get(callId) ?? "", "")
    },
  )
})
