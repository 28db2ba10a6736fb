/**
 * Configurations that are wrong, each with what is said about it; and where right ones come from.
 */
import assert from "node:assert/strict"
import { chmodSync } from "node:fs"
import { Cause, Effect } from "effect"
import fc from "fast-check"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { exitCodeOf } from "../../../src/app/cli/exit.ts"
import { refusals } from "../../../src/app/cli/run/server-config.ts"
import { ConfigInvalid, readConfig } from "../../../src/app/config/config.ts"
import type { Given } from "../../../src/app/config/gather.ts"
import { faultsBeside, resolveConfig } from "../../../src/app/config/resolve-config.ts"
import { fileOf } from "../cli/command.ts"

const nothing: Given = { flags: {}, set: [], env: {}, file: null, defaults: {} }

/** Every fault, as `presently config check` finds them. */
const faultsOf = async (given: Partial<Given>): Promise<readonly string[]> => {
  try {
    const config = readConfig({ ...nothing, ...given })
    const prepared = await Effect.runPromise(Effect.result(resolveConfig(config, () => {})))
    return [...refusals(config, "serve"), ...(prepared._tag === "Failure" ? prepared.failure.faults : [])]
  } catch (error) {
    assert.ok(error instanceof ConfigInvalid)
    assert.equal(exitCodeOf(Cause.fail(error)), 78)
    return error.faults
  }
}

const yaml = (context: TestContext, text: string): string => fileOf(context, "presently.yaml", text)

const year = "expected a whole number from 1 to 31536000"
const uri = "expected a URI, with * and ? for what may differ, for example sip:*@example.com"
const refusal = "expected a status from 400 to 699 that needs no header of its own, for example 403 Not Here"
const table = "expected a name of at most 32 letters, digits and underscores, for example presentity"

/** Lines after `memory: true`, which stands in line 1; `@N` in a message is the source at that line. */
it(
  "days may be written as YAML has numbers, alone, in a list and beside text",
  { tags: ["OPS-retention"] },
  () => {
    const read = (retention: unknown) =>
      readConfig({ flags: {}, set: [], env: {}, file: null, defaults: {}, own: { retention } }).retention
    assert.deepEqual(read(30), ["30"])
    assert.deepEqual(read([30]), ["30"])
    assert.deepEqual(read([30, "dialog=3"]), ["30", "dialog=3"])
    assert.deepEqual(read("30,dialog=3"), ["30", "dialog=3"])
    for (const odd of [1.5, -1, true, [true], [[30]]]) assert.throws(() => read(odd), /retention = /)
  },
)

const wrong: readonly (readonly [text: string, ...faults: string[]])[] = [
  ["max_expires_publish: 0", `max_expires_publish = 0 (@2): ${year}`],
  ["\n\nmax_expires_publish: soon", `max_expires_publish = soon (@4): ${year}`],
  ["max_expires_subscribe: 1.5", `max_expires_subscribe = 1.5 (@2): ${year}`],
  ["max_expires_subscribe: [60]", `max_expires_subscribe = [60] (@2): ${year}`],
  [
    "proxy_protocol_from: [10.0.0.0/33, lb.example.com, 192.0.2.7]\nforwarded_for_from: 10.0.0",
    "proxy_protocol_from = 10.0.0.0/33 (@2): expected an address or a network, for example 192.0.2.7 or 10.0.0.0/24",
    "proxy_protocol_from = lb.example.com (@2): expected an address or a network, for example 192.0.2.7 or 10.0.0.0/24",
    "forwarded_for_from = 10.0.0 (@3): expected an address or a network, for example 192.0.2.7 or 10.0.0.0/24",
  ],
  [
    "admin: https://0.0.0.0:5443\nadmin_tokens_file: /nowhere/tokens\nadmin_client_certificates: required",
    "admin = https://0.0.0.0:5443 (@2): HTTPS needs a certificate: give tls_certificate = FILE;key=KEYFILE (PEM)",
    "admin_client_certificates = required (@4): whose certificates are good has to be said: give tls_ca = FILE with the authority of your clients",
    "admin_tokens_file = /nowhere/tokens: there is no such file: name one that is there, or make it",
  ],
  [
    "admin_client_certificates: required\nadmin: 127.0.0.1:5080",
    "admin_client_certificates = required (@2): nobody is asked for a certificate over HTTP: give admin = https://127.0.0.1:5080",
    "admin_client_certificates = required (@2): whose certificates are good has to be said: give tls_ca = FILE with the authority of your clients",
  ],
  [
    "admin: 192.0.2.7:5080\nadmin_tokens_file: /nowhere/tokens",
    "admin = 192.0.2.7:5080 (@2): serve takes tokens over plain HTTP on loopback addresses only: give admin = https://192.0.2.7:5080 with tls_certificate, or admin_insecure_http = 1 if nobody on the way may be listening",
    "admin_tokens_file = /nowhere/tokens: there is no such file: name one that is there, or make it",
  ],
  [
    "admin: 192.0.2.7:5080\nadmin_tokens_file: /nowhere/tokens\nadmin_insecure_http: 1",
    "admin_tokens_file = /nowhere/tokens: there is no such file: name one that is there, or make it",
  ],
  [
    "listen: ['udp:[::]:5060']\nadvertise: ['0.0.0.0', 'tcp:[::]:5060=pbx.example.com']",
    "advertise = 0.0.0.0 (@3): expected HOST[:PORT], or an entry of listen, = and HOST[:PORT], for example 203.0.113.7 or udp:0.0.0.0:5060=203.0.113.7:15060",
    "advertise = tcp:[::]:5060=pbx.example.com (@3): expected HOST[:PORT], or an entry of listen, = and HOST[:PORT], for example 203.0.113.7 or udp:0.0.0.0:5060=203.0.113.7:15060",
  ],
  [
    "outbound_proxy: ['10.0.0.0/8=sips:192.0.2.1', from:192.0.2.0/24=direct]\ndomain_aliases: 10.0.0.5",
    "domain_aliases = 10.0.0.5 (@3): expected ALIAS=DOMAIN, or ALIAS of the first domain, for example 10.0.0.5=example.com",
    "outbound_proxy = 10.0.0.0/8=sips:192.0.2.1 (@2): expected a sip URI over UDP, TCP, or TLS where tls: is listened on, DESTINATION=URI or from:NETWORK=URI, or direct in its place, for example 10.8.0.0/16=sip:10.8.0.1;lr",
  ],
  ["listn: x", "listn (@2): there is no such setting; did you mean listen?"],
  ["colour: red", "colour (@2): there is no such setting"],
  [
    "log: loud\nregistrar: maybe",
    "registrar = maybe (@3): expected accept or reject",
    "log = loud (@2): expected auto or json or pretty",
  ],
  ["log: json\nlog: json", "config (@3): Map keys must be unique"],
  ["digest_md5: perhaps", "digest_md5 = perhaps (@2): expected 1 or 0 (also true, false, yes, no, on, off)"],
  ["realm: 42", "realm = 42 (@2): expected text, put it in quotes: digest realm; default: the first domain"],
  ['realm: "a\\nb"', "realm = a\nb (@2): expected one line of text: digest realm; default: the first domain"],
  ["domain: [1, 2]", "domain = [1,2] (@2): expected domains served; none: every domain, separated by commas"],
  [
    "domain: {a: b}",
    'domain = {"a":"b"} (@2): expected domains served; none: every domain, separated by commas',
  ],
  [
    "listen: [udp:here:5060]",
    "listen = udp:here:5060 (@2): expected TRANSPORT:HOST:PORT with udp, tcp, tls, ws, wss as the transport and an IP address, for example udp:127.0.0.1:5060",
  ],
  [
    "admin: here",
    "admin = here (@2): expected HOST:PORT, https://HOST:PORT or off, for example 127.0.0.1:5080",
  ],
  [
    "listen: [udp:0.0.0.0:5060]",
    "listen = 0.0.0.0 (@2): serve without authentication is for loopback addresses only: give --users-file FILE, or trusted_peers, or --insecure-no-auth if everyone who can reach it may see and publish everything",
  ],
  [
    "database_url: mysql://root:s@cret@db/x?password=secret",
    "database_url = mysql://***@db/x?password=*** (@2): expected postgres://USER:PASSWORD@HOST:PORT/NAME",
    "database_url = mysql://***@db/x?password=*** (@2), memory = true (@1): a log is kept in one place: leave out all but one",
  ],
  [
    "min_expires_publish: 7200",
    "min_expires_publish = 7200 (@2): must not be above max_expires_publish = 3600",
  ],
  ["presentity_table: no-table", `presentity_table = no-table (@2): ${table}`],
  ["xcap_table: a b", `xcap_table = a b (@2): ${table}`],
  [
    "xcap_table: watchers",
    "presentity_table, active_watchers_table, watchers_table, xcap_table: each needs a name of its own",
  ],
  [
    "pres_rules_auid: resource-lists",
    "pres_rules_auid = resource-lists (@2): expected pres-rules or org.openmobilealliance.pres-rules",
  ],
  [
    "cluster_federation_mode: 2",
    "cluster_federation_mode = 2 (@2): expected disabled or on-demand-sharing or full-sharing or 0 or 1",
  ],
  ["waiting_subs_daysno: 31", "waiting_subs_daysno = 31 (@2): expected a whole number from 0 to 30"],
  [
    "bla_presentity_spec: $var(x)",
    "bla_presentity_spec = $var(x) (@2): expected contact or $ru or $tu or $fu",
  ],
  [
    "pass_through: [nonsense]",
    "pass_through = nonsense (@2): expected NAME=TYPE or NAME=TYPE|TYPE…, for example note=text/plain",
  ],
  [
    "static_rules: [nobody]",
    "static_rules = nobody: expected URI=FILE with a file that can be read, for example sip:alice@example.com=alice.xml",
  ],
  [
    "rules_dir: /tmp\nintegrated_xcap_server: 1",
    "rules_dir and integrated_xcap_server: rules come from one place, give one of them",
  ],
  [
    "users_file: /none.txt",
    "users_file = /none.txt: there is no such file: name one that is there, or make it",
  ],
  ["- a list", "config (@2): Implicit keys need to be on a single line"],
  ["a: b: c", "config (@2): Nested mappings are not allowed in compact mappings"],
  [
    "log: [json",
    "config (@3): Flow sequence in block collection must be sufficiently indented and end with a ]",
  ],
  [
    "handle_publish: from",
    "handle_publish (@2): expected a list of rules, for example [{source: 10.0.0.0/8, sender: contact}]",
  ],
  [
    "handle_subscribe:\n  - source: 10.0.0.0/33\n    force_active: true",
    "handle_subscribe rule 1 source = 10.0.0.0/33 (@3): expected an IP address or a network, for example 10.0.0.0/8",
  ],
  [
    "handle_subscribe:\n  - { event: presence, force_activ: 1 }",
    "handle_subscribe rule 1 force_activ (@3): there is no such condition or outcome; did you mean force_active?",
  ],
  [
    "handle_subscribe:\n  - { to: alice@example.com }\n  - { from: 'sips:*', to: 'tel:*' }",
    `handle_subscribe rule 1 to = alice@example.com (@3): ${uri}`,
    `handle_subscribe rule 2 from = sips:* (@4): ${uri}`,
  ],
  [
    "handle_subscribe:\n  - force_active: true\n  - { user: bob, force_active: false }",
    "handle_subscribe rule 2 (@4): is never reached: rule 1 fits every request; put it last or give it a condition",
  ],
  ["handle_subscribe: [{}]", "handle_subscribe rule 1 (@2): says nothing; give it a condition or an outcome"],
  ["handle_subscribe: [yes]", "handle_subscribe rule 1 (@2): expected conditions and an outcome by name"],
  [
    "handle_subscribe: [{transport: sctp, sharing_tag: 'a b'}]",
    "handle_subscribe rule 1 transport = sctp (@2): expected udp or tcp or tls or ws or wss",
    "handle_subscribe rule 1 sharing_tag = a b (@2): expected a name of at most 32 letters, digits, dots, dashes and underscores, for example vip",
  ],
  [
    "handle_subscribe: [{force_active: maybe}]",
    "handle_subscribe rule 1 force_active = maybe (@2): expected true or false",
  ],
  [
    "handle_subscribe: [{refuse: 403, force_active: true}]",
    "handle_subscribe rule 1 refuse = 403 (@2): stands alone; leave out force_active",
  ],
  ["handle_publish: [{refuse: 401}]", `handle_publish rule 1 refuse = 401 (@2): ${refusal}`],
  ["handle_publish: [{refuse: 200 OK}]", `handle_publish rule 1 refuse = 200 OK (@2): ${refusal}`],
  [
    "handle_publish: [{sender: alice}]",
    "handle_publish rule 1 sender = alice (@2): expected from, contact, header NAME or a SIP URI, for example header Sender",
  ],
  [
    "handle_publish: [{method: SUBSCRIBE, refuse: 403}]",
    "handle_publish rule 1 method = SUBSCRIBE (@2): expected PUBLISH in handle_publish, SUBSCRIBE in handle_subscribe",
  ],
  [
    "handle_publish: [{event: presense, refuse: 403}]",
    "handle_publish rule 1 event = presense (@2): there is no such event package; did you mean presence?",
  ],
]

describe("a file with something wrong", { tags: ["F8", "OPS-config"] }, () => {
  it("there are more than thirty of them", () => assert.ok(wrong.length > 30))

  it.for(wrong)("%s", async ([text, ...faults], context) => {
    const file = yaml(context, `memory: true\n${text}\n`)
    const said = await faultsOf({ file })
    assert.deepEqual(
      said,
      faults.map((fault) => fault.replace(/@(\d+)\)/g, `file ${file}:$1)`)),
    )
  })

  it("nothing in it is no fault, a name without a value is not given, and JSON is as good as YAML", (context) => {
    for (const text of [
      "",
      "# nothing\n",
      "log:\n",
      '{\n\t"realm": "a",\n\t"domain": ["b"]\n}',
      "{log: json,\n}",
    ]) {
      readConfig({ ...nothing, file: yaml(context, text) })
    }
    const { sources } = readConfig({ ...nothing, file: yaml(context, '{\n "log": "json",\n "realm": "a"}') })
    assert.match(sources.realm, /presently\.yaml:3$/)
  })

  it.for([
    ["export default 1", "its default export is no object of functions"],
    ["export default { handlePublsh() {} }", "there is no handlePublsh; did you mean handlePublish?"],
    ["export default { handlePublish: 1 }", "handlePublish is no function"],
    ["export default {}", "it has no function"],
    ["throw new Error('at once')", "at once"],
  ])("code that is %s", { tags: ["OPS-request_policy"] }, async ([code = "", why = ""], context) => {
    const file = fileOf(context, "policy.mjs", code)
    const [fault, ...rest] = await faultsOf({ set: ["memory=1", `request_policy=${file}`] })
    assert.ok(fault?.startsWith(`request_policy = ${file} (flag --set): cannot be used: ${why}`), fault)
    assert.deepEqual(rest, [])
  })

  it("code that is not there, and a program's that is none", { tags: ["OPS-request_policy"] }, async () => {
    const [fault] = await faultsOf({ set: ["memory=1", "request_policy=./nowhere.ts"] })
    assert.match(
      fault ?? "",
      /^request_policy = \.\/nowhere\.ts \(flag --set\): cannot be used: .*nowhere\.ts/,
    )
    const [other] = await faultsOf({ own: { memory: true, request_policy: { handleSubscrib: () => null } } })
    assert.match(
      other ?? "",
      /^request_policy = \{\} \(option\): expected a file of code, .*did you mean handleSubscribe\?$/,
    )
  })
})

describe("a value in a file of its own", () => {
  const urlFrom = (env: Given["env"]) => readConfig({ ...nothing, env })
  const variable = "PRESENTLY_DATABASE_URL_FILE"

  it("is read, one line end at its end left out", { tags: ["OPS-secrets"] }, (context) => {
    const config = urlFrom({ [variable]: fileOf(context, "url", "postgres://a:b@c/d\n") })
    assert.deepEqual(
      [config.database_url, config.sources.database_url],
      ["postgres://a:b@c/d", `env ${variable}`],
    )
  })

  it("what is wrong with it is said, the value never", { tags: ["OPS-secrets"] }, async (context) => {
    const [good, empty, other] = [
      fileOf(context, "url", "postgres://a:secret@c/d"),
      fileOf(context, "empty", "\n"),
      fileOf(context, "other", "mysql://a:secret@c/d"),
    ]
    chmodSync(good, 0o600)
    const where = `database_url (env ${variable})`
    for (const [env, fault] of [
      [{ [variable]: "/none" }, `${where}: /none: there is no such file: name one that is there, or make it`],
      [{ [variable]: empty }, `${where}: ${empty} is empty; write the value into it`],
      [
        { [variable]: good, PRESENTLY_DATABASE_URL: "postgres://x/y" },
        `${where}: is given twice; leave ${variable} or PRESENTLY_DATABASE_URL out`,
      ],
      [
        { [variable]: other },
        `database_url = mysql://***@c/d (env ${variable}): expected postgres://USER:PASSWORD@HOST:PORT/NAME`,
      ],
      [
        { PRESENTLY_DATABASE_FILE: good },
        "database_file (env PRESENTLY_DATABASE_FILE): there is no such setting; did you mean database_url?",
      ],
    ] as const) {
      assert.deepEqual(await faultsOf({ env }), [fault])
    }
  })
})

describe("all faults at once", () => {
  /** As the commands and the library have them: what cannot be read does not hide the rest. */
  const faultsOf = async (own: Readonly<Record<string, unknown>>): Promise<readonly string[]> => {
    const beside = async (): Promise<readonly string[]> => {
      try {
        const config = readConfig({ flags: {}, set: [], env: {}, file: null, defaults: {}, own })
        const prepared = await Effect.runPromise(Effect.result(resolveConfig(config, () => {})))
        return prepared._tag === "Failure" ? prepared.failure.faults : []
      } catch (cause) {
        assert.ok(cause instanceof ConfigInvalid)
        return Effect.runPromise(faultsBeside(cause))
      }
    }
    return beside()
  }
  /** Each of them is one fault by itself. */
  const wrong: Readonly<Record<string, readonly [value: unknown, fault: RegExp]>> = {
    trusted_peers: [["10.0.0.1;identity=pie"], /^trusted_peers = 10\.0\.0\.1;identity=pie \(option\): /],
    rules_wait: ["soon", /^rules_wait = soon \(option\): expected a whole number/],
    watch_policy: [["dialog=ownr"], /^watch_policy = dialog=ownr \(option\): there is no policy ownr/],
    mailbox_owners: [
      ["sip:a@example.com=alice"],
      /^mailbox_owners = .*for example sip:support@example\.com=sip:alice@example\.com\|/,
    ],
    line_members: [["nonsense"], /^line_members = nonsense .*for example sip:desk@example\.com=/],
    pass_through: [
      ["note"],
      /^pass_through = note \(option\): expected NAME=TYPE or NAME=TYPE\|TYPE…, for example note=text\/plain$/,
    ],
    no_rules: ["perhaps", /^no_rules = perhaps/],
    admin: ["http://127.0.0.1:15280", /^admin = http:.*without a scheme: write 127\.0\.0\.1:15280$/],
    users_file: ["/nowhere/users", /^users_file = \/nowhere\/users: there is no such file/],
    cluster_pres_events: [["weather"], /^cluster_pres_events = weather/],
    retention: [["forever"], /^retention = forever/],
    handle_subscribe: [[{ from: { same_as: "from" }, refuse: 403 }], /^handle_subscribe rule 1 from/],
  }

  it("of any that are wrong together each is told as by itself", { tags: ["OPS-config"] }, () =>
    fc.assert(
      fc.asyncProperty(fc.subarray(Object.keys(wrong), { minLength: 1 }), async (names) => {
        const faults = await faultsOf(Object.fromEntries(names.map((name) => [name, wrong[name]![0]])))
        // a package that is not made may be missing elsewhere: nothing is told of that here
        assert.equal(faults.length, names.length, faults.join("\n"))
        for (const name of names)
          assert.ok(
            faults.some((fault) => wrong[name]![1].test(fault)),
            `${name}: ${faults.join("\n")}`,
          )
      }),
      { numRuns: 100 },
    ),
  )

  it(
    "an entry that makes no package is told by itself, and not once more where it is named",
    { tags: ["OPS-pass_through"] },
    async () => {
      const faults = await faultsOf({
        pass_through: ["note=", "memo=text/plain", "bad name=text/plain"],
        watch_policy: ["note=owner", "memo=owner", "other=owner"],
        cluster_pres_events: ["note", "memo"],
      })
      const example = "expected NAME=TYPE or NAME=TYPE|TYPE…, for example note=text/plain"
      assert.deepEqual(faults.slice(0, 2), [
        `pass_through = note= (option): ${example}`,
        `pass_through = bad name=text/plain (option): event package bad name: that is no name for an Event header; ${example}`,
      ])
      assert.deepEqual(faults.length, 3)
      assert.match(faults[2]!, /^watch_policy = other=owner \(option\): there is no event package other/)
    },
  )

  it("publishes_for names domains that are served", { tags: ["OPS-trusted_peers"] }, async () => {
    const domain = ["example.com", "EXAMPLE.org"]
    const entry = "10.0.0.1;publishes_for=foo.example|example.org|sip:a@bar.example|tel:+491"
    const faults = await faultsOf({ domain, trusted_peers: [entry] })
    assert.deepEqual(
      faults.map((fault) => fault.replace(/^.*?\(option\): /, "")),
      ["foo.example", "bar.example"].map(
        (one, index) =>
          `publishes_for=${index === 0 ? one : "sip:a@bar.example"}: ${one} is not served; domain = example.com, example.org`,
      ),
    )
    for (const peer of ["10.0.0.1;publishes_for=*", "10.0.0.1;publishes_for=example.com", "10.0.0.1"])
      assert.deepEqual(await faultsOf({ domain, trusted_peers: [peer] }), [])
    // every domain is served
    assert.deepEqual(await faultsOf({ trusted_peers: [entry] }), [])
  })
})
