/**
 * Runs the core's own code a few hundred times before the first request does, so that the first thousand do not pay for
 * its compilation.
 *
 * Everything happens on an engine and a presentity of its own; nothing is stored or sent.
 */
import { makeEngine } from "../../domain/engine/make-engine.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { Command } from "../../domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../../domain/presentity/context.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { Uri } from "../../domain/vocabulary.ts"

const rounds = 300

/** Takes some tens of milliseconds. */
export const warmUp = (packages: Packages): void => {
  const engine = makeEngine<null>({
    packages,
    limits: { ...defaultLimits, notifyIntervalMillis: 0 },
    authorize: allowEveryone,
    // a package of one's own may fail; that is told when it does so for somebody
    onDefect: () => {},
  })
  let now = 0
  let entityTag = ""
  const ask = (presentity: Uri, command: Command): void => {
    const offered = engine.offer({ presentity, command, origin: "", ticket: null }, ++now, () => `${now}`)
    if (offered._tag !== "Held") return
    const batch = engine.takeBatch(rounds)
    JSON.stringify(batch)
    for (const { answer, notifications } of engine.committed(new Set()).release) {
      if (answer._tag === "Accepted" && answer.reply._tag === "Published") entityTag = answer.reply.entityTag
      for (const { no, cseq } of notifications) {
        ask(presentity, {
          _tag: "ReportDelivery",
          no,
          cseq,
          outcome: { _tag: "Accepted", remoteTarget: null },
        })
      }
    }
  }
  for (let round = 0; round < rounds; round++) {
    const presentity = `sip:warm${round >> 2}@localhost` as Uri
    if (!engine.isLoaded(presentity)) {
      engine.load(initial(presentity))
      entityTag = ""
    }
    ask(presentity, subscribeOf(presentity, round))
    ask(presentity, publishOf(entityTag, documentOf(presentity, round)))
    ask(presentity, publishOf(entityTag, null))
  }
}

const documentOf = (presentity: Uri, round: number): string =>
  `<?xml version="1.0" encoding="UTF-8"?><presence xmlns="urn:ietf:params:xml:ns:pidf" ` +
  `xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="${presentity}">` +
  `<tuple id="t"><status><basic>open</basic></status><contact priority="0.8">${presentity}</contact>` +
  `<note xml:lang="en">round ${round} &amp; on</note><timestamp>2026-01-01T00:00:00Z</timestamp></tuple>` +
  `<dm:person id="p"><r:activities><r:busy/></r:activities></dm:person></presence>`

const publishOf = (entityTag: string, text: string | null): Command => ({
  _tag: "Publish",
  packageName: "presence",
  ifMatch: entityTag === "" ? [] : [entityTag],
  expires: 3600,
  body: text === null ? null : { contentType: "application/pidf+xml", text },
  bodyFault: null,
  sender: null,
})

const subscribeOf = (presentity: Uri, round: number): Command => ({
  _tag: "Subscribe",
  packageName: "presence",
  eventId: null,
  watcher: `sip:w${round}@localhost` as Uri,
  expires: 3600,
  accept: ["application/pidf+xml"],
  forceActive: false,
  bodyFault: null,
  dialog: {
    callId: `${round}`,
    localTag: "l",
    remoteTag: "r",
    localUri: `<${presentity}>`,
    remoteUri: "<sip:w@localhost>",
    remoteTarget: "sip:w@127.0.0.1",
    routeSet: [],
    remoteCseq: 1,
    localContact: "sip:presence@127.0.0.1",
    flow: "udp:127.0.0.1:5060",
    source: "127.0.0.1:5060",
  },
})
