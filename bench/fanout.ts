/**
 * What presence rules, and documents numbered for each watcher, cost a fan-out: one presentity, 1000 watchers, its
 * publication modified again and again, in memory, down to the bytes of each NOTIFY and without sockets. Prints each case
 * as a ratio to presence without rules, in alternation.
 *
 *   node bench/fanout.ts
 */
import { formatNotify, prepareDialog } from "../src/adapters/sip/format-notify.ts"
import { udp } from "../src/adapters/sip/transports/udp.ts"
import { xmlCodec } from "../src/adapters/xml/codec.ts"
import { makeEngine } from "../src/domain/engine/make-engine.ts"
import { dialogInfo } from "../src/domain/packages/dialog-info.ts"
import { presence } from "../src/domain/packages/pidf.ts"
import { makeRegistry } from "../src/domain/packages/registry.ts"
import type { Command } from "../src/domain/presentity/commands.ts"
import { allowEveryone, askTheRules, defaultLimits } from "../src/domain/presentity/context.ts"
import { initial } from "../src/domain/presentity/state.ts"
import type { Uri } from "../src/domain/vocabulary.ts"

const alice = "sip:alice@example.com" as Uri
const watchers = 1000
const packages = makeRegistry([presence({ xml: xmlCodec, rules: {} }), dialogInfo({ xml: xmlCodec })])

/** `distinct` rules, each for its share of the watchers and each showing something else, and one for everybody. */
const ruleset = (distinct: number): string => {
  const rules = Array.from({ length: distinct }, (_, index) => {
    const ones = Array.from({ length: watchers }, (_w, watcher) => watcher)
      .filter((watcher) => watcher % distinct === index)
      .map((watcher) => `<one id="sip:w${watcher}@example.com"/>`)
    return (
      `<rule id="r${index}"><conditions><identity>${ones.join("")}</identity></conditions><actions>` +
      `<pr:sub-handling>allow</pr:sub-handling></actions><transformations><pr:provide-services><pr:all-services/>` +
      `</pr:provide-services>${index % 2 === 0 ? "<pr:provide-note>true</pr:provide-note>" : ""}</transformations></rule>`
    )
  })
  return `<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules">${rules.join("")}</ruleset>`
}

const makeCase = ({ packageName, distinct }: { readonly packageName: string; readonly distinct: number }) => {
  const engine = makeEngine<string>({
    packages,
    limits: { ...defaultLimits, notifyIntervalMillis: 0, subscriptionsMax: watchers },
    authorize: distinct === 0 ? allowEveryone : askTheRules,
  })
  engine.load(initial(alice))
  let now = 1_800_000_000_000
  let nonces = 0
  let notified = 0
  let bytes = 0
  let entityTag = ""
  const ask = (command: Command): void => {
    const offered = engine.offer(
      { presentity: alice, command, origin: "", ticket: "" },
      ++now,
      () => `n${++nonces}`,
    )
    if (offered._tag !== "Held") return
    engine.takeBatch(1000)
    for (const { answer, notifications } of engine.committed(new Set()).release) {
      if (answer._tag === "Accepted" && answer.reply._tag === "Published") entityTag = answer.reply.entityTag
      notified += notifications.length
      for (const one of notifications) {
        bytes += formatNotify(one, prepareDialog(one.dialog), udp, "192.0.2.2:5060", "z9hG4bKx").length
        const { no, cseq } = one
        const outcome = { _tag: "Accepted", remoteTarget: null } as const
        ask({ _tag: "ReportDelivery", no, cseq, outcome })
      }
    }
  }
  if (distinct > 0) {
    const rules = { contentType: "application/auth-policy+xml", text: ruleset(distinct) }
    ask({ _tag: "ReplaceRules", packageName: "presence", rules })
  }
  for (let watcher = 0; watcher < watchers; watcher++) {
    const uri = `sip:w${watcher}@example.com` as Uri
    ask({
      _tag: "Subscribe",
      packageName,
      eventId: null,
      watcher: uri,
      expires: 3600,
      accept: null,
      forceActive: false,
      bodyFault: null,
      dialog: {
        callId: `c${watcher}`,
        localTag: "l",
        remoteTag: "r",
        localUri: `<${alice}>`,
        remoteUri: `<${uri}>`,
        remoteTarget: `sip:w${watcher}@192.0.2.1`,
        routeSet: [],
        remoteCseq: 1,
        localContact: "sip:presence@192.0.2.2",
        flow: "udp:192.0.2.2:5060",
        source: "192.0.2.1:5060",
      },
    })
  }
  let change = 0
  const publish = (): void => {
    change++
    const call =
      `<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="${alice}"><dialog id="c" ` +
      `call-id="c"><state>${change % 2 === 0 ? "early" : "confirmed"}</state><remote><identity>sip:x@${change}.example.com` +
      `</identity></remote></dialog></dialog-info>`
    const pidf =
      `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${alice}"><tuple id="t"><status><basic>open</basic>` +
      `</status><contact>sip:alice@${change}.example.com</contact><note>change ${change}</note></tuple></presence>`
    ask({
      _tag: "Publish",
      packageName,
      ifMatch: entityTag === "" ? [] : [entityTag],
      expires: 3600,
      body:
        packageName === "dialog"
          ? { contentType: "application/dialog-info+xml", text: call }
          : { contentType: "application/pidf+xml", text: pidf },
      bodyFault: null,
      sender: null,
    })
  }
  return {
    name: packageName === "presence" ? `${distinct} rules` : packageName,
    /** Milliseconds of one fan-out, the best of some. */
    run: (): number => {
      let best = Number.POSITIVE_INFINITY
      for (let round = 0; round < 20; round++) {
        const before = notified
        const start = performance.now()
        publish()
        best = Math.min(best, performance.now() - start)
        if (notified - before !== watchers)
          throw new Error(`${notified - before} of ${watchers} watchers told, ${bytes} bytes`)
      }
      return best
    },
  }
}

const cases = [
  { packageName: "presence", distinct: 0 },
  { packageName: "presence", distinct: 1 },
  { packageName: "presence", distinct: 50 },
  { packageName: "dialog", distinct: 0 },
].map(makeCase)
for (const one of cases) one.run()
const times = new Map<string, number[]>(cases.map((one) => [one.name, []]))
for (let round = 0; round < 9; round++) for (const one of cases) times.get(one.name)!.push(one.run())
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!
const plain = median(times.get("0 rules")!)
for (const [name, values] of times) {
  const ratio = (median(values) / plain).toFixed(2)
  console.log(
    `${watchers} watchers, ${name}: ${median(values).toFixed(2)} ms a change, ${ratio} x without rules`,
  )
}
