/** A complete server, started from a program; the settings are those of `presently serve`. */
import { Server } from "presently"

const server = await Server.start({
  listen: ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"],
  admin: "127.0.0.1:0",
  domain: ["example.com"],
  max_expires_publish: 600,
})
console.log(server.addresses.map((address) => address.replace(/\d+$/, "PORT")).join(" "))
console.log((await (await fetch(`${server.admin}/ready`)).text()).trim())
await server.close()

try {
  await Server.start({ max_expires_publish: 0 })
} catch (error) {
  console.log((error as { faults: readonly string[] }).faults.join("\n"))
}

// prints:
// udp:127.0.0.1:PORT tcp:127.0.0.1:PORT
// ready
// max_expires_publish = 0 (option): expected a whole number from 1 to 31536000
