/**
 * Who a watcher is to other watchers: itself, or nobody when it asked for privacy or nobody said who it is.
 *
 * Rules, verdicts, ownership and the operator's lists go by the true address; only what others are shown goes by this.
 *
 * @source RFC 3323 §4.1.1.3 (the anonymous URI), RFC 3325 §7 and §9.3 (`Privacy: id`)
 */
import { domainOf } from "./uris.ts"
import type { Uri } from "./vocabulary.ts"

/** The address of whoever is not to be known, or is not known. */
export const anonymous = "sip:anonymous@anonymous.invalid" as Uri

/** Whether a URI names nobody, in whatever spelling. */
export const isAnonymous = (uri: string): boolean => domainOf(uri) === "anonymous.invalid"

/** Who asked not to be named to others; absent: it may be. */
export interface Private {
  readonly private?: true
}

/** What other watchers are told of the address of a watcher. */
export const shownWatcher = (subject: Private & { readonly watcher: Uri }): Uri =>
  subject.private === true ? anonymous : subject.watcher

/** The mark itself, to be spread into what inherits it. */
export const privacyOf = (subject: Private): Private => (subject.private === true ? { private: true } : {})
