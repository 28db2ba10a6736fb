/**
 * What an operator can try so that the watcher is notified.
 */
import type { Case, Explanation } from "../../domain/history/why.ts"
import type { Authorization } from "../../domain/presentity/authorize.ts"
import type { Uri } from "../../domain/vocabulary.ts"

export const adviceOf = (
  { finding, sequel, life, sent }: Case,
  { presentity, watcher }: Explanation,
): readonly string[] => {
  const ending = finding._tag === "Ended" ? finding.ending : sequel?._tag === "Ended" ? sequel.ending : null
  if (ending?.because !== "failure" && sent?.failed?.how.outcome === "flow-lost") return [lostFlowAdvice]
  if (ending?.because === "failure" || sent?.failed != null) return failureAdvice
  switch (finding._tag) {
    case "Pending":
      return pendingAdvice(presentity, watcher, life.packageName, finding.judgement.by)
    case "PoliteBlock":
    case "Hidden":
      return [testAdvice(presentity, watcher, life.packageName)]
    case "Paced":
      return ["notify_min_interval = 0 tells every change at once"]
    case "Withheld":
      return sequel?._tag === "Open"
        ? [
            "see whether the phone takes NOTIFYs at its Contact; TCP, digest authentication from there, or notify_targets prove it at once",
          ]
        : []
    case "UnderWay":
      return sequel?._tag === "Open"
        ? [`see whether #${life.no} answers its NOTIFYs: presently seen ${watcher} ${presentity}`]
        : []
    case "Missed":
    case "Retried":
      return failureAdvice
    case "Backup":
      return [`presently mi pres_set_sharing_tag_active ${finding.tag} makes this server look after it`]
    default:
      return []
  }
}

export const testAdvice = (presentity: Uri, watcher: Uri, packageName: string): string =>
  `presently rules test ${presentity}${packageFlag(packageName)} --watcher ${watcher} says how a document would treat it`

const packageFlag = (packageName: string): string =>
  packageName === "presence" ? "" : ` --package ${packageName}`

export const pendingAdvice = (
  presentity: Uri,
  watcher: Uri,
  packageName: string,
  by: Authorization["by"],
): readonly string[] =>
  by === "unread"
    ? ["presently doctor, and GET /v1/sources of the management port, say what keeps it from being read"]
    : [
        `presently rules put ${presentity} FILE${packageFlag(packageName)} with a rule that allows ${watcher}, or decide over the management port (PUT …/watchers/${watcher}/decision)`,
      ]

/** A lost connection ends nothing, and nothing but the phone can open another one. */
const lostFlowAdvice =
  "its subscription goes on: the phone is told as soon as it subscribes again or refreshes; see whether it does after it has lost a connection"

export const failureAdvice = [
  "look at the watcher's network; notify_probe_interval keeps phones that sleep subscribed (with end_sub_on_timeout = 0)",
]

export const refusedAdvice = (
  presentity: string,
  watcher: string,
  packageName: string,
  by: Authorization["by"],
): string => {
  return by === "rules" || by === "default"
    ? `a SUBSCRIBE is answered 403: presently rules test ${presentity}${packageFlag(packageName)} --watcher ${watcher} says why`
    : "a SUBSCRIBE is answered 403; docs/watching.md says how to let somebody in"
}

/** What a SUBSCRIBE of somebody without a subscription would meet. @param now null: settings of the server decide, which are not known */
export const subscribeAdvice = (
  now: Authorization | null,
  presentity: Uri,
  watcher: Uri,
  packageName: string,
): readonly string[] => {
  const start = "see whether the phone subscribes: "
  switch (now?.handling) {
    case undefined:
      return [`${start}the log does not say how its SUBSCRIBE would be treated`]
    case "allow":
      return [`${start}its SUBSCRIBE would be accepted now`]
    case "confirm":
      return [
        `${start}its SUBSCRIBE would be pending now, and be shown nothing until somebody decides`,
        ...pendingAdvice(presentity, watcher, packageName, now!.by),
      ]
    case "polite-block":
      return [
        `${start}its SUBSCRIBE would be accepted now, and be shown what is shown of somebody absent`,
        testAdvice(presentity, watcher, packageName),
      ]
    case "block":
      return [refusedAdvice(presentity, watcher, packageName, now!.by)]
  }
}
