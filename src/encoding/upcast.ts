/**
 * Events of older shapes, brought up to date: one upcaster for each change that left rows behind which today's schema does
 * not take. Kept for ever; the newest stands last. A field that may be absent needs none.
 */

type Json = Readonly<Record<string, unknown>>

interface Upcaster {
  /** What changed, and since when rows are as they are now. */
  readonly about: string
  readonly upcast: (event: Json) => Json
}

const withNull = (event: Json, ...fields: readonly string[]): Json => {
  const missing = fields.filter((field) => !(field in event))
  return missing.length === 0
    ? event
    : { ...Object.fromEntries(missing.map((field) => [field, null])), ...event }
}

const upcasters: readonly Upcaster[] = [
  {
    about: "before there were rules nobody was judged by them, and nobody waited for a decision",
    upcast: (event) => {
      switch (event["_tag"]) {
        case "SubscriptionCreated":
        case "SubscriptionStatusChanged":
          return withNull(event, "matched", "giveUpAt")
        case "SubscriptionTerminated":
          return withNull(event, "waitsUntil")
        default:
          return event
      }
    },
  },
]

const isEvent = (json: unknown): json is Json =>
  typeof json === "object" && json !== null && !Array.isArray(json)

/** The events of one row as today's code would have written them; what is none of ours stays as it is. */
export const upcast = (json: unknown): unknown =>
  Array.isArray(json)
    ? json.map((event: unknown) =>
        isEvent(event) ? upcasters.reduce((one, { upcast: bring }) => bring(one), event) : event,
      )
    : json
