/**
 * The sphere a presentity is in, by what its publications say.
 */
import { describe, expect, it } from "vitest"
import { nextSphereBoundary, sphereOf } from "../../../src/domain/packages/presence-rules.ts"
import * as pidf from "../../support/xml-pidf.ts"

describe("the current sphere", () => {
  const person = (sphere: string): string => `<dm:person id="p">${sphere}</dm:person>`
  const published = (...persons: readonly string[]) =>
    persons.map((inside) => pidf.read(pidf.written(inside)))
  const now = Date.parse("2026-03-01T12:00:00Z")

  it("is what all persons with a sphere agree on", { tags: ["5025-3.1.2-a", "4480-3.11-a"] }, () => {
    const work = person("<r:sphere><r:work/></r:sphere>")
    expect(sphereOf(published(work, person("<r:sphere> WORK </r:sphere>"), person("")), now)).toBe("work")
    expect(sphereOf(published(work, person("<r:sphere><r:home/></r:sphere>")), now)).toBe(null)
    expect(sphereOf(published(person("<r:sphere>bowling league</r:sphere>")), now)).toBe("bowling league")
    expect(sphereOf(published(person(""), person("<r:sphere><r:unknown/></r:sphere>")), now)).toBe(null)
    expect(sphereOf(published(`<tuple id="t"><status/><r:sphere>work</r:sphere></tuple>`), now)).toBe(null)
    expect(sphereOf([], now)).toBe(null)
  })

  it("a sphere counts from its beginning until its end", { tags: ["5025-3.1.2-a", "4480-3.11-a"] }, () => {
    const timed = person(
      `<r:sphere from="2026-03-01T12:00:00Z" until="2026-03-01T13:00:00Z">work</r:sphere>` +
        `<r:sphere from="2026-03-01T13:00:00Z">home</r:sphere><r:sphere from="soon">mensa</r:sphere>`,
    )
    const documents = published(timed)
    const hour = 3_600_000
    expect([now - 1, now, now + hour - 1, now + hour].map((at) => sphereOf(documents, at))).toEqual([
      null,
      "work",
      "work",
      "home",
    ])
    expect([now - 1, now, now + hour].map((at) => nextSphereBoundary(documents, at))).toEqual([
      now,
      now + hour,
      null,
    ])
  })
})
