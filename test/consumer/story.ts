/**
 * A presentity's story decided with `presently/domain` alone: somebody subscribes, then something is published.
 *
 * Runs in Node and in a browser and must tell the same in both; so the clock and the lots are given here.
 */
import {
  allowEveryone,
  decide,
  defaultLimits,
  dialogKey,
  fold,
  initial,
  react,
  values,
} from "presently/domain"
import type {
  Body,
  Command,
  Context,
  Outcome,
  Packages,
  Publish,
  State,
  Subscribe,
  Uri,
} from "presently/domain"

export interface Step extends Outcome {
  readonly notifications: ReturnType<typeof react>
}

export const story = (packages: Packages, packageName: string, body: Body): readonly Step[] => {
  const steps: Step[] = []
  let state: State = initial("sip:alice@example.com" as Uri)
  const ask = (command: Command, now: number): void => {
    const { events, answer } = decide(state, command, contextAt(state, packages, now))
    const after = fold(state, { version: state.version + 1, at: now, events })
    const notifications = react(state, events, after, now, { packages, limits: defaultLimits })
    steps.push({ events, answer, notifications })
    state = after
  }
  ask({ ...subscribe, packageName }, 1_000)
  ask({ ...publish, packageName, body }, 20_000)
  ask({ ...publish, packageName, body, ifMatch: ["not ours"] }, 40_000)
  return steps
}

const contextAt = (state: State, packages: Packages, now: number): Context => ({
  now,
  nonce: "nonce",
  limits: defaultLimits,
  packages,
  authorize: allowEveryone,
  inFlight: () => false,
  findDialog: (key) =>
    [...values(state.dialogs)].find(
      ({ start }) => dialogKey(start.callId, start.localTag, start.remoteTag) === key,
    )?.no ?? null,
})

const subscribe: Subscribe = {
  _tag: "Subscribe",
  packageName: null,
  eventId: null,
  watcher: "sip:bob@example.com" as Uri,
  expires: 600,
  accept: null,
  dialog: {
    callId: "call",
    localTag: "local",
    remoteTag: "remote",
    localUri: "<sip:alice@example.com>",
    remoteUri: "<sip:bob@example.com>",
    remoteTarget: "sip:bob@192.0.2.20",
    routeSet: [],
    remoteCseq: 1,
    localContact: "sip:192.0.2.10",
    flow: "udp:192.0.2.10:5060",
    source: "192.0.2.20:5060",
  },
  forceActive: false,
  bodyFault: null,
}

const publish: Publish = {
  _tag: "Publish",
  packageName: null,
  ifMatch: [],
  expires: 600,
  body: null,
  bodyFault: null,
  sender: null,
}
