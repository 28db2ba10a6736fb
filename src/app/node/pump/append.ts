/** Appends decisions to the store in batches, and releases what a batch has held back once it is stored. */
import { Effect, Exit } from "effect"
import type { Batch, CommittedDecision } from "../../../domain/engine/engine.ts"
import { isEmpty } from "../../../domain/presentity/state.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import type { Position } from "../../../ports/event-store.ts"
import { attention } from "../../clock/attention.ts"
import { placeOf } from "../log-front.ts"
import { AppendUnanswered } from "../within.ts"
import { readAgain } from "./inbox.ts"
import { goDown, tellBack } from "./outage.ts"
import type { Parts } from "./parts.ts"
import { send } from "./release.ts"

/** Milliseconds before a failed append is retried. */
const againMillis = 100

/** Appends the next batch, unless an append is under way or the store is away. */
export const append = (pump: Parts): void => {
  const { machine } = pump
  if (machine.append !== "idle" || machine.isAway) return
  const batch = pump.engine.takeBatch(pump.options.decisionsMax)
  if (batch === null) return
  machine.takeAppend("begin")
  pump.underWay = batch
  if (batch.decisions.length === 0) committed(pump, new Set(), null)
  // by the process's monotonic clock: a program's own may stand still, or jump
  else tryAppend(pump, batch, performance.now())
}

const tryAppend = (pump: Parts, batch: Batch, since: number): void => {
  const { options, counters } = pump
  // a store that does not answer is treated as away; a timer of our own costs less than racing fibers
  pump.appendedFrom = performance.now()
  const fiber = pump.run(pump.store.append(batch.decisions, batch.requesters))
  let isSilent = false
  const callOff = attention.after(options.patienceMillis, () => {
    isSilent = true
    fiber.interruptUnsafe()
  })
  fiber.addObserver((exit) => {
    callOff()
    // given up meanwhile: the log will show whether it was stored
    if (pump.underWay !== batch) return end(pump)
    if (Exit.isSuccess(exit)) {
      pump.listeners.appended(performance.now() - pump.appendedFrom)
      counters.batches++
      counters.decisions += batch.decisions.length
      counters.conflicts += exit.value.conflicts.size
      committed(pump, exit.value.conflicts, exit.value.position)
    } else if (performance.now() - since < options.patienceMillis) {
      // safe whether or not it was stored: repeating the same append has the same result
      pump.run(Effect.sleep(againMillis)).addObserver(() => {
        if (pump.underWay === batch && !pump.machine.isClosed) tryAppend(pump, batch, since)
        else end(pump)
      })
    } else {
      pump.machine.takeAppend("end")
      goDown(pump, isSilent ? new AppendUnanswered({ millis: options.patienceMillis }) : exit.cause, "append")
    }
  })
}

/** Ends an append whose outcome is no longer awaited. */
const end = (pump: Parts): void => {
  pump.machine.takeAppend("end")
  pump.schedule()
}

/** @param position where the append ended; null if there was nothing to append */
const committed = (pump: Parts, conflicts: ReadonlySet<Uri>, position: Position | null): void => {
  const { doubts, front, listeners } = pump
  pump.machine.takeAppend("end")
  pump.underWay = null
  const { release, stored, again } = pump.engine.committed(conflicts)
  for (const stream of conflicts) readAgain(pump, stream)
  if (stored.length > 0) {
    if (pump.outages.isDoubted) tellBack(pump)
    rememberEvicted(pump, stored)
    listeners.stored(stored)
  }
  if (position !== null) {
    const decisions = stored.map(({ decision }) => decision)
    if (doubts.open.size > 0) for (const decision of decisions) doubts.open.delete(placeOf(decision))
    front.passed(decisions, position)
  }
  for (const released of release) {
    released.ticket?.trace?.appended(pump.appendedFrom)
    send(pump, released, position !== null)
  }
  if (again.length > 0) pump.inbox = [...again, ...pump.inbox]
  pump.schedule()
}

const rememberEvicted = ({ evicted }: Parts, stored: readonly CommittedDecision[]): void => {
  for (const { decision, after } of stored) {
    if (!isEmpty(after)) continue
    const { version, decidedAt } = after
    evicted.keep(decision.stream, { version, decidedAt })
  }
}
