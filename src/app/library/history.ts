/**
 * The presentity as of any instant.
 */
import { Effect } from "effect"
import { presentityIn } from "../../domain/history/at.ts"
import type { PresentityAt } from "../../domain/history/at.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import type { EventStore, StoreUnavailable } from "../../ports/event-store.ts"
import { stateAt } from "../history/decisions.ts"

export type { PresentityAt } from "../../domain/history/at.ts"

export const presentityAt = (
  store: EventStore["Service"],
  packages: Packages,
  presentity: Uri,
  at: Millis,
): Effect.Effect<PresentityAt, StoreUnavailable> =>
  Effect.map(stateAt(store, presentity, at), (state) => presentityIn(state, packages, at))
