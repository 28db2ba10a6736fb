/**
 * What is shown of the URL of a database.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { masked, withoutPassword } from "../../../src/app/config/masked-url.ts"

const shown = [
  ["postgres://presently:secret@db.example.com:5432/log", "postgres://presently@db.example.com:5432/log"],
  ["postgres://presently@db.example.com/log?sslmode=require", null],
  ["postgres://db.example.com:5432/log?application_name=a@b", null],
  ["postgres://presently:sec%40ret@[2001:db8::1]/log", "postgres://presently@[2001:db8::1]/log"],
  [
    "postgres://presently@localhost/log?host=%2Frun%2Fpg&password=secret&sslpassword=secret&options=-c%20x",
    "postgres://presently@localhost/log?host=%2Frun%2Fpg&options=-c%20x",
  ],
  // not a URL: nothing that could belong to the password
  ["postgres://presently:sec/ret@db.example.com/log", "postgres://***@db.example.com/log"],
] as const

describe("the URL of a database", { tags: ["CLI"] }, () => {
  it.for(shown)("%s without its password: %s", ([url, expected]) => {
    assert.equal(withoutPassword(url), expected ?? url)
  })

  it.for(shown)("%s never shows a password", ([url]) => {
    assert.doesNotMatch(masked(url) + withoutPassword(url), /sec(?!\.)/)
  })
})
