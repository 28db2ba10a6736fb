/**
 * The header lines of one message, in a list that is searched linearly: a message has about a dozen, and few
 * are looked up.
 */

/** Names are in lower case and in full form. */
export interface HeaderLines {
  /** The values of all lines with that name, in order; undefined if there are none. */
  readonly get: (name: string) => readonly string[] | undefined
  /** The value of the first line with that name. */
  readonly first: (name: string) => string | undefined
  readonly has: (name: string) => boolean
  /** All values, regardless of name. */
  readonly values: () => readonly string[]
}

/** Lines are added as they are read. A class, so that no closures are allocated per message. */
export class HeaderList implements HeaderLines {
  /** Names and values alternate. */
  readonly #lines: string[] = []

  add(name: string, value: string): void {
    this.#lines.push(name, value)
  }

  get(name: string): readonly string[] | undefined {
    const lines = this.#lines
    let values: string[] | undefined
    for (let at = 0; at < lines.length; at += 2) {
      if (lines[at] !== name) continue
      if (values === undefined) values = [lines[at + 1]!]
      else values.push(lines[at + 1]!)
    }
    return values
  }

  first(name: string): string | undefined {
    const lines = this.#lines
    for (let at = 0; at < lines.length; at += 2) if (lines[at] === name) return lines[at + 1]
    return undefined
  }

  has(name: string): boolean {
    return this.first(name) !== undefined
  }

  values(): readonly string[] {
    return this.#lines.filter((_text, index) => index % 2 === 1)
  }
}
