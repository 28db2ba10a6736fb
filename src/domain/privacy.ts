/**
 * How a watcher appears to other watchers: under its own address, or anonymous if it asked for privacy or has no
 * identity.
 *
 * Rules, verdicts, ownership and the operator's lists use the true address; only what is shown to others uses this one.
 *
 * @source RFC 3323 §4.1.1.3 (the anonymous URI), RFC 3325 §7 and §9.3 (`Privacy: id`)
 */
import { domainOf } from "./uris.ts"
import type { Uri } from "./vocabulary.ts"

/** The address shown for a watcher that asked for privacy or has no identity. */
export const anonymous = "sip:anonymous@anonymous.invalid" as Uri

/** Whether a URI is the anonymous one, in any spelling. */
export const isAnonymous = (uri: string): boolean => domainOf(uri) === "anonymous.invalid"

/** The watcher asked that its identity be withheld from others. Absent: it may be shown. */
export interface Private {
  readonly private?: true
}

/** The address of a watcher as shown to other watchers. */
export const shownWatcher = (subject: Private & { readonly watcher: Uri }): Uri =>
  subject.private === true ? anonymous : subject.watcher

/** The mark itself, to be spread into records that inherit it. */
export const privacyOf = (subject: Private): Private => (subject.private === true ? { private: true } : {})
