import { randomBytes } from "node:crypto"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import {
  algorithmsDefault,
  digestResponse,
  ha1Of,
  makeDigest,
  makeNonceCounts,
  parseCredentials,
} from "../../../src/adapters/sip/digest.ts"
import type { AuthOptions, DigestAlgorithm } from "../../../src/adapters/sip/options.ts"
import { readRequest, trapText } from "../../support/sip-messages.ts"

const realm = "example.com"
const algorithms: readonly DigestAlgorithm[] = [...algorithmsDefault, "MD5"]

/** As of a server for two domains at an address of its own: whatever else a request names is none of its domains. */
const isNoDomain = (host: string): boolean => host !== "example.com" && host !== "example.org"

const world = (options: Partial<AuthOptions> = {}) => {
  let now = 1_000_000_000_000
  const check = makeDigest(
    {
      realm,
      lookup: (user) => (user === "bob" ? { password: "päss:w" } : null),
      nonceKey: "0123456789abcdef",
      algorithms,
      ...options,
    },
    () => now,
    randomBytes,
    isNoDomain,
  )
  return { check, pass: (ms: number) => (now += ms) }
}

interface Attempt {
  readonly user?: string
  readonly password?: string
  readonly algorithm?: DigestAlgorithm
  readonly nc?: string
  readonly qop?: "auth" | null
  readonly uri?: string
  readonly method?: string
  /** The Request-URI and To that the request arrives with. */
  readonly asked?: string
  readonly to?: string
}

const nonceOf = (headers: string): string => headers.split('nonce="')[1]!.split('"')[0]!

const challenge = (check: ReturnType<typeof makeDigest>): string => {
  const first = check(readRequest({ method: "PUBLISH" }))
  assert(first._tag === "Challenged")
  return first.headers
}

const attempt = (check: ReturnType<typeof makeDigest>, nonce: string, given: Attempt = {}) => {
  const {
    user = "bob",
    password = "päss:w",
    algorithm = "SHA-256",
    nc = "00000001",
    qop = "auth",
    uri = "sip:alice@example.com",
    method = "PUBLISH",
    asked = "sip:alice@example.com",
    to = "<sip:alice@example.com>",
  } = given
  const ha1 = ha1Of({ password }, user, realm, algorithm)!
  const response = digestResponse(ha1, method, { nonce, uri, algorithm, qop, cnonce: "c", nc })
  const protection = qop === null ? "" : `, qop=auth, nc=${nc}, cnonce="c"`
  return check(
    readRequest({
      method: "PUBLISH",
      uri: asked,
      headers: {
        To: to,
        Authorization: `Digest username="${user}", realm="${realm}", nonce="${nonce}", uri="${uri}", response="${response}", algorithm=${algorithm}${protection}`,
      },
    }),
  )
}

describe("digest", () => {
  it.each([
    ["its name", undefined],
    ["another address", "sip:dora@example.org"],
  ])(
    "a nonce is good anywhere, and proves to an account known by %s the place that it was given to and no other",
    { tags: ["C2"] },
    (_what, address) => {
      const { check } = world(address === undefined ? {} : { addressOf: () => address })
      const given = (place: string): string => {
        const first = check(readRequest({ method: "PUBLISH" }), place)
        assert(first._tag === "Challenged")
        return nonceOf(first.headers)
      }
      const here = "udp:192.0.2.20:5060"
      fc.assert(
        fc.property(
          fc.constantFrom("", here, "udp:192.0.2.20:5061", "udp:192.0.2.21:5060", "tcp:192.0.2.20:5060"),
          fc.constantFrom(here, "udp:192.0.2.99:5060"),
          (given_, from) => {
            const verified = attempt((message) => check(message, from), given(given_))
            assert(verified._tag === "Verified")
            assert.strictEqual(verified.uri, address ?? "sip:bob@example.com")
            for (const place of [
              here,
              "udp:192.0.2.20:5061",
              "udp:192.0.2.99:5060",
              "tcp:192.0.2.20:5060",
              "",
            ])
              assert.strictEqual(verified.wasGivenTo?.(place), place !== "" && place === given_, place)
          },
        ),
      )
      // the two halves of a nonce cannot be put together anew
      const [one, other] = [given(here), given("udp:192.0.2.99:5060")].map((text) =>
        Buffer.from(text, "base64url"),
      ) as [Buffer, Buffer]
      const mixed = Buffer.concat([one.subarray(0, 30), other.subarray(30)]).toString("base64url")
      assert.strictEqual(attempt((message) => check(message, here), mixed)._tag, "Challenged")
    },
  )

  it.each(algorithms)(
    "what is computed for %s is verified, with and without qop",
    { tags: ["8760-2.6-a"] },
    (algorithm) => {
      const { check } = world()
      assert.deepStrictEqual(attempt(check, nonceOf(challenge(check)), { algorithm }), {
        _tag: "Verified",
        user: "bob",
        uri: "sip:bob@example.com",
      } as never)
      assert.strictEqual(attempt(check, nonceOf(challenge(check)), { algorithm, qop: null })._tag, "Verified")
    },
  )

  it(
    "one challenge per algorithm, strongest first, each with qop, and MD5 only by name",
    { tags: ["8760-2.3-a"] },
    () => {
      const lines = challenge(world().check).trimEnd().split("\r\n")
      assert.deepStrictEqual(
        lines.map((line) => line.split("algorithm=")[1]),
        [...algorithms],
      )
      assert.isTrue(
        lines.every((line) => line.startsWith("WWW-Authenticate: Digest ") && line.includes('qop="auth"')),
      )
      const unlisted = makeDigest(
        { realm, lookup: () => null, nonceKey: "0123456789abcdef" },
        () => 0,
        randomBytes,
      )
      assert.notInclude(challenge(unlisted), "MD5")
    },
  )

  it("OPS-digest-refusals: wrong password, user, method, nonce or unlisted algorithm are challenged alike", () => {
    const { check } = world({ algorithms: ["SHA-256"] })
    const nonce = nonceOf(challenge(check))
    const forged = `${nonce.slice(0, -3)}${nonce.endsWith("AAA") ? "BBB" : "AAA"}`
    const refusals = [
      attempt(check, nonce, { password: "x" }),
      attempt(check, nonce, { user: "nobody" }),
      attempt(check, nonce, { method: "SUBSCRIBE" }),
      attempt(check, nonce, { algorithm: "MD5" }),
      attempt(check, forged),
      attempt(check, "x"),
    ]
    for (const refusal of refusals) {
      assert(refusal._tag === "Challenged")
      assert.notInclude(refusal.headers, "stale")
    }
    assert.strictEqual(attempt(check, nonce)._tag, "Verified")
  })

  it.each([
    ["sip:alice@example.com", "sip:alice@example.com:5060;transport=udp"],
    ["sip:alice@example.com:5060", "sip:alice@example.com"],
    ["sip:alice@example.com;user=phone", "sip:alice@EXAMPLE.com."],
    ["sips:alice@example.com", "sip:alice@example.com"],
    ["sip:%61lice@example.com", "sip:alice@example.com"],
    ["sip:*21#@example.com", "sip:*21%23@example.com"],
    ["sip:alice@example.com", "sip:alice@192.0.2.10:5060"],
    ["sip:alice@192.0.2.77", "sip:alice@example.com"],
    ["sip:alice@[2001:db8::0:1]", "sip:alice@[2001:DB8::1]"],
    ["sip:example.com", "sip:192.0.2.10"],
    ["tel:+1-201", "tel:+1201"],
  ])(
    "the digest URI %s is the resource %s, however it is spelled",
    { tags: ["7616-3.4.6-a"] },
    (uri, asked) => {
      const { check } = world()
      assert.strictEqual(attempt(check, nonceOf(challenge(check)), { uri, asked })._tag, "Verified")
      assert.strictEqual(
        attempt(check, nonceOf(challenge(check)), { uri: asked, asked: uri })._tag,
        "Verified",
      )
      // another password is no better for it
      assert.strictEqual(
        attempt(check, nonceOf(challenge(check)), { uri, asked, password: "x" })._tag,
        "Challenged",
      )
    },
  )

  it("within a dialog the URI of its To names it as well", { tags: ["7616-3.4.6-a"] }, () => {
    const { check } = world()
    const given = { uri: "sip:alice@example.com", asked: "sip:presence@192.0.2.10:5060" }
    const again = (to: string) => attempt(check, nonceOf(challenge(check)), { ...given, to })._tag
    assert.strictEqual(again('"Alice" <sip:alice@example.com:5060>;tag=1'), "Verified")
    assert.strictEqual(again("<sip:alice@example.com>"), "Unreadable")
    assert.strictEqual(again("<sip:carol@example.com>;tag=1"), "Unreadable")
  })

  it.each([
    ["sip:carol@example.com", "sip:alice@example.com"],
    ["sip:alice@example.org", "sip:alice@example.com"],
    ["sip:Alice@example.com", "sip:alice@example.com"],
    ["sip:example.com", "sip:alice@example.com"],
    ["sip:carol@192.0.2.10", "sip:alice@example.com"],
    ["tel:+1201", "sip:+1201@example.com"],
    ["<sip:alice@example.com>", "sip:alice@example.com"],
    ["/", "sip:alice@example.com"],
  ])(
    "the digest URI %s is not the resource %s, which is refused with 400: a client would answer a challenge the same way",
    { tags: ["7616-3.4.6-a"] },
    (uri, asked) => {
      const { check } = world()
      for (const password of ["päss:w", "x"])
        assert.deepStrictEqual(attempt(check, nonceOf(challenge(check)), { uri, asked, password }), {
          _tag: "Unreadable",
          why: "Digest URI Is Another Resource",
        })
    },
  )

  it.each(["1", "01", "0000001", "0000000A", "fF"])("nc=%s is a count", { tags: ["7616-3.4-a"] }, (nc) => {
    const { check } = world()
    const nonce = nonceOf(challenge(check))
    assert.strictEqual(attempt(check, nonce, { nc })._tag, "Verified")
    assert.strictEqual(attempt(check, nonce, { nc })._tag, "Challenged")
    const same = Number.parseInt(nc, 16).toString(16).padStart(8, "0")
    assert.strictEqual(attempt(check, nonce, { nc: same })._tag, "Challenged")
  })

  it.each(["", "000000001", "0x1", "g", "-1", "1 "])("nc=%j is none", { tags: ["7616-3.4-a"] }, (nc) => {
    const { check } = world()
    assert.strictEqual(attempt(check, nonceOf(challenge(check)), { nc: `"${nc}"` })._tag, "Challenged")
  })

  it("OPS-digest-replay 3265-5.4-a: a count is good once; an old nonce is stale, not wrong", () => {
    const { check, pass } = world()
    const nonce = nonceOf(challenge(check))
    assert.strictEqual(attempt(check, nonce)._tag, "Verified")
    const again = attempt(check, nonce)
    assert(again._tag === "Challenged" && again.headers.includes("stale=true"))
    assert.strictEqual(attempt(check, nonce, { nc: "00000003" })._tag, "Verified")
    assert.strictEqual(attempt(check, nonce, { nc: "00000002" })._tag, "Verified")
    pass(301_000)
    const late = attempt(check, nonce, { nc: "00000004" })
    assert(late._tag === "Challenged" && late.headers.includes("stale=true"))
  })

  it("OPS-digest-replay: no count of a nonce is accepted twice, in whatever order they come and however many nonces there are", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 80 })), { maxLength: 200 }),
        (uses) => {
          const counts = makeNonceCounts(3)
          const accepted = new Set<string>()
          for (const [nonce, count] of uses) {
            if (!counts.use(`n${nonce}`, nonce, count)) continue
            assert.isFalse(accepted.has(`${nonce} ${count}`))
            accepted.add(`${nonce} ${count}`)
          }
          assert.isAtMost(counts.size(), 3)
        },
      ),
    )
  })

  it("OPS-digest-credentials: any Authorization value is read or refused", () => {
    fc.assert(
      fc.property(trapText(200), (text) => {
        parseCredentials(`Digest ${text}`)
        parseCredentials(`Digest username="a", ${text}`)
      }),
      { numRuns: 500 },
    )
    assert.isNull(parseCredentials("Basic dXNlcjpwYXNz"))
  })
})
