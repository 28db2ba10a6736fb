/**
 * The other end of a warm-up: it publishes and watches as phones do, and answers every NOTIFY.
 */

export interface Peer {
  /** The next request, of another presentity each time until all had their turn; the last of the same one is answered by then. */
  readonly next: () => string
  /** Takes what the server sends. @returns the answer to a NOTIFY; null: none is due */
  readonly take: (message: string) => string | null
}

/** Presentities that take turns, each with its own watchers: so many requests may be under way together. */
export const presentitiesMax = 8

/** What is known of one presentity. */
interface Line {
  readonly name: string
  entityTag: string | null
  /** To tags of the subscriptions, by the number in their Call-ID. */
  readonly tags: Map<number, string>
}

/** What it has sent so far. */
interface Sent {
  steps: number
  requests: number
  watchers: number
}

export const makePeer = (): Peer => {
  const lines = Array.from({ length: presentitiesMax }, (_, index): Line => ({
    name: `sip:warm${index}@localhost`,
    entityTag: null,
    tags: new Map(),
  }))
  const sent: Sent = { steps: 0, requests: 0, watchers: 0 }
  return {
    next: () => {
      const step = sent.steps++
      const line = lines[step % presentitiesMax]!
      // each line takes all eight in turn, and lines that follow each other are at different ones
      switch ((Math.floor(step / presentitiesMax) + step) % 8) {
        case 0:
          return line.tags.size > 3
            ? subscribeAgain(sent, line, 0)
            : subscribe(sent, line, ++sent.watchers, null, 3600)
        case 3:
          return publish(sent, line, line.entityTag === null ? documentOf(line.name, step) : "")
        case 5:
        case 6:
          return subscribeAgain(sent, line, 3600)
        default:
          return publish(sent, line, documentOf(line.name, step))
      }
    },
    take: (message) => {
      if (message.startsWith("NOTIFY")) return answerTo(message)
      takeAnswer(lines, message)
      return null
    },
  }
}

interface Address {
  readonly callId: string
  readonly from: string
  readonly to: string
}

const headOf = (sent: Sent, method: string, { name }: Line, { callId, from, to }: Address): string => {
  const number = ++sent.requests
  return (
    `${method} ${name} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bKwarm${number}\r\n` +
    `Max-Forwards: 70\r\nFrom: ${from}\r\nTo: ${to}\r\nCall-ID: ${callId}\r\nCSeq: ${number} ${method}\r\n` +
    "User-Agent: warm-up\r\nEvent: presence\r\n"
  )
}

const publish = (sent: Sent, line: Line, body: string): string => {
  const self = `<${line.name}>`
  const address = { callId: `publish-${line.name}`, from: `${self};tag=p`, to: self }
  const match = line.entityTag === null ? "" : `SIP-If-Match: ${line.entityTag}\r\n`
  const type = body === "" ? "" : "Content-Type: application/pidf+xml\r\n"
  const head = headOf(sent, "PUBLISH", line, address)
  return `${head}${match}Expires: 3600\r\n${type}Content-Length: ${body.length}\r\n\r\n${body}`
}

/** @param tag that of the server in a dialog; null: the subscription is new */
const subscribe = (sent: Sent, line: Line, number: number, tag: string | null, expires: number): string => {
  const watcher = `watcher${number % 16}`
  const head = headOf(sent, "SUBSCRIBE", line, {
    callId: `watch-${number}`,
    from: `"Watcher" <sip:${watcher}@localhost>;tag=w`,
    to: tag === null ? `<${line.name}>` : `<${line.name}>;tag=${tag}`,
  })
  return (
    `${head}Contact: <sip:${watcher}@192.0.2.1:5060>\r\nAccept: application/pidf+xml\r\n` +
    `Expires: ${expires}\r\nContent-Length: 0\r\n\r\n`
  )
}

/** In the dialog of the watcher of a line that has waited longest; a new one when there is none, or its answer has not come. */
const subscribeAgain = (sent: Sent, line: Line, expires: number): string => {
  const [first] = line.tags
  if (first === undefined) return subscribe(sent, line, ++sent.watchers, null, 3600)
  const [number, tag] = first
  line.tags.delete(number)
  if (expires > 0) line.tags.set(number, tag)
  return subscribe(sent, line, number, tag, expires)
}

const valueOf = (message: string, name: string): string => {
  const at = message.indexOf(`\r\n${name}: `)
  return at < 0 ? "" : message.slice(at + name.length + 4, message.indexOf("\r\n", at + 2))
}

const answerTo = (request: string): string => {
  const copied = ["Via", "From", "To", "Call-ID", "CSeq"]
    .map((name) => `${name}: ${valueOf(request, name)}\r\n`)
    .join("")
  return `SIP/2.0 200 OK\r\n${copied}Content-Length: 0\r\n\r\n`
}

/** What the answer to a request of ours says: an entity-tag, or the tag of a dialog. */
const takeAnswer = (lines: readonly Line[], message: string): void => {
  const to = valueOf(message, "To")
  const line = lines.find(({ name }) => to.startsWith(`<${name}>`))
  if (line === undefined) return
  const isAccepted = message.startsWith("SIP/2.0 2")
  const [kind, number] = valueOf(message, "Call-ID").split("-")
  // after a refusal it begins anew
  if (kind === "publish") line.entityTag = isAccepted ? valueOf(message, "SIP-ETag") : null
  else if (!isAccepted) line.tags.delete(Number(number))
  else if (valueOf(message, "Expires") !== "0") {
    const tag = /;tag=([^;]+)/.exec(to)?.[1]
    if (tag !== undefined) line.tags.set(Number(number), tag)
  }
}

const documentOf = (presentity: string, turn: number): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\r\n<presence xmlns="urn:ietf:params:xml:ns:pidf" ` +
  `xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="${presentity}">` +
  `<tuple id="t"><status><basic>${turn % 3 === 0 ? "closed" : "open"}</basic></status>` +
  `<contact priority="0.8">${presentity};transport=udp</contact><note xml:lang="en">turn ${turn} &amp; on</note>` +
  `<timestamp>2026-01-01T00:00:00Z</timestamp></tuple><tuple id="u"><status><basic>open</basic></status></tuple>` +
  `<dm:person id="p"><r:activities><r:busy/></r:activities></dm:person></presence>`
