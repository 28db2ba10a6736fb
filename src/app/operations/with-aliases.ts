/**
 * Operations whose callers may name persons at an alias of their domain (`domain_aliases`), as phones may.
 */
import type { Canonical } from "../../adapters/sip/domain-aliases.ts"
import type { Operations } from "../../ports/operations.ts"
import { presentityOf } from "../presentity-uri.ts"

/** @param canonical null: there are no aliases */
export const withAliases = (operations: Operations, canonical: Canonical | null): Operations => {
  if (canonical === null) return operations
  /** What cannot be read is left to who refuses it. */
  const at = (text: string): string => {
    const uri = presentityOf(text)
    if (uri === null) return text
    const known = canonical(uri)
    return known === uri ? text : known
  }
  const { history } = operations
  const watched = <Wish extends { readonly watcher: string }>(wish: Wish): Wish => ({
    ...wish,
    watcher: at(wish.watcher),
  })
  return {
    ...operations,
    presentity: (uri) => operations.presentity(at(uri)),
    watchers: (uri, event) => operations.watchers(at(uri), event),
    refresh: (caller, uri, event, kind) => operations.refresh(caller, at(uri), event, kind),
    document: (kind, uri, event) => operations.document(kind, at(uri), event),
    replaceDocument: (caller, kind, uri, event, document) =>
      operations.replaceDocument(caller, kind, at(uri), event, document),
    testRules: (uri, event, watcher, text) => operations.testRules(at(uri), event, at(watcher), text),
    publish: (caller, wish) => operations.publish(caller, { ...wish, presentity: at(wish.presentity) }),
    terminate: (caller, uri, event, watcher, reason) =>
      operations.terminate(caller, at(uri), event, watcher === null ? null : at(watcher), reason),
    decide: (caller, uri, event, watcher, handling) =>
      operations.decide(caller, at(uri), event, at(watcher), handling),
    history: {
      history: (uri, wish) => history.history(at(uri), wish),
      at: (uri, wish) => history.at(at(uri), wish),
      diff: (uri, wish) => history.diff(at(uri), wish),
      seen: (uri, wish) => history.seen(at(uri), watched(wish)),
      why: (uri, wish) => history.why(at(uri), watched(wish)),
    },
  }
}
