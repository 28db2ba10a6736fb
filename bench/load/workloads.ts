/**
 * What is measured: phases of work, each an operation that is repeated by so many lanes at once.
 *
 * - publish: presentities without watchers; initial, modifying (a new document each time), refreshing.
 * - fan-out: a modification counts as done when its 200 and a NOTIFY with this very document for each watcher have come.
 * - subscribe: ten watchers a presentity; an operation is done when the 200 and its NOTIFY have come.
 */
import { headerOf } from "./phones.ts"
import type { Phones } from "./phones.ts"

/** An operation of lane number `lane`; resolves when it is done. */
export type Operation = (lane: number) => Promise<void>

export interface Phase {
  readonly name: string
  readonly lanes: number
  readonly operation: Operation
  /** How many operations there are at most; absent: as many as fit into the time. */
  readonly atMost?: number
}

export const workloadNames = [
  "publish",
  "fanout-1x1",
  "fanout-1x10",
  "fanout-1x100",
  "fanout-1x1000",
  "fanout-32x10",
  "subscribe-1000",
  "subscribe-10000",
] as const
export type WorkloadName = (typeof workloadNames)[number]

const lanes = 32
const watchersPerPresentity = 10

/**
 * The phases of a workload in their order; between them the generator does what is not measured.
 *
 * @param run sets apart users of several workloads on one server
 */
export const phasesOf = (name: WorkloadName, phones: Phones, run: string): AsyncGenerator<Phase> => {
  const people = makePeople(phones, run)
  const [kind, size = ""] = name.split("-")
  if (kind === "publish") return publishing(people)
  if (kind === "subscribe") return subscribing(people, Number(size))
  const [presentities = 1, watchers = 1] = size.split("x").map(Number)
  return fanningOut(people, presentities, watchers)
}

async function* publishing(people: People): AsyncGenerator<Phase> {
  const publications: Publication[] = []
  yield {
    name: "publish-initial",
    lanes,
    operation: async () => {
      publications.push(
        await people.publish(`p${publications.length}-${Math.random().toString(36).slice(2)}`),
      )
    },
  }
  // each lane has its own, so that a publication is asked for one thing at a time
  const next = roundRobin(publications, lanes)
  yield { name: "publish-modify", lanes, operation: (lane) => people.modify(next(lane)) }
  yield { name: "publish-refresh", lanes, operation: (lane) => people.refresh(next(lane)) }
}

async function* fanningOut(people: People, presentities: number, watchers: number): AsyncGenerator<Phase> {
  const watched: Publication[] = []
  for (let index = 0; index < presentities; index += 1) {
    const publication = await people.publish(`f${index}`)
    watched.push(publication)
    for (let watcher = 0; watcher < watchers; watcher += 1) {
      await people.subscribe(publication.user, `w${index}-${watcher}`, publication)
    }
  }
  yield {
    name: `fanout-${presentities}x${watchers}`,
    lanes: presentities,
    operation: (lane) => {
      const publication = watched[lane]!
      const all = publication.seenBy(watchers)
      return Promise.all([people.modify(publication), all]).then(() => {})
    },
  }
}

async function* subscribing(people: People, level: number): AsyncGenerator<Phase> {
  const publications: Publication[] = []
  for (let index = 0; index < level / watchersPerPresentity; index += 1) {
    publications.push(await people.publish(`s${index}`))
  }
  const subscriptions: Subscription[] = []
  let begun = 0
  yield {
    name: `subscribe-initial-${level}`,
    lanes,
    atMost: level,
    operation: async () => {
      const number = begun++
      const { user } = publications[number % publications.length]!
      subscriptions.push(await people.subscribe(user, `w${number}`))
    },
  }
  // what the time did not suffice for is made up unmeasured: the population is what the name says
  while (begun < level) {
    const number = begun++
    const { user } = publications[number % publications.length]!
    subscriptions.push(await people.subscribe(user, `w${number}`))
  }
  const next = roundRobin(subscriptions, lanes)
  yield {
    name: `subscribe-refresh-${level}`,
    lanes,
    operation: (lane) => people.resubscribe(next(lane), 3600),
  }
  yield {
    name: `unsubscribe-${level}`,
    lanes,
    atMost: Math.floor(level / 2),
    operation: () => people.resubscribe(subscriptions.pop()!, 0),
  }
}

/** Every `count`-th element beginning with the lane's own, round and round. */
const roundRobin = <T>(elements: readonly T[], count: number): ((lane: number) => T) => {
  const turns = new Map<number, number>()
  return (lane) => {
    const turn = turns.get(lane) ?? lane
    turns.set(lane, turn + count < elements.length ? turn + count : lane)
    return elements[turn % elements.length]!
  }
}

/** A publication and who waits for its documents to arrive. */
interface Publication {
  readonly user: string
  entityTag: string
  sequence: number
  /** Called by each NOTIFY with its document's number. */
  arrived: (sequence: number) => void
  /** Resolves when so many NOTIFYs with the document that is published next have come. */
  readonly seenBy: (watchers: number) => Promise<void>
}

interface Subscription {
  readonly user: string
  readonly watcher: string
  readonly callId: string
  readonly localTag: string
  readonly remoteTag: string
  cseq: number
}

interface People {
  readonly publish: (name: string) => Promise<Publication>
  readonly modify: (publication: Publication) => Promise<void>
  readonly refresh: (publication: Publication) => Promise<void>
  /** @param of whose documents' arrivals are told, when they are to be */
  readonly subscribe: (user: string, watcher: string, of?: Publication) => Promise<Subscription>
  readonly resubscribe: (subscription: Subscription, expires: number) => Promise<void>
}

/** Users of a server: what they ask is done when its answer, and the NOTIFY that belongs to it, has come. */
export const makePeople = (phones: Phones, run: string): People => {
  let calls = 0
  const ask = async (method: string, fields: Fields): Promise<string> => {
    const { user, from, tag, to, callId, cseq, headers, body = "" } = fields
    const response = await phones.ask(
      `${method} sip:${user}@bench.example SIP/2.0\r\n` +
        `Via: SIP/2.0/UDP ${phones.address};branch=z9hG4bK${run}${++calls}\r\n` +
        `Max-Forwards: 70\r\nFrom: <sip:${from}@bench.example>;tag=${tag}\r\n` +
        `To: <sip:${user}@bench.example>${to === undefined ? "" : `;tag=${to}`}\r\n` +
        `Call-ID: ${callId}\r\nCSeq: ${cseq} ${method}\r\nContact: <sip:${from}@${phones.address}>\r\n` +
        `Event: presence\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`,
      callId,
    )
    if (response.status < 200 || response.status > 299) throw new Error(`${method}: ${response.text}`)
    return response.text
  }
  const publish = (user: string, headers: string, body?: string): Promise<string> => {
    const callId = `${run}p${calls}`
    return ask("PUBLISH", {
      user,
      from: user,
      tag: callId,
      callId,
      cseq: 1,
      headers: `Expires: 3600\r\n${headers}${body === undefined ? "" : "Content-Type: application/pidf+xml\r\n"}`,
      ...(body === undefined ? {} : { body }),
    })
  }
  const entityTagOf = (text: string): string => headerOf(text, "SIP-ETag")
  const subscribe = async (subscription: Omit<Subscription, "remoteTag">, expires: number, to?: string) => {
    const { user, watcher, callId, localTag, cseq } = subscription
    return headerOf(
      await ask("SUBSCRIBE", {
        user,
        from: watcher,
        tag: localTag,
        callId,
        cseq,
        ...(to === undefined ? {} : { to }),
        headers: `Expires: ${expires}\r\nAccept: application/pidf+xml\r\n`,
      }),
      "To",
    ).split(";tag=")[1]!
  }
  /** The next NOTIFY of each dialog, while somebody waits for it. */
  const notified = new Map<string, () => void>()
  const nextNotify = (callId: string): Promise<void> =>
    new Promise((resolve) => {
      notified.set(callId, resolve)
    })
  return {
    publish: async (name) => {
      const publication = makePublication(`${run}${name}`)
      const { user } = publication
      publication.entityTag = entityTagOf(await publish(user, "", documentOf(user, 0)))
      return publication
    },
    modify: async (publication) => {
      const { user, entityTag } = publication
      const document = documentOf(user, ++publication.sequence)
      publication.entityTag = entityTagOf(await publish(user, `SIP-If-Match: ${entityTag}\r\n`, document))
    },
    refresh: async (publication) => {
      const { user, entityTag } = publication
      publication.entityTag = entityTagOf(await publish(user, `SIP-If-Match: ${entityTag}\r\n`))
    },
    subscribe: async (user, name, publication) => {
      const callId = `${run}s${calls}`
      const begun = { user, watcher: `${run}${name}`, callId, localTag: `${callId}t`, cseq: 1 }
      phones.onNotify(callId, (text) => {
        publication?.arrived(sequenceIn(text))
        notified.get(callId)?.()
      })
      const first = nextNotify(callId)
      const remoteTag = await subscribe(begun, 3600)
      await first
      return { ...begun, remoteTag }
    },
    resubscribe: async (subscription, expires) => {
      subscription.cseq += 1
      const next = nextNotify(subscription.callId)
      await subscribe(subscription, expires, subscription.remoteTag)
      await next
    },
  }
}

interface Fields {
  readonly user: string
  readonly from: string
  readonly tag: string
  readonly to?: string
  readonly callId: string
  readonly cseq: number
  readonly headers: string
  readonly body?: string
}

const makePublication = (user: string): Publication => {
  let missing = 0
  let seen = (): void => {}
  const publication: Publication = {
    user,
    entityTag: "",
    sequence: 0,
    arrived: (sequence) => {
      if (sequence === publication.sequence && --missing === 0) seen()
    },
    seenBy: (watchers) =>
      new Promise((resolve) => {
        missing = watchers
        seen = resolve
      }),
  }
  return publication
}

const sequenceIn = (notify: string): number => Number(/seq=(\d+)/.exec(notify)?.[1] ?? -1)

/** About 550 octets of PIDF with a person and a device, as phones send them; the note tells documents apart. */
const documentOf = (user: string, sequence: number): string =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<presence xmlns="urn:ietf:params:xml:ns:pidf" ` +
  `xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" ` +
  `entity="sip:${user}@bench.example"><tuple id="desk"><status><basic>${sequence % 2 === 0 ? "open" : "closed"}</basic>` +
  `</status><contact priority="0.8">sip:${user}@192.0.2.17:5060</contact><note>seq=${sequence}</note></tuple>` +
  `<dm:person id="human"><rpid:activities><rpid:on-the-phone/></rpid:activities></dm:person>` +
  `<dm:device id="set"><dm:deviceID>urn:uuid:6a0f42c0-55d4-4d6c-9a0c-2b0d53b6c111</dm:deviceID></dm:device></presence>`
