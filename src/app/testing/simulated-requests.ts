/**
 * What publishers and watchers of a simulation ask of the server, and what each of them remembers.
 */
import type { Answer, Command } from "../../domain/presentity/commands.ts"
import { hopOf } from "../../domain/presentity/targets.ts"
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
export interface Usage {
  readonly packageName: PackageName
  readonly eventId: string | null
  no: number | null
  document: string | undefined
}

export interface WatcherDialog {
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

/** All peers of one simulation. */
export interface Crowd {
  readonly random: Random
  /** Separate randomness for what is proven about next hops, so that everything else happens as it would without. */
  readonly doubt: Random
  readonly universe: Universe
  readonly packageNames: readonly PackageName[]
  readonly watchedNames: readonly PackageName[]
  readonly publishers: Publisher[]
  readonly dialogs: WatcherDialog[]
  readonly byCallId: Map<string, WatcherDialog>
  readonly byNo: Map<string, Usage>
  /** NOTIFYs up to this CSeq are older than what the watcher's device knows by itself. */
  readonly ownUntil: Map<string, number>
}

export const newCrowd = (random: Random, universe: Universe, doubt: Random): Crowd => {
  const packageNames = [...universe.bodies.keys()]
  return {
    random,
    doubt,
    universe,
    packageNames,
    watchedNames: [...packageNames, ...(universe.watched ?? [])],
    publishers: [],
    dialogs: [],
    byCallId: new Map(),
    byNo: new Map(),
    ownUntil: new Map(),
  }
}

const expiresOf = (random: Random): number | null => random.pick([null, 0, 5, 20, 60, 60, 600, 3600, 3600])

export const deviceOf = (random: Random, watcher: Uri): string => `sip:${watcher.slice(4)};d=${random.int(2)}`

/** A request that some peer makes now; null: there is none. */
export const nextRequest = (crowd: Crowd): Request | null => {
  const { random, universe, dialogs } = crowd
  if (universe.hardState !== undefined && random.chance(0.04)) return setHardState(crowd, universe.hardState)
  if (universe.rules !== undefined && random.chance(0.1)) return replaceRules(crowd, universe.rules)
  if (random.chance(0.5)) return publish(crowd)
  const alive = dialogs.filter(({ gone }) => !gone)
  return alive.length === 0 || (alive.length < 8 && random.chance(0.4))
    ? subscribe(crowd)
    : refresh(crowd, random.pick(alive))
}

const publish = (crowd: Crowd): Request => {
  const { random, universe, publishers, packageNames } = crowd
  const isNew = publishers.length === 0 || (publishers.length < 6 && random.chance(0.3))
  if (isNew) {
    publishers.push({
      presentity: random.pick(universe.presentities),
      packageName: random.pick(packageNames),
      device: deviceOf(random, random.pick(universe.watchers)),
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
    expires: expiresOf(random),
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

const subscribe = (crowd: Crowd): Request => {
  const { random, doubt, universe, dialogs, byCallId, watchedNames } = crowd
  const presentity = random.pick(universe.presentities)
  const watcher = random.pick(universe.watchers)
  const start = dialogStart(crowd, presentity, watcher)
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
      expires: expiresOf(random),
      dialog: start,
      ...(random.chance(0.2) ? { private: true } : {}),
    },
    answered: (answer) => settled(dialog, answer),
  }
}

const dialogStart = ({ random, doubt }: Crowd, presentity: Uri, watcher: Uri): DialogStart => {
  const name = random.token()
  return {
    callId: `call-${name}`,
    localTag: `local-${name}`,
    remoteTag: `remote-${name}`,
    localUri: `<${presentity}>`,
    remoteUri: `<${watcher}>`,
    remoteTarget: deviceOf(random, watcher),
    routeSet: random.chance(0.5) ? ["<sip:proxy.example.com;lr>"] : [],
    remoteCseq: 1,
    localContact: "sip:192.0.2.10",
    flow: doubt.chance(0.2) ? "tcp:192.0.2.10:5060" : "udp:192.0.2.10:5060",
    source: "192.0.2.20:5060",
    ...(doubt.chance(0.4) ? { room: doubt.pick(rooms) } : {}),
  }
}

const settled = (dialog: WatcherDialog, answer: Answer): void => {
  if (answer._tag === "Rejected" && [403, 481].includes(answer.rejection.status)) dialog.gone = true
}

const refresh = ({ random, doubt, watchedNames }: Crowd, dialog: WatcherDialog): Request => {
  dialog.cseq += random.chance(0.9) ? 1 : 0
  if (dialog.usages.length < 3 && random.chance(0.15)) {
    const eventId = `${dialog.usages.length}`
    dialog.usages.push({ packageName: random.pick(watchedNames), eventId, no: null, document: undefined })
  }
  const { packageName, eventId, no: id } = random.pick(dialog.usages)
  const { callId, localTag, remoteTag } = dialog.start
  const device = random.chance(0.3) ? deviceOf(random, dialog.watcher) : null
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
      expires: expiresOf(random),
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

export const placeOf = (dialog: WatcherDialog, target: string): string =>
  `${dialog.moves} ${dialog.start.routeSet[0] ?? hopOf(target)}`

/** A next hop about which nothing is known counts as fully proven. */
export const allow = (dialog: WatcherDialog, target: string, room: number): void => {
  const place = placeAt(dialog, target)
  place.allowed += room
}

/** A next hop answers: whatever is said of it later, it is proven. */
export const answers = (dialog: WatcherDialog, target: string): void => {
  const place = placeAt(dialog, target)
  place.answered = true
}

const placeAt = (dialog: WatcherDialog, target: string): Place => {
  const name = placeOf(dialog, target)
  const place = dialog.places.get(name) ?? { allowed: 0, sent: 0, answered: false }
  dialog.places.set(name, place)
  return place
}

/** Where NOTIFYs may go after a request: because of late and lost ones, everywhere the watcher has been. */
const placesAfter = (dialog: WatcherDialog, target: string | null): readonly string[] =>
  target === null ? [dialog.start.remoteTarget, dialog.start.remoteTarget.replace("@", "@away.")] : [target]

const replaceRules = ({ random, universe }: Crowd, rules: NonNullable<Universe["rules"]>): Request => {
  const packageName = random.pick([...rules.keys()])
  const command = {
    _tag: "ReplaceRules",
    packageName,
    rules: random.pick(rules.get(packageName) ?? []),
  } as const
  return { presentity: random.pick(universe.presentities), command, answered: () => {} }
}

const setHardState = (
  { random, universe }: Crowd,
  hardState: NonNullable<Universe["hardState"]>,
): Request => {
  const packageName = random.pick([...hardState.keys()])
  const body = random.pick(hardState.get(packageName) ?? [])
  const command = { _tag: "SetHardState", packageName, body } as const
  return { presentity: random.pick(universe.presentities), command, answered: () => {} }
}

const hostOf = (source: string): string => source.slice(0, source.lastIndexOf(":"))

/** Octets of documents: none, too few for most, enough for some, enough for all. */
const rooms: readonly number[] = [0, 20, 200, 5_000]
