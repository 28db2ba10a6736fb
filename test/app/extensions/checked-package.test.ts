/**
 * What a package of somebody else answers becomes headers of a NOTIFY only in one line.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { checkedPackage } from "../../../src/app/extensions/checked-package.ts"
import { PackageFault } from "../../../src/app/extensions/package-fault.ts"
import { passThrough } from "../../../src/app/packages/index.ts"

const note = passThrough({ name: "note", contentTypes: ["text/plain"] })

describe("the body that a package gives", () => {
  const rendered = (body: object): unknown => {
    const checked = checkedPackage({ ...note, render: () => body as never })
    return checked.render({} as never)
  }

  it("begins no header of its own", { tags: ["LIB-packages"] }, () => {
    const good = { contentType: "text/plain", text: "a\r\nb", parameters: ";charset=utf-8" }
    assert.deepEqual(rendered(good), good)
    for (const bad of [
      { ...good, contentType: "text/plain\r\nEvil: 1" },
      { ...good, contentType: "text/plain\n" },
      { ...good, parameters: ";x=1\r\nEvil: 2" },
      { ...good, parameters: ";x=\0" },
    ])
      assert.throws(() => rendered(bad), PackageFault, JSON.stringify(bad))
  })
})
