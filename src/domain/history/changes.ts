/**
 * What in a decision could have changed the view of a package's watchers.
 */
import type { Packages } from "../packages/event-package.ts"
import type { Decision, Event } from "../presentity/events.ts"
import { currentView } from "../presentity/view.ts"
import { get } from "../table.ts"
import type { PackageName, Uri } from "../vocabulary.ts"
import type { DecisionStep } from "./moments.ts"

export type Change =
  | {
      readonly _tag: "Published"
      readonly event: Event & { readonly packageName: PackageName }
      /** Entity-tags of publications of the same device whose place it took; absent: of none. */
      readonly replaced?: readonly string[]
    }
  /** A change of another package whose state this one shows, or of who subscribes. */
  | { readonly _tag: "Mixed"; readonly by: readonly string[] }
  | { readonly _tag: "Rules"; readonly event: Event }
  | { readonly _tag: "Decided"; readonly event: Event }

/**
 * Null: nothing for the watchers of the package, whether or not its document is different now. A refresh is no change.
 *
 * @param watcher an operator's decision on this watcher counts as well
 */
export const changeIn = (
  moment: DecisionStep,
  packageName: PackageName,
  watcher: Uri | null,
  packages: Packages,
): Change | null => {
  const { events } = moment.decision
  const replaced = events.flatMap((event) => (isReplaced(event) ? [event.entityTag] : []))
  for (const event of events) {
    if (isPublished(event) && event.packageName === packageName && !isReplaced(event))
      return { _tag: "Published", event, ...(replaced.length === 0 ? {} : { replaced }) }
    if (event._tag === "RulesReplaced" && event.packageName === packageName) return { _tag: "Rules", event }
    if (event._tag === "WatcherDecided" && event.packageName === packageName && event.watcher === watcher)
      return { _tag: "Decided", event }
  }
  const eventPackage = packages.find(packageName)
  if (eventPackage === null || eventPackage.watcherInfoOf !== undefined) {
    return watchersChanged(moment, packageName) ? { _tag: "Mixed", by: tagsOf(moment.decision) } : null
  }
  const isOthers = eventPackage.mixes !== undefined || eventPackage.composesFrom !== undefined
  if (
    !isOthers ||
    currentView(moment.before, eventPackage).digest === currentView(moment.after, eventPackage).digest
  )
    return null
  return { _tag: "Mixed", by: tagsOf(moment.decision) }
}

const isPublished = (
  event: Event,
): event is Extract<
  Event,
  {
    readonly _tag: "PublicationCreated" | "PublicationModified" | "PublicationRemoved" | "HardStateReplaced"
  }
> =>
  event._tag === "PublicationCreated" ||
  event._tag === "PublicationModified" ||
  event._tag === "PublicationRemoved" ||
  event._tag === "HardStateReplaced"

/** Removed in favour of the publication that the same decision created. */
const isReplaced = (event: Event): event is Extract<Event, { readonly _tag: "PublicationRemoved" }> =>
  event._tag === "PublicationRemoved" && event.cause === "replaced"

/** For a package of watcher information: whether the watchers of its package changed. */
const watchersChanged = ({ before, after }: DecisionStep, packageName: PackageName): boolean => {
  if (!packageName.endsWith(".winfo")) return false
  const watched = packageName.slice(0, -".winfo".length)
  return get(before.watchersChangedIn, watched) !== get(after.watchersChangedIn, watched)
}

const tagsOf = ({ events }: Decision): readonly string[] => [...new Set(events.map(({ _tag }) => _tag))]
