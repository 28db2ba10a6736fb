/**
 * Publishers and watchers of a simulation: what each believes, what it asks next, and how a watcher answers a NOTIFY. They know
 * the server only by its messages.
 */
import type { Answer, Command, DeliveryOutcome } from "../../domain/presentity/commands.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import { hopOf, octetsOf } from "../../domain/presentity/targets.ts"
import { anonymous } from "../../domain/privacy.ts"
import type { Body, DialogStart, PackageName, Uri } from "../../domain/vocabulary.ts"
import { dialogKey } from "../../domain/vocabulary.ts"
import type { Random } from "./random.ts"

export interface Request {
  readonly presentity: Uri | null
  readonly command: Command
  readonly answered: (answer: Answer) => void
  /** The request reaches the server; absent: nobody needs to know. */
  readonly arrives?: () => void
}

export interface Peers {
  /** A request that somebody makes now; null when there is none. */
  readonly ask: () => Request | null
  /**
   * A NOTIFY is sent to its next hop.
   *
   * @returns why it must not be sent: more octets of documents would have gone there than are allowed before the first 2xx; null:
   *   it may be
   */
  readonly sending: (notify: Notify) => string | null
  /**
   * Whether what was proven about the next hop no longer holds: a connection is gone, or a name resolves differently.
   *
   * @param isCalm whether such things have stopped happening
   */
  readonly doubts: (notify: Notify, isCalm: boolean) => boolean
  /** A NOTIFY with a document to an unproven next hop is lost and must not be retransmitted; the server learns of it after a while. */
  readonly isUnrepeated: (notify: Notify) => boolean
  /** A NOTIFY reaches its watcher. */
  readonly take: (notify: Notify) => DeliveryOutcome
  /** A device made the change itself and is not notified of it; the last NOTIFY of its dialog had this CSeq. */
  readonly spared: (presentity: Uri, id: number, cseq: number) => void
  /** The document that a watcher shows; null: its device made the last change itself. Undefined when it knows nothing. */
  readonly shows: (presentity: Uri, id: number) => string | null | undefined
}

export interface Universe {
  readonly presentities: readonly Uri[]
  readonly watchers: readonly Uri[]
  /** What can be published, by package. */
  readonly bodies: ReadonlyMap<PackageName, readonly Body[]>
  /** Packages that are watched in addition. */
  readonly watched?: readonly PackageName[]
  /** Rules that can be put in force, by package; null removes them. */
  readonly rules?: ReadonlyMap<PackageName, readonly (Body | null)[]>
  /** Hard state that the operator can set, by package; null removes it. */
  readonly hardState?: ReadonlyMap<PackageName, readonly (Body | null)[]>
  /** What a watcher knows after another document; left out: that document. */
  readonly read?: (packageName: PackageName, known: string | undefined, text: string) => string
}

interface Publisher {
  readonly presentity: Uri
  readonly packageName: PackageName
  readonly device: string
  tag: string | null
}

/** One watcher's subscription as the watcher sees it. */
interface Usage {
  readonly packageName: PackageName
  readonly eventId: string | null
  no: number | null
  document: string | undefined
}

interface WatcherDialog {
  readonly presentity: Uri
  readonly watcher: Uri
  readonly start: DialogStart
  readonly usages: Usage[]
  cseq: number
  seen: number
  gone: boolean
  /** For each next hop of its NOTIFYs: the octets allowed before the first response, and those sent. */
  readonly places: Map<string, Place>
  /** Counts how often a connection was lost, or a name resolved differently. */
  moves: number
  isCut: boolean
  /** Its next hop is a name. */
  readonly isNamed: boolean
}

interface Place {
  allowed: number
  sent: number
  answered: boolean
}

/** @param doubt a separate source of randomness for what is proven about next hops, so that everything else happens as it would without */
export const makePeers = (random: Random, universe: Universe, doubt: Random): Peers => {
  const packageNames = [...universe.bodies.keys()]
  const watchedNames = [...packageNames, ...(universe.watched ?? [])]
  const read = universe.read ?? ((_packageName, _known, text) => text)
  const publishers: Publisher[] = []
  const dialogs: WatcherDialog[] = []
  const byCallId = new Map<string, WatcherDialog>()
  const byNo = new Map<string, Usage>()
  /** NOTIFYs up to this CSeq are older than what the watcher's device knows by itself. */
  const ownUntil = new Map<string, number>()

  const expires = (): number | null => random.pick([null, 0, 5, 20, 60, 60, 600, 3600, 3600])
  const deviceOf = (watcher: Uri): string => `sip:${watcher.slice(4)};d=${random.int(2)}`

  const publish = (): Request => {
    const isNew = publishers.length === 0 || (publishers.length < 6 && random.chance(0.3))
    if (isNew) {
      publishers.push({
        presentity: random.pick(universe.presentities),
        packageName: random.pick(packageNames),
        device: deviceOf(random.pick(universe.watchers)),
        tag: null,
      })
    }
    const publisher = random.pick(publishers)
    const bodies = universe.bodies.get(publisher.packageName) ?? []
    const body = publisher.tag === null || random.chance(0.6) ? random.pick(bodies) : null
    const command: Command = {
      _tag: "Publish",
      packageName: publisher.packageName,
      ifMatch: publisher.tag === null ? [] : [publisher.tag],
      expires: expires(),
      body,
      bodyFault: null,
      sender: random.chance(0.3) ? publisher.device : null,
    }
    return {
      presentity: publisher.presentity,
      command,
      answered: (answer) => {
        if (answer._tag === "Rejected") {
          if (answer.rejection.status === 412) publisher.tag = null
        } else if (answer.reply._tag === "Published") {
          publisher.tag = answer.reply.expires === 0 ? null : answer.reply.entityTag
        }
      },
    }
  }

  const subscribe = (): Request => {
    const presentity = random.pick(universe.presentities)
    const watcher = random.pick(universe.watchers)
    const name = random.token()
    const start: DialogStart = {
      callId: `call-${name}`,
      localTag: `local-${name}`,
      remoteTag: `remote-${name}`,
      localUri: `<${presentity}>`,
      remoteUri: `<${watcher}>`,
      remoteTarget: deviceOf(watcher),
      routeSet: random.chance(0.5) ? ["<sip:proxy.example.com;lr>"] : [],
      remoteCseq: 1,
      localContact: "sip:192.0.2.10",
      flow: doubt.chance(0.2) ? "tcp:192.0.2.10:5060" : "udp:192.0.2.10:5060",
      source: "192.0.2.20:5060",
      ...(doubt.chance(0.4) ? { room: doubt.pick(rooms) } : {}),
    }
    const packageName = random.pick(watchedNames)
    const usage: Usage = { packageName, eventId: null, no: null, document: undefined }
    const dialog: WatcherDialog = {
      presentity,
      watcher,
      start,
      usages: [usage],
      cseq: 1,
      seen: 0,
      gone: false,
      places: new Map(),
      moves: 0,
      isCut: false,
      isNamed: doubt.chance(0.3),
    }
    allow(dialog, start.remoteTarget, start.room ?? Number.POSITIVE_INFINITY)
    dialogs.push(dialog)
    byCallId.set(start.callId, dialog)
    const asked = { accept: null, forceActive: false, bodyFault: null, packageName, eventId: null }
    return {
      presentity,
      command: {
        _tag: "Subscribe",
        ...asked,
        watcher,
        expires: expires(),
        dialog: start,
        ...(random.chance(0.2) ? { private: true } : {}),
      },
      answered: (answer) => settled(dialog, answer),
    }
  }

  const settled = (dialog: WatcherDialog, answer: Answer): void => {
    if (answer._tag === "Rejected" && [403, 481].includes(answer.rejection.status)) dialog.gone = true
  }

  const refresh = (dialog: WatcherDialog): Request => {
    dialog.cseq += random.chance(0.9) ? 1 : 0
    if (dialog.usages.length < 3 && random.chance(0.15)) {
      const eventId = `${dialog.usages.length}`
      dialog.usages.push({ packageName: random.pick(watchedNames), eventId, no: null, document: undefined })
    }
    const { packageName, eventId, no: id } = random.pick(dialog.usages)
    const { callId, localTag, remoteTag } = dialog.start
    const device = random.chance(0.3) ? deviceOf(dialog.watcher) : null
    const remoteTarget = device !== null && doubt.chance(0.3) ? device.replace("@", "@away.") : device
    // a watcher that does not move says no more about its location than how large its request was
    const room = doubt.chance(0.6) ? doubt.pick(rooms) : null
    const isRouted = dialog.start.routeSet.length > 0
    return {
      arrives: () => {
        if (room === null && isRouted) return
        for (const place of placesAfter(dialog, remoteTarget))
          allow(dialog, place, room ?? Number.POSITIVE_INFINITY)
      },
      presentity: null,
      command: {
        _tag: "Resubscribe",
        dialog: dialogKey(callId, localTag, remoteTag),
        packageName,
        eventId,
        // a trusted peer may forward it without an identity, but a new subscription needs one
        ...(id !== null && random.chance(0.2)
          ? { watcher: anonymous, through: hostOf(dialog.start.source) }
          : { watcher: dialog.watcher }),
        ...(random.chance(0.1) ? { private: random.chance(0.5) } : {}),
        expires: expires(),
        accept: null,
        cseq: dialog.cseq,
        remoteTarget,
        ...(room === null ? {} : { room }),
        forceActive: false,
        bodyFault: null,
      },
      answered: (answer) => settled(dialog, answer),
    }
  }

  const placeOf = (dialog: WatcherDialog, target: string): string =>
    `${dialog.moves} ${dialog.start.routeSet[0] ?? hopOf(target)}`

  /** A next hop about which nothing is known counts as fully proven. */
  const allow = (dialog: WatcherDialog, target: string, room: number): void => {
    const name = placeOf(dialog, target)
    const place = dialog.places.get(name) ?? { allowed: 0, sent: 0, answered: false }
    dialog.places.set(name, { ...place, allowed: place.allowed + room })
  }

  /** Where NOTIFYs may go after a request: because of late and lost ones, everywhere the watcher has been. */
  const placesAfter = (dialog: WatcherDialog, target: string | null): readonly string[] =>
    target === null ? [dialog.start.remoteTarget, dialog.start.remoteTarget.replace("@", "@away.")] : [target]

  const replaceRules = (rules: NonNullable<Universe["rules"]>): Request => {
    const packageName = random.pick([...rules.keys()])
    const command = {
      _tag: "ReplaceRules",
      packageName,
      rules: random.pick(rules.get(packageName) ?? []),
    } as const
    return { presentity: random.pick(universe.presentities), command, answered: () => {} }
  }

  const setHardState = (hardState: NonNullable<Universe["hardState"]>): Request => {
    const packageName = random.pick([...hardState.keys()])
    const body = random.pick(hardState.get(packageName) ?? [])
    const command = { _tag: "SetHardState", packageName, body } as const
    return { presentity: random.pick(universe.presentities), command, answered: () => {} }
  }

  return {
    ask: () => {
      if (universe.hardState !== undefined && random.chance(0.04)) return setHardState(universe.hardState)
      if (universe.rules !== undefined && random.chance(0.1)) return replaceRules(universe.rules)
      if (random.chance(0.5)) return publish()
      const alive = dialogs.filter(({ gone }) => !gone)
      return alive.length === 0 || (alive.length < 8 && random.chance(0.4))
        ? subscribe()
        : refresh(random.pick(alive))
    },
    sending: (notify) => {
      const dialog = byCallId.get(notify.dialog.callId)
      // over its connection, whatever its Contact says
      if (dialog === undefined || notify.proof?._tag === "Connection") return null
      const place = dialog.places.get(placeOf(dialog, notify.dialog.remoteTarget))
      if (place === undefined || place.answered) return null
      place.sent += octetsOf(notify.body, notify.headers)
      return place.sent <= place.allowed
        ? null
        : `${place.sent} octets of documents go to ${notify.dialog.remoteTarget}, which has answered nothing: ${place.allowed} may`
    },
    doubts: (notify, isCalm) => {
      const dialog = byCallId.get(notify.dialog.callId)
      const { proof } = notify
      if (dialog === undefined || proof === undefined || proof._tag === "Unproven") return false
      // what no longer holds stays so until the server has learned of it
      const isTrue = proof._tag === "Connection" ? !dialog.isCut : proof.addresses.includes(addressOf(dialog))
      if (isTrue && (isCalm || !doubt.chance(0.1))) return false
      if (isTrue) {
        dialog.moves++
        dialog.isCut = true
      }
      const room = proof._tag === "Connection" ? proof.room : (dialog.start.room ?? 0)
      allow(dialog, notify.dialog.remoteTarget, room)
      return true
    },
    isUnrepeated: ({ proof, body, headers, state }) =>
      proof?._tag === "Unproven" &&
      state !== "terminated" &&
      octetsOf(body, headers) > 0 &&
      doubt.chance(0.4),
    take: (notify) => {
      const dialog = byCallId.get(notify.dialog.callId)
      const usage = dialog?.usages.find(
        (candidate) => candidate.packageName === notify.packageName && candidate.eventId === notify.eventId,
      )
      if (dialog === undefined || usage === undefined) return refused(481, null)
      if (notify.cseq < dialog.seen) return refused(500, null)
      // a busy device answers so before it reads the message
      if (random.chance(0.03)) return refused(503, random.chance(0.7) ? 1 + random.int(20) : null)
      if (random.chance(0.01)) return refused(random.pick([404, 480, 481, 500, 603]), null)
      dialog.seen = notify.cseq
      if (usage.no !== notify.no) usage.document = undefined
      usage.no = notify.no
      const name = `${notify.presentity} ${notify.no}`
      byNo.set(name, usage)
      if (notify.cseq > (ownUntil.get(name) ?? 0)) ownUntil.delete(name)
      if (notify.body !== null) usage.document = read(usage.packageName, usage.document, notify.body.text)
      const place = dialog.places.get(placeOf(dialog, notify.dialog.remoteTarget))
      if (place !== undefined && notify.proof?._tag !== "Connection") place.answered = true
      const device = random.chance(0.02) ? deviceOf(dialog.watcher) : null
      const isHere = device !== null && hopOf(device) === hopOf(notify.dialog.remoteTarget)
      const isNamed = dialog.isNamed && notify.proof?._tag !== "Connection"
      return {
        _tag: "Accepted",
        remoteTarget: isHere ? device : null,
        ...(isNamed ? { address: addressOf(dialog) } : {}),
      }
    },
    spared: (presentity, id, cseq) => void ownUntil.set(`${presentity} ${id}`, cseq),
    shows: (presentity, id) => {
      const name = `${presentity} ${id}`
      return ownUntil.has(name) ? null : byNo.get(name)?.document
    },
  }
}

const hostOf = (source: string): string => source.slice(0, source.lastIndexOf(":"))

/** The address to which the name of its next hop resolves. */
const addressOf = ({ moves }: WatcherDialog): string => `udp:192.0.2.${20 + moves}:5060`

/** Octets of documents: none, too few for most, enough for some, enough for all. */
const rooms: readonly number[] = [0, 20, 200, 5_000]

const refused = (status: number, retryAfter: number | null): DeliveryOutcome => ({
  _tag: "Refused",
  status,
  retryAfter,
})
