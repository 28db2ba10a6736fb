/**
 * A page with one phone, written with JsSIP or SIP.js, that reports what happens to it. Bundled by its test.
 *
 * What it is to do is in its address: `?library=jssip&server=wss://…&user=bob&password=…`.
 */
import * as JsSIP from "jssip"
import { Publisher, Registerer, Subscriber, SubscriptionState, UserAgent } from "sip.js"

const wanted = new URLSearchParams(location.search)
const [library, server, user, password] = ["library", "server", "user", "password"].map((name) =>
  wanted.get(name),
)

const say = (text) => fetch("/say", { method: "POST", body: text })
addEventListener("error", ({ message }) => void say(`error: ${message}`))
addEventListener("unhandledrejection", ({ reason }) => void say(`error: ${reason}`))

const lampIn = (body) => /<(?:\w+:)?state[^>]*>(\w+)</.exec(body)?.[1] ?? "dark"

const type = "application/dialog-info+xml"
const documentWith = (state) =>
  `<?xml version="1.0"?><dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:alice@example.com"><dialog id="1"><state>${state}</state></dialog></dialog-info>`

/** Asks the test what to do next. */
const orders = async (deal) => {
  for (;;) {
    const order = await (await fetch("/order")).text()
    if (order === "reload") return location.reload()
    if (order !== "") await deal(order)
  }
}

export const startPhone = () => {
  if (library === "jssip") {
    const ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(server)],
      uri: `sip:${user}@example.com`,
      password,
      register_expires: 300,
      session_timers: false,
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 2,
    })
    let subscription = null
    const watch = () => {
      subscription = ua.subscribe("sip:alice@example.com", "dialog", type, { expires: 600 })
      subscription.on("notify", (_isFinal, _request, body) => void say(`lamp ${lampIn(body)}`))
      subscription.on("terminated", (code) => void say(`terminated ${code}`))
      subscription.subscribe()
    }
    ua.on("registered", () => {
      void say("registered")
      if (subscription === null) watch()
      // the same subscription on another connection
      else subscription.subscribe()
    })
    ua.on("registrationFailed", ({ cause }) => void say(`registration failed: ${cause}`))
    ua.on("disconnected", () => void say("disconnected"))
    ua.start()
    void orders(async () => {})
  } else {
    const agent = new UserAgent({
      uri: UserAgent.makeURI(`sip:${user}@example.com`),
      authorizationUsername: user,
      authorizationPassword: password,
      transportOptions: { server },
      logBuiltinEnabled: false,
    })
    const target = UserAgent.makeURI("sip:alice@example.com")
    const publisher = new Publisher(agent, target, "dialog", { contentType: type, expires: 600 })
    let subscriber = null
    const watch = async () => {
      subscriber = new Subscriber(agent, target, "dialog", {
        expires: 600,
        extraHeaders: [`Accept: ${type}`],
      })
      subscriber.delegate = {
        onNotify: (notification) => {
          void notification.accept()
          void say(`lamp ${lampIn(notification.request.body)}`)
        },
      }
      subscriber.stateChange.addListener((state) => {
        if (state === SubscriptionState.Terminated) void say("terminated")
      })
      await subscriber.subscribe()
    }
    const registerer = new Registerer(agent, { expires: 300 })
    const register = () =>
      registerer.register({
        requestDelegate: {
          onAccept: () => {
            void say("registered")
            if (user !== "bob") return
            // after a reconnect, the same subscription on another connection
            void (subscriber === null ? watch() : subscriber.subscribe())
          },
          onReject: ({ message }) => void say(`registration failed: ${message.statusCode}`),
        },
      })
    const comeBack = () => void agent.reconnect().catch(() => setTimeout(comeBack, 500))
    agent.delegate = {
      onDisconnect: (error) => {
        void say("disconnected")
        // SIP.js says with an error that it was not the page that hung up
        if (error !== undefined && user === "bob") comeBack()
      },
      onConnect: () => {
        if (subscriber !== null && user === "bob") void register()
      },
    }
    void agent
      .start()
      .then(register)
      .then(() =>
        orders(async (order) => {
          if (order === "watch") await watch()
          else await publisher.publish(documentWith(order))
        }),
      )
  }
}
