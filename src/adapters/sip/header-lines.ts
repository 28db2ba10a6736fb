/**
 * The header lines of one message by name, in one list that is searched from its start: a message has a dozen of them, and few
 * are asked for.
 */

/** Names are in lower case and in their full form. */
export interface HeaderLines {
  /** The values of all lines of that name in their order; undefined when there is none. */
  readonly get: (name: string) => readonly string[] | undefined
  /** The value of the first line of that name. */
  readonly first: (name: string) => string | undefined
  readonly has: (name: string) => boolean
  /** All values, whatever their names. */
  readonly values: () => readonly string[]
}

/** Lines that are added as they are read. A class, so that a message allocates no functions. */
export class HeaderList implements HeaderLines {
  /** Name and value in turn. */
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
