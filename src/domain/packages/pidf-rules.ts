/**
 * Authorization documents as the engine uses them: parsing, evaluation and filtering combined (RFC 4745, RFC 5025).
 *
 * Conditions and sub-handling are the same for every package; transformations apply to presence only.
 */
import type { Millis } from "../vocabulary.ts"
import type { XmlCodec } from "./element.ts"
import type { PackageRules } from "./event-package.ts"
import type { Pidf } from "./pidf-document.ts"
import { filterPidf } from "./pidf-filter.ts"
import {
  asksForSphere,
  matchingRules,
  nextEvaluationAt,
  nextSphereBoundary,
  permissionsOf,
  readRules,
  sphereOf,
} from "./presence-rules.ts"
import type { RulesDocument, RulesOptions } from "./presence-rules.ts"

/** For packages without rules of their own: transformations are ignored, and the sphere is that of presence. */
export const commonRules = (xml: XmlCodec, options: RulesOptions): PackageRules<Pidf> => ({
  read: (body) => readRules(body.text, xml, options),
  judge: (rules, { uris, sphere, now }) => {
    const document = rules as RulesDocument
    const matched = matchingRules(document, { requester: { uris }, sphere, now })
    const { handling } = permissionsOf(document, matched)
    // RFC 4745 §10.2: a matching rule without sub-handling has the lowest value, block; no matching rule is a different
    // case
    if (matched.length === 0) return { handling: null, matched }
    return { handling: handling === "none-given" ? "block" : handling, matched }
  },
  names: (rules) => (rules as RulesDocument).rules.map(({ id }) => id),
  nextBoundary: (rules, documents, now) => {
    const own = nextEvaluationAt(rules as RulesDocument, now)
    const published = asksForSphere(rules as RulesDocument) ? nextSphereBoundary(documents, now) : null
    return earlier(own, published)
  },
  asksForSphere: (rules) => asksForSphere(rules as RulesDocument),
  sphere: sphereOf,
})

export const pidfRules = (xml: XmlCodec, options: RulesOptions): PackageRules<Pidf> => ({
  ...commonRules(xml, options),
  filter: (document, rules, matched) => {
    const left = filterPidf(document, permissionsOf(rules as RulesDocument, matched))
    return isBare(left) ? null : left
  },
})

const isBare = ({ tuples, notes, persons, devices, others }: Pidf): boolean =>
  tuples.length + notes.length + persons.length + devices.length + others.length === 0

const earlier = (left: Millis | null, right: Millis | null): Millis | null =>
  left === null ? right : right === null ? left : Math.min(left, right)
