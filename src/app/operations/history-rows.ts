/**
 * Answers about history as rows: the shapes of `ports/history-queries.ts`, made from the log.
 */
import type { PresentityAt } from "../../domain/history/at.ts"
import type { Entry } from "../../domain/history/entries.ts"
import { deliveryOf } from "../../domain/history/ledger.ts"
import type { Knowledge, Life, Sent } from "../../domain/history/ledger.ts"
import type { Explanation } from "../../domain/history/why.ts"
import type { HistoryRow, SentRow } from "../../ports/history-queries.ts"

const iso = (at: number): string => new Date(at).toISOString()

export const historyRow = (entry: Entry, text: string): HistoryRow => ({
  position: entry.position,
  version: entry.version,
  time: iso(entry.at),
  cause: entry.cause,
  origin: entry.origin,
  requester: typeof entry.requester === "number" ? null : entry.requester,
  request: entry.request,
  correlation: entry.correlation,
  caused_by: entry.causedBy,
  events: entry.events,
  told: entry.told.map(({ no: id, watcher, event, cseq, state, matched }) => ({
    subscription: id,
    watcher,
    event,
    cseq,
    state,
    rules: matched,
  })),
  untold: entry.untold.map(({ no: id, watcher, event, finding }) => ({
    subscription: id,
    watcher,
    event,
    finding,
  })),
  rules: entry.rules,
  text,
})

export const sentRow = (sent: Sent, known: Knowledge, text: string): SentRow => ({
  position: sent.place.position,
  version: sent.place.version,
  time: iso(sent.place.at),
  watcher: sent.watcher,
  event: sent.notify.packageName,
  subscription: sent.notify.no,
  cseq: sent.notify.cseq,
  cause: sent.cause,
  state: sent.notify.state,
  reason: sent.notify.reason,
  content_type: sent.notify.body?.contentType ?? null,
  body: sent.notify.body?.text ?? null,
  headers: sent.notify.headers ?? [],
  delivery: deliveryOf(sent, known),
  status: sent.failed?.how.status ?? null,
  text,
})

export const stateRow = (found: PresentityAt) => ({
  presentity: found.presentity,
  time: iso(found.at),
  version: found.version,
  publications: found.publications,
  documents: found.documents,
  hard_state: found.hardState,
  rules: found.rules,
  watchers: found.watchers,
})

/** An explanation without the documents, which `seen` has. */
export const explanationRow = (
  { presentity, watcher, packageName, asOf, change, cases, absence, treatment }: Explanation,
  known: Knowledge,
) => ({
  presentity,
  watcher,
  event: packageName,
  as_of: iso(asOf),
  change,
  cases: cases.map(({ life, finding, sequel, sent }) => ({
    subscription: lifeRow(life),
    finding,
    sequel,
    told: sent === null ? null : { ...sent.place, cseq: sent.notify.cseq, delivery: deliveryOf(sent, known) },
  })),
  absence:
    absence === null
      ? null
      : {
          last: absence.last === null ? null : lifeRow(absence.last),
          next: absence.next === null ? null : lifeRow(absence.next),
          is_waiting: absence.waiting !== null,
          handling: absence.judgement?.handling ?? null,
          by: absence.judgement?.by ?? null,
        },
  treatment:
    treatment === null
      ? null
      : {
          position: treatment.position,
          time: iso(treatment.at),
          subscription: treatment.life.no,
          is: treatment._tag,
          ending: treatment._tag === "Ended" ? treatment.ending : null,
          handling: treatment.judgement.handling,
          by: treatment.judgement.by,
        },
})

const lifeRow = ({ no: id, createdAt, began, origin, ended }: Life) => ({
  no: id,
  since: iso(createdAt),
  position: began?.position ?? null,
  origin,
  ended,
})
