/**
 * The `as-feature-event` package: do not disturb and call forwarding, kept the same on a user's phones and on the
 * server ("device feature key synchronization", which no RFC describes).
 *
 *     SUBSCRIBE sip:alice@example.com …  Event: as-feature-event
 *     <SetDoNotDisturb xmlns="…/csta/ed3"><device/><doNotDisturbOn>true</doNotDisturbOn></SetDoNotDisturb>
 *
 * A phone sets a feature with the body of a SUBSCRIBE. What is set stays set, so it is the hard state of the
 * presentity; every phone of the user gets it in NOTIFYs. The server routes no calls: what follows from a feature is up
 * to the proxy or PBX, which watches the package as well.
 */
import type { Body } from "../vocabulary.ts"
import { element, textOf } from "./element.ts"
import type { Element, XmlCodec } from "./element.ts"
import type { EventPackage, Parsed, RequestedChange } from "./event-package.ts"

/** The namespace of CSTA XML (ECMA-323, third edition). Others are read as well: senders misspell it. */
export const cstaNamespace = "http://www.ecma-international.org/standards/ecma-323/csta/ed3"

const contentType = "application/x-as-feature-event+xml"
const multipart = "multipart/mixed"

export const forwardingTypes = ["forwardImmediate", "forwardBusy", "forwardNoAns"] as const
export type ForwardingType = (typeof forwardingTypes)[number]

export interface Forwarding {
  readonly type: ForwardingType
  readonly isOn: boolean
  /** Number or URI that calls go to; empty: none is known. */
  readonly to: string
  /** Rings before a call that is not answered is forwarded; null: not stated. */
  readonly ringCount: number | null
}

/** The features of one user, or those that a document states. */
export interface Features {
  /** Null: not stated. */
  readonly doNotDisturb: boolean | null
  /** Each type at most once. */
  readonly forwardings: readonly Forwarding[]
}

const nothingStated: Features = { doNotDisturb: null, forwardings: [] }

const nothingOn: Features = {
  doNotDisturb: false,
  forwardings: forwardingTypes.map((type) => ({ type, isOn: false, to: "", ringCount: null })),
}

export interface FeatureEventOptions {
  readonly xml: XmlCodec
}

/**
 * The package as the engine uses it. A document states all features; a change is notified with those that changed.
 *
 * COMPAT: several features are several parts of a `multipart/mixed` body, as phones know it from other servers, even
 * where a phone's Accept names only the type of the parts.
 */
export const featureEvent = ({ xml }: FeatureEventOptions): EventPackage<Features, "as-feature-event"> => {
  const print = (features: Features): Body => render(features, xml)
  return {
    name: "as-feature-event",
    watchers: "owner",
    accepts: [contentType, multipart],
    produces: [contentType],
    requests: [contentType, multipart],
    defaultExpires: 3_600,
    entityTags: "new-each-time",
    // a key that was pressed on one phone lights on the others
    notifyIntervalMillis: 0,
    parse: (body) => parse(body, xml),
    compose: ({ documents }) => documents.reduce((all, { document }) => merged(all, document), nothingOn),
    render: print,
    offline: () => nothingOn,
    difference,
    // a publication expires, and a feature must not
    checkPublication: () => ({
      _tag: "Forbidden",
      status: 403,
      why: "features are set by SUBSCRIBE or as hard state",
    }),
    applyRequest: (present, body) => applyRequest(present, body, xml),
  }
}

const merged = (present: Features, stated: Features): Features => ({
  doNotDisturb: stated.doNotDisturb ?? present.doNotDisturb,
  forwardings: forwardingTypes.flatMap((type) => {
    const [before, after] = [present, stated].map(({ forwardings }) =>
      forwardings.find((forwarding) => forwarding.type === type),
    )
    if (before === undefined || after === undefined)
      return (after ?? before) === undefined ? [] : [(after ?? before)!]
    // whoever turns forwarding off, or on again, need not repeat the number
    const to = after.to === "" ? before.to : after.to
    return [{ ...after, to, ringCount: after.ringCount ?? before.ringCount }]
  }),
})

/** What is different afterwards. */
const difference = (before: Features, after: Features): Features | null => {
  const forwardings = after.forwardings.filter((forwarding) => {
    const known = before.forwardings.find(({ type }) => type === forwarding.type)
    return known === undefined || JSON.stringify(known) !== JSON.stringify(forwarding)
  })
  const doNotDisturb = before.doNotDisturb === after.doNotDisturb ? null : after.doNotDisturb
  return doNotDisturb === null && forwardings.length === 0 ? null : { doNotDisturb, forwardings }
}

const applyRequest = (present: Body | null, request: Body, xml: XmlCodec): RequestedChange => {
  const asked = parse(request, xml)
  if (asked._tag === "Unreadable") return { _tag: "Refused", why: asked.why }
  const known = present === null ? null : parse(present, xml)
  const before = merged(nothingOn, known?._tag === "Parsed" ? known.document : nothingStated)
  const after = merged(before, asked.document)
  const nowhere = after.forwardings.find(({ isOn, to }) => isOn && to === "")
  if (nowhere !== undefined) return { _tag: "Refused", why: `${nowhere.type} without a number` }
  return difference(before, after) === null
    ? { _tag: "Unchanged" }
    : { _tag: "Changed", body: render(after, xml) }
}

// ── reading ──

const parse = (body: Body, xml: XmlCodec): Parsed<Features> => {
  if (body.contentType !== multipart) return parseOne(body.text, xml)
  const parts = partsOf(body)
  if (typeof parts === "string") return unreadable(parts)
  let features = nothingStated
  for (const part of parts) {
    const read = parseOne(part, xml)
    if (read._tag === "Unreadable") return read
    features = merged(features, read.document)
  }
  return { _tag: "Parsed", document: features }
}

const unreadable = (why: string): Parsed<Features> => ({ _tag: "Unreadable", why })

/** The contents of the parts of this package's type; text: what is wrong. @source RFC 2046 §5.1.1 */
const partsOf = ({ parameters, text }: Body): readonly string[] | string => {
  const written = /(?:^|;)\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))/i.exec(parameters ?? "")
  const boundary = written?.[1]?.replace(/\\(.)/g, "$1") ?? written?.[2] ?? ""
  if (boundary === "") return `${multipart} without boundary`
  const lines = text.split(/\r?\n/)
  const parts: string[][] = []
  let isClosed = false
  for (const line of lines) {
    const trimmed = line.trimEnd()
    if (trimmed === `--${boundary}--`) {
      isClosed = true
      break
    }
    if (trimmed === `--${boundary}`) parts.push([])
    else parts.at(-1)?.push(line)
  }
  if (parts.length === 0 || !isClosed) return `${multipart} whose boundary does not enclose its parts`
  return parts.flatMap((part) => {
    const blank = part.indexOf("")
    const head = part.slice(0, Math.max(0, blank))
    const isOurs = head.some((line) =>
      new RegExp(`^content-type\\s*:\\s*${contentType.replace("+", "\\+")}\\s*(?:;|$)`, "i").test(line),
    )
    return isOurs ? [part.slice(blank + 1).join("\n")] : []
  })
}

const parseOne = (text: string, xml: XmlCodec): Parsed<Features> => {
  const read = xml.parse(text.trim())
  if (read._tag === "Malformed") return unreadable(read.why)
  const { root } = read
  switch (root.name) {
    case "SetDoNotDisturb":
    case "DoNotDisturbEvent":
      return doNotDisturbIn(root)
    case "SetForwarding":
    case "ForwardingEvent":
      return forwardingIn(root)
    default:
      // a feature that is not served here: the NOTIFY says which are
      return { _tag: "Parsed", document: nothingStated }
  }
}

/** The text of a child element, whatever its namespace; null: there is none. */
const valueOf = (root: Element, ...names: readonly string[]): string | null => {
  for (const node of root.children)
    if (node._tag === "Element" && names.includes(node.name)) return textOf(node).trim()
  return null
}

const truths: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
])

const doNotDisturbIn = (root: Element): Parsed<Features> => {
  const isOn = truths.get((valueOf(root, "doNotDisturbOn") ?? "").toLowerCase())
  return isOn === undefined
    ? unreadable("doNotDisturbOn is neither true nor false")
    : { _tag: "Parsed", document: { doNotDisturb: isOn, forwardings: [] } }
}

const forwardingIn = (root: Element): Parsed<Features> => {
  const written = (valueOf(root, "forwardingType") ?? "").toLowerCase()
  const type = forwardingTypes.find((known) => known.toLowerCase() === written)
  if (type === undefined) return unreadable(`forwardingType is none of ${forwardingTypes.join(", ")}`)
  const isOn = truths.get((valueOf(root, "activateForward", "forwardStatus") ?? "").toLowerCase())
  if (isOn === undefined) return unreadable("activateForward is neither true nor false")
  const to = valueOf(root, "forwardDN", "forwardTo") ?? ""
  if (to.length > 256 || /\p{Cc}/u.test(to)) return unreadable("forwardDN is no number")
  const rings = valueOf(root, "ringCount") ?? ""
  if (rings !== "" && !/^\d{1,3}$/.test(rings)) return unreadable("ringCount is no number of rings")
  const ringCount = rings === "" ? null : Number(rings)
  return { _tag: "Parsed", document: { doNotDisturb: null, forwardings: [{ type, isOn, to, ringCount }] } }
}

// ── writing ──

/** No line of a part can begin with it: parts are XML on one line each, after their declaration. */
const boundary = "presently-feature"

const render = ({ doNotDisturb, forwardings }: Features, xml: XmlCodec): Body => {
  const roots = [
    ...(doNotDisturb === null ? [] : [eventOf("DoNotDisturbEvent", { doNotDisturbOn: `${doNotDisturb}` })]),
    ...forwardings.map(({ type, isOn, to, ringCount }) =>
      eventOf("ForwardingEvent", {
        forwardingType: type,
        forwardStatus: `${isOn}`,
        forwardTo: to,
        ...(ringCount === null ? {} : { ringCount: `${ringCount}` }),
      }),
    ),
  ]
  const [first, ...others] = roots.map((root) => xml.print(root))
  if (first !== undefined && others.length === 0) return { contentType, text: first }
  const parts = [first ?? "", ...others].map(
    (text) => `--${boundary}\r\nContent-Type: ${contentType}\r\n\r\n${text.trimEnd()}\r\n`,
  )
  return {
    contentType: multipart,
    parameters: `boundary=${boundary}`,
    text: `${parts.join("")}--${boundary}--\r\n`,
  }
}

/** `device` stays empty: it is the one that the subscription is for. */
const eventOf = (name: string, values: Readonly<Record<string, string>>): Element =>
  element(cstaNamespace, name, {}, [
    element(cstaNamespace, "device"),
    ...Object.entries(values).map(([key, value]) =>
      element(cstaNamespace, key, {}, value === "" ? [] : [value]),
    ),
  ])
