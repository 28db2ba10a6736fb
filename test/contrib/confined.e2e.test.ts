/**
 * The embedded database where little is allowed: in what the unit for systemd describes, as near as name spaces come to it
 * without systemd, and in a container with a read-only root and a user id that /etc/passwd does not know.
 *
 * Acted out by root with `unshare` and `setpriv`: the file system is read-only but for the folder of the state, /tmp and
 * /dev/shm are private, processes of others cannot be seen, and the account has no capability and can get none. What is not acted
 * out is the filter of system calls.
 */
import assert from "node:assert/strict"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { readFileSync, readdirSync, readlinkSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { knownAccounts } from "../../src/adapters/store/postgres/system-accounts.ts"
import { commandFile } from "../support/command-file.ts"
import { holds } from "../support/condition.ts"
import { ofTests } from "../support/reaper.ts"
import { openPhone, pidf, script, tuple } from "../support/sip-client.ts"

const unit = readFileSync(join(import.meta.dirname, "../../contrib/presently.service"), "utf8")

/** Everything of ours is under /srv, which every system has. `$1` the account, `$2` Node's folder, `$3` the checkout. */
const confine = `
set -e
uid=$1 node=$2 checkout=$3
shift 3
mount --make-rprivate /
mount -t tmpfs none /srv
mkdir -m 755 /srv/node /srv/checkout
mkdir -m 700 /srv/state
chown "$uid:$uid" /srv/state
mount --bind "$node" /srv/node
mount --bind "$checkout" /srv/checkout
for folder in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o mode=1777 none "$folder"; done
mount -t proc -o hidepid=invisible none /proc
mount -o remount,bind,ro /
cd /srv/state
exec setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all -- \\
  env -i PATH=/usr/local/bin:/usr/bin:/bin "$@"`

const checkout = join(import.meta.dirname, "../..")
// its bundle is made before the checkout is read-only
commandFile()

const asScript = (text: string): readonly string[] => ["sh", "-c", text, "sh"]

/** In a name space of its own, as such an account. */
const confined = (uid: number, line: string): readonly string[] => [
  "--mount",
  ...asScript(confine),
  `${uid}`,
  dirname(process.execPath),
  checkout,
  "sh",
  "-c",
  line,
]

const works = (uid: number, line: string): boolean => spawnSync("unshare", confined(uid, line)).status === 0

const canConfine = process.getuid?.() === 0 && works(1, "true")

const presently = `/srv/node/${basename(process.execPath)} /srv/checkout/bin/presently.js`

/** Serves twice on one folder, publishing in between: what was stored is there again. */
const servesTwice = async (context: TestContext, uid: number): Promise<void> => {
  const serve = `${presently} serve --data log --listen udp:127.0.0.1:0 --admin off & server=$!
    trap 'kill -TERM $server' TERM
    wait $server; wait $server; echo "ended with $?"`
  // one name space for both, since its folder goes with it
  const child = ofTests(
    spawn("unshare", confined(uid, `${serve}\n${serve}\nls log/postgres/PG_VERSION; touch /usr/x || true`), {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    }),
    "group",
  )
  let said = ""
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (bytes: Buffer) => (said += String(bytes)))
  let hasClosed = false
  const ended = once(child, "close").then(() => {
    hasClosed = true
  })
  const counted = (pattern: RegExp, count: number) =>
    holds(
      () => `${pattern} ${count} times in:\n${said}`,
      () => {
        const isThere = [...said.matchAll(pattern)].length >= count
        if (!isThere && hasClosed) throw new Error(said)
        return isThere
      },
    )
  let space = ""
  const inside = (): readonly number[] =>
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        try {
          return pid !== child.pid && readlinkSync(`/proc/${pid}/ns/mnt`) === space
        } catch {
          return false
        }
      })
  let entityTag = ""
  for (const life of [1, 2]) {
    await counted(/ready in [\d.]+ s/g, life)
    space = readlinkSync(`/proc/${child.pid}/ns/mnt`)
    const port = Number([...said.matchAll(/udp:127\.0\.0\.1:(\d+)/g)].at(-1)![1])
    const phone = await openPhone({ portOf: () => port }, "udp")
    context.onTestFinished(() => phone.close())
    const headers = life === 1 ? {} : { "SIP-If-Match": entityTag }
    const body = life === 1 ? pidf(tuple("t", "open")) : ""
    const answer = await script(phone, { user: "alice" }).publish(headers, body)
    assert.equal(answer.raw.status, 200, said)
    entityTag = answer.headers("SIP-ETag")[0] ?? ""
    child.kill("SIGTERM")
    await counted(/ended with 0/g, life)
  }
  await ended
  assert.match(said, /log\/postgres\/PG_VERSION\n/)
  assert.match(said, /\/usr\/x.*: Read-only file system/)
  await holds("nothing of it is left", () => inside().length === 0)
}

describe.skipIf(!canConfine)(
  "an embedded database where little is allowed",
  { tags: ["OPS-data", "OPS-service"] },
  () => {
    it("in what the unit for systemd describes", async (context) => {
      for (const line of [
        "ProtectSystem=strict",
        "PrivateTmp=yes",
        "NoNewPrivileges=yes",
        "ProtectProc=invisible",
        "CapabilityBoundingSet=",
      ])
        assert.ok(unit.split("\n").includes(line), line)
      assert.doesNotMatch(unit, /^MemoryDenyWriteExecute=/m)
      await servesTwice(context, knownAccounts().find(({ uid }) => uid > 0)!.uid)
    })

    it("in a container with a read-only root, under a user id that the system does not know", async (context) => {
      const uid = 54_321
      const canBeMade = works(
        uid,
        "ls /usr/lib/*/libnss_wrapper.so || unshare --user --map-user=1 --map-group=1 -- true",
      )
      if (!canBeMade) return context.skip("neither user name spaces nor nss_wrapper are here")
      await servesTwice(context, uid)
    })
  },
)
