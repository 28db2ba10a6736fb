/**
 * Responses to NOTIFYs as the log stores them: three numbers for each.
 */
import type { Millis } from "../vocabulary.ts"
import type { Accepted } from "./commands.ts"
import type { NotificationsAccepted } from "./events.ts"

/** The event for a decision made at `now`. */
export const acceptedEvent = (accepted: readonly Accepted[], now: Millis): NotificationsAccepted => ({
  _tag: "NotificationsAccepted",
  of: accepted.flatMap(({ no: id, cseq, at }) => [id, cseq, Math.max(0, now - at)]),
})

/** The responses in an event of a decision made at `at`. */
export const answersIn = ({ of: triples }: NotificationsAccepted, at: Millis): readonly Accepted[] => {
  const answers: Accepted[] = []
  for (let index = 0; index + 2 < triples.length; index += 3) {
    const [id = 0, cseq = 0, before = 0] = triples.slice(index, index + 3)
    answers.push({ no: id, cseq, at: at - before })
  }
  return answers
}
