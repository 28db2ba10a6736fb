/**
 * Publishers and watchers that remember what they were promised, over one UDP socket.
 *
 * A promise is a 2xx. Whatever becomes of the server, `verify` then asks it to keep each one: the entity-tag of the last
 * 200 still refreshes, the subscription of the last 200 still refreshes, its document holds the last acknowledged
 * change, and the CSeq numbers of a dialog's NOTIFYs only rise.
 */
import { randomBytes } from "node:crypto"
import { createSocket } from "node:dgram"
import type { Socket } from "node:dgram"
import { setTimeout as pauseFor } from "node:timers/promises"

export interface Findings {
  /** Promises asked to be kept, and those that were not. */
  readonly checked: number
  readonly lost: readonly string[]
  /** NOTIFYs whose CSeq was not above all earlier ones of the dialog. */
  readonly disorder: readonly string[]
  /** 412 to a change whose first attempt fell into an outage: stored, but never promised. */
  readonly doubtful: number
  readonly acknowledged: { readonly publish: number; readonly subscribe: number; readonly notify: number }
}

/** A request as the log names it: Call-ID and the number of its CSeq. */
export type RequestName = `${string} ${number}`

interface Answer {
  readonly status: number
  readonly header: (name: string) => string | null
  readonly toTag: string
}

interface Publisher {
  readonly uri: string
  readonly callId: string
  cseq: number
  entityTag: string | null
  /** The change last acknowledged, and the last one sent at all. */
  acknowledged: number
  sent: number
  /** A change was sent again after no answer or a 503: it may be stored without having been promised. */
  unsure: boolean
}

interface Watcher {
  readonly presentity: Publisher
  readonly uri: string
  callId: string
  readonly tag: string
  cseq: number
  /** Our peer's tag and Contact, once the subscription is acknowledged. */
  dialog: { readonly toTag: string; readonly contact: string } | null
  unsure: boolean
  /** Highest change seen in a NOTIFY of this dialog. */
  seen: number
}

export interface Load {
  /** Runs until `pause`; operations under way at a crash go on being retried. */
  readonly resume: () => void
  /** Lets every operation come to its end. */
  readonly pause: () => Promise<void>
  /** Asks for every promise; call while paused. */
  readonly verify: () => Promise<void>
  /** Whether everybody has been promised something. */
  readonly isServed: () => boolean
  readonly findings: () => Findings
  /** Every PUBLISH and SUBSCRIBE that got a 200. */
  readonly acknowledged: () => ReadonlySet<RequestName>
  /** From now on requests go to another server. */
  readonly moveTo: (port: number) => void
  readonly close: () => void
}

export const makeLoad = async (options: {
  readonly port: number
  readonly publishers: number
  readonly watchersEach: number
  /** Watchers of each that subscribe, unsubscribe and come again; left out: none. */
  readonly passersEach?: number
}): Promise<Load> => {
  const socket: Socket = createSocket({ type: "udp4", recvBufferSize: 4 << 20 })
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve))
  const ownPort = socket.address().port
  const waiting = new Map<string, (answer: Answer) => void>()
  const lost: string[] = []
  const disorder: string[] = []
  const counts = { publish: 0, subscribe: 0, notify: 0 }
  const acknowledged = new Set<RequestName>()
  let checked = 0
  let doubtful = 0
  let running = false
  let closed = false
  let busy = 0

  /** By dialog: the branch each CSeq came with, and the highest CSeq. */
  const notifies = new Map<string, { highest: number; readonly branches: Map<number, string> }>()
  const byCallId = new Map<string, Watcher>()

  let port = options.port

  socket.on("message", (bytes, from) => {
    const text = bytes.toString("utf8")
    const headEnd = text.indexOf("\r\n\r\n")
    const lines = text.slice(0, headEnd).split("\r\n")
    const header = (name: string): string | null => {
      const prefix = `${name.toLowerCase()}:`
      const line = lines.find((one) => one.toLowerCase().startsWith(prefix))
      return line === undefined ? null : line.slice(prefix.length).trim()
    }
    const cseq = header("CSeq") ?? ""
    // a provisional answer promises nothing
    if (lines[0]!.startsWith("SIP/2.0 1")) return
    if (lines[0]!.startsWith("SIP/2.0 ")) {
      const key = `${header("Call-ID")} ${cseq}`
      const toTag = /;tag=([^;>]+)/.exec(header("To") ?? "")?.[1] ?? ""
      waiting.get(key)?.({ status: Number(lines[0]!.slice(8, 11)), header, toTag })
      return
    }
    if (!lines[0]!.startsWith("NOTIFY ")) return
    const callId = header("Call-ID") ?? ""
    const dialog = `${callId} ${header("From")}`
    const branch = /branch=([^;]+)/.exec(header("Via") ?? "")?.[1] ?? ""
    const number = Number(cseq.split(" ")[0])
    const known = notifies.get(dialog) ?? { highest: 0, branches: new Map<number, string>() }
    notifies.set(dialog, known)
    // the same request again is a retransmission, whatever came in between
    const isRepeat = known.branches.get(number) === branch
    if (!isRepeat && number <= known.highest)
      disorder.push(`${dialog}: NOTIFY ${number} after ${known.highest}`)
    known.branches.set(number, branch)
    known.highest = Math.max(known.highest, number)
    if (!isRepeat) counts.notify++
    const watcher = byCallId.get(callId)
    const change = /<note>change (\d+)<\/note>/.exec(text.slice(headEnd))
    if (watcher !== undefined && change !== null) watcher.seen = Math.max(watcher.seen, Number(change[1]))
    const copied = lines.filter((line) => /^(via|from|to|call-id|cseq):/i.test(line)).join("\r\n")
    socket.send(`SIP/2.0 200 OK\r\n${copied}\r\nContent-Length: 0\r\n\r\n`, from.port, "127.0.0.1")
  })

  /** One request until its final answer: sent again every half second, as a client transaction would, without end. */
  const ask = async (
    method: string,
    target: string,
    head: { readonly from: string; readonly to: string; readonly callId: string; readonly cseq: number },
    headers: readonly string[],
    body: string,
  ): Promise<Answer & { readonly tries: number }> => {
    const branch = `z9hG4bK${randomBytes(9).toString("hex")}`
    const message = [
      `${method} ${target} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.1:${ownPort};branch=${branch};rport`,
      "Max-Forwards: 70",
      `From: ${head.from}`,
      `To: ${head.to}`,
      `Call-ID: ${head.callId}`,
      `CSeq: ${head.cseq} ${method}`,
      "Event: presence",
      ...headers,
      `Content-Length: ${Buffer.byteLength(body)}`,
      "",
      body,
    ].join("\r\n")
    const key = `${head.callId} ${head.cseq} ${method}`
    let tries = 0
    const answer = await new Promise<Answer>((resolve, reject) => {
      const send = (): void => {
        if (closed) return reject(new Error("closed"))
        tries++
        socket.send(message, port, "127.0.0.1")
      }
      const timer = setInterval(send, 500)
      waiting.set(key, (one) => {
        clearInterval(timer)
        waiting.delete(key)
        resolve(one)
      })
      send()
    })
    return { ...answer, tries }
  }

  const publishOnce = async (one: Publisher, change: number | null): Promise<number> => {
    const body =
      change === null
        ? ""
        : `<?xml version="1.0" encoding="UTF-8"?>\r\n<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${one.uri}">` +
          `<tuple id="t"><status><basic>open</basic></status><note>change ${change}</note></tuple></presence>\r\n`
    const answer = await ask(
      "PUBLISH",
      one.uri,
      { from: `<${one.uri}>;tag=p`, to: `<${one.uri}>`, callId: one.callId, cseq: ++one.cseq },
      [
        "Expires: 3600",
        ...(one.entityTag === null ? [] : [`SIP-If-Match: ${one.entityTag}`]),
        ...(body === "" ? [] : ["Content-Type: application/pidf+xml"]),
      ],
      body,
    )
    if (answer.tries > 1 || answer.status === 503) one.unsure = true
    if (answer.status === 200) {
      counts.publish++
      acknowledged.add(`${one.callId} ${one.cseq}`)
      one.entityTag = answer.header("SIP-ETag")
      if (change !== null) one.acknowledged = change
      one.unsure = false
    }
    return answer.status
  }

  const publishing = async (one: Publisher): Promise<void> => {
    while (running) {
      const change = ++one.sent
      const status = await publishOnce(one, change)
      if (status === 412) {
        if (one.unsure) doubtful++
        else lost.push(`${one.uri}: entity-tag of change ${one.acknowledged} got 412`)
        one.entityTag = null
        one.unsure = false
      } else if (status === 503) await pauseFor(200)
      else if (status !== 200) lost.push(`${one.uri}: change ${change} got ${status}`)
      await pauseFor(5 + Math.random() * 10)
    }
  }

  const subscribeOnce = async (one: Watcher, expires = 3600): Promise<number> => {
    const { dialog } = one
    const to = `<${one.presentity.uri}>`
    const answer = await ask(
      "SUBSCRIBE",
      dialog?.contact ?? one.presentity.uri,
      {
        from: `<${one.uri}>;tag=${one.tag}`,
        to: dialog === null ? to : `${to};tag=${dialog.toTag}`,
        callId: one.callId,
        cseq: ++one.cseq,
      },
      [`Contact: <sip:w@127.0.0.1:${ownPort}>`, "Accept: application/pidf+xml", `Expires: ${expires}`],
      "",
    )
    if (answer.tries > 1 || answer.status === 503) one.unsure = true
    if (answer.status === 200) {
      counts.subscribe++
      acknowledged.add(`${one.callId} ${one.cseq}`)
      const contact = /<([^>]+)>/.exec(answer.header("Contact") ?? "")?.[1] ?? one.presentity.uri
      one.dialog ??= { toTag: answer.toTag, contact }
      one.unsure = false
    }
    return answer.status
  }

  const watching = async (one: Watcher): Promise<void> => {
    while (running) {
      const status = await subscribeOnce(one)
      // a refresh stored before the crash makes its repetition look like an old request
      if (status === 500 && one.unsure) {
        doubtful++
        one.unsure = false
      } else if (status === 503) await pauseFor(200)
      else if (status !== 200) {
        lost.push(`${one.uri} watching ${one.presentity.uri}: got ${status}`)
        renew(one)
      }
      await pauseFor(50 + Math.random() * 200)
    }
  }

  /** Comes and goes: whatever becomes of a request in an outage, it begins anew. */
  const passing = async (one: Watcher): Promise<void> => {
    while (running) {
      const status = await subscribeOnce(one)
      if (status === 503) await pauseFor(200)
      if (status === 200) {
        await pauseFor(20 + Math.random() * 100)
        await subscribeOnce(one, 0)
      }
      renew(one)
      await pauseFor(20 + Math.random() * 100)
    }
  }

  const renew = (one: Watcher): void => {
    byCallId.delete(one.callId)
    one.callId = randomBytes(8).toString("hex")
    byCallId.set(one.callId, one)
    one.dialog = null
    one.unsure = false
    one.seen = 0
  }

  const publishers = Array.from({ length: options.publishers }, (_, index): Publisher => ({
    uri: `sip:p${index}@crash.example`,
    callId: randomBytes(8).toString("hex"),
    cseq: 0,
    entityTag: null,
    acknowledged: 0,
    sent: 0,
    unsure: false,
  }))
  const watchersOf = (name: string, each: number): readonly Watcher[] =>
    publishers.flatMap((presentity, index) =>
      Array.from({ length: each }, (_, n): Watcher => ({
        presentity,
        uri: `sip:${name}${index}-${n}@crash.example`,
        callId: randomBytes(8).toString("hex"),
        tag: `${name}${index}x${n}`,
        cseq: 0,
        dialog: null,
        unsure: false,
        seen: 0,
      })),
    )
  const watchers = watchersOf("w", options.watchersEach)
  const passers = watchersOf("x", options.passersEach ?? 0)
  for (const one of watchers) byCallId.set(one.callId, one)

  const run = async (work: Promise<void>): Promise<void> => {
    busy++
    try {
      await work
    } catch (cause) {
      if (!closed) lost.push(String(cause))
    } finally {
      busy--
    }
  }

  return {
    resume: () => {
      running = true
      for (const one of publishers) void run(publishing(one))
      for (const one of watchers) void run(watching(one))
      for (const one of passers) void run(passing(one))
    },
    pause: async () => {
      running = false
      while (busy > 0) await pauseFor(10)
    },
    verify: async () => {
      await Promise.all(
        publishers.map(async (one) => {
          if (one.entityTag === null) return
          const wasUnsure = one.unsure
          const status = await retried(() => publishOnce(one, null))
          checked++
          if (status === 200) return
          if (wasUnsure && status === 412) {
            doubtful++
            one.entityTag = null
            one.unsure = false
          } else lost.push(`${one.uri}: promised change ${one.acknowledged}, refresh got ${status}`)
        }),
      )
      await Promise.all(
        watchers.map(async (one) => {
          if (one.dialog === null) return
          const wasUnsure = one.unsure
          let status = await retried(() => subscribeOnce(one))
          if (status === 500 && wasUnsure) status = await retried(() => subscribeOnce(one))
          checked++
          if (status !== 200) {
            lost.push(`${one.uri} watching ${one.presentity.uri}: refresh got ${status}`)
            renew(one)
          }
        }),
      )
      // the NOTIFY of each refresh brings the document
      const isBehind = (one: Watcher): boolean =>
        one.dialog !== null && one.seen < one.presentity.acknowledged
      for (let waited = 0; watchers.some(isBehind) && waited < 60_000; waited += 20) await pauseFor(20)
      for (const one of watchers.filter(isBehind)) {
        lost.push(`${one.uri}: saw change ${one.seen} of ${one.presentity.acknowledged} promised`)
      }
    },
    isServed: () =>
      publishers.every(({ entityTag }) => entityTag !== null) &&
      watchers.every(({ dialog }) => dialog !== null),
    findings: () => ({ checked, lost, disorder, doubtful, acknowledged: { ...counts } }),
    acknowledged: () => acknowledged,
    moveTo: (to) => {
      port = to
    },
    close: () => {
      closed = true
      running = false
      socket.close()
    },
  }
}

const retried = async (attempt: () => Promise<number>): Promise<number> => {
  for (let tries = 0; ; tries++) {
    const status = await attempt()
    if (status !== 503 || tries > 100) return status
    await pauseFor(200)
  }
}
