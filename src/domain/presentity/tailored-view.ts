/**
 * What a subscription is shown that asks for a part of the document, or whose phone needs another form of it; and what
 * ended in a decision.
 */
import type { EventPackage } from "../packages/event-package.ts"
import type { Body } from "../vocabulary.ts"
import type { Publication, State, Subscription } from "./state.ts"
import {
  absentDocument,
  absentView,
  acceptableView,
  documentOf,
  offlineBody,
  seenOf,
  takenOf,
  viewOf,
  visibleView,
} from "./view.ts"
import type { View } from "./view.ts"

/** What a subscription asks for, and the form that its phone needs, in one text; empty: what everybody gets. */
export const formOf = (
  { argument, needs }: Pick<Subscription, "argument" | "needs">,
  eventPackage: EventPackage,
): string =>
  eventPackage.tailor === undefined || (argument === undefined && needs === undefined)
    ? ""
    : `${needs ?? ""} ${argument ?? ""}`

type Seen = Pick<Subscription, "matched" | "polite" | "accept" | "argument" | "needs">

/**
 * The same for a subscription with a form of its own (`formOf`); a politely blocked one gets the document of somebody
 * absent in that form too, so that it cannot tell the two apart. Once per change, form, set of types and distinct set of
 * rules.
 */
export const tailoredView = (state: State, eventPackage: EventPackage, subscription: Seen): View => {
  const { matched, polite, accept } = subscription
  const usual = polite
    ? takenOf(absentView(state.presentity, eventPackage), accept)
    : accept === undefined
      ? visibleView(state, eventPackage, matched)
      : acceptableView(state, eventPackage, matched, accept)
  const key = formOf(subscription, eventPackage)
  if (key === "" || usual.body === null) return usual
  let byForm = tailored.get(usual)
  if (byForm === undefined) tailored.set(usual, (byForm = new Map()))
  let view = byForm.get(key)
  if (view === undefined) {
    const document = polite
      ? absentDocument(state, eventPackage)
      : seenOf(state, eventPackage, documentOf(state, eventPackage, [], accept), matched)
    view = inForm(eventPackage, document, usual, subscription)
    byForm.set(key, view)
  }
  return view
}

/** By what all are shown that may see the same. */
const tailored = new WeakMap<View, Map<string, View>>()

/** What somebody is shown who may see nothing, in the form of a subscription. */
export const absentFor = (state: State, eventPackage: EventPackage, subscription: Seen): View =>
  formOf(subscription, eventPackage) === ""
    ? absentView(state.presentity, eventPackage)
    : tailoredView(state, eventPackage, { ...subscription, polite: true })

/** The absent form as a document (`offlineBody`), in the form of a subscription. */
export const offlineFor = (state: State, eventPackage: EventPackage, subscription: Seen): Body | null => {
  const body = offlineBody(state.presentity, eventPackage)
  if (body === null || formOf(subscription, eventPackage) === "") return body
  const document = eventPackage.offline(state.presentity)
  return inForm(eventPackage, document, { body, digest: "" }, subscription).body
}

/** @param usual what `document` looks like in the usual form */
const inForm = (
  eventPackage: EventPackage,
  document: unknown,
  usual: View,
  { argument, needs, accept }: Seen,
): View => {
  if (document === null || eventPackage.tailor === undefined) return usual
  const form = eventPackage.tailor(document, { argument: argument ?? null, needs: needs ?? null })
  return form === document ? usual : takenOf(viewOf(eventPackage, form, usual.headers), accept)
}

/**
 * What is published now, together with the ended form of publications that ended in this decision.
 *
 * The digest is that of `visibleView`: the ended form is sent once and is not a state of its own.
 */
export const partingView = (
  state: State,
  eventPackage: EventPackage,
  ended: readonly Publication[],
  subscription: Seen,
): View => {
  const { matched, accept } = subscription
  const { digest } = tailoredView(state, eventPackage, subscription)
  const document = seenOf(state, eventPackage, documentOf(state, eventPackage, ended, accept), matched)
  const usual = takenOf(viewOf(eventPackage, document), accept)
  const { body } = inForm(eventPackage, document, usual, subscription)
  return { body, digest }
}
