/**
 * Where the log is kept is one choice among three settings. A stronger source (flag, environment, file) overrides a weaker one as it
 * does for a single setting; two settings of the same source contradict each other.
 */
import { masked } from "./masked-url.ts"

const choices = ["database_url", "data", "memory"] as const

/** How strong a source is, by the first word of its name. */
const strengths = ["default", "file", "env", "flag", "option"]

const strengthOf = (source: string): number => strengths.indexOf(source.split(" ", 1)[0]!)

/** Leaves the strongest choice in `values`, and says of each other that was given that it has no effect. */
export const chooseLog = (
  values: Record<string, unknown>,
  sources: Readonly<Record<string, string>>,
  faults: string[],
  notices: string[],
): void => {
  const given = choices
    .filter((name) => values[name] !== null && values[name] !== false)
    .map((name) => ({ name, source: sources[name]!, strength: strengthOf(sources[name]!) }))
    .toSorted((a, b) => b.strength - a.strength)
  const [strongest, second] = given
  if (strongest === undefined || second === undefined) return
  if (second.strength === strongest.strength) {
    const rivals = given.filter(({ strength }) => strength === strongest.strength)
    const said = rivals.map(({ name, source }) => `${name} = ${masked(String(values[name]))} (${source})`)
    faults.push(`${said.join(", ")}: a log is kept in one place: leave out all but one`)
    return
  }
  for (const { name, source, strength } of given.slice(1)) {
    if (strength > 0)
      notices.push(
        `${name} (${source}) changes nothing: ${strongest.name} (${strongest.source}) says where the log is kept`,
      )
    values[name] = name === "memory" ? false : null
  }
}
