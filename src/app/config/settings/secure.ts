/**
 * Settings of TLS and WebSocket.
 */
import { choice, flag, int, list, text } from "../setting-kinds.ts"

export const secure = {
  tls_certificate: list(
    [],
    "PEM files with a certificate and its chain, each FILE or FILE;key=KEYFILE; the first is for clients that name no server, the others for those that ask for a name in them (SNI)",
  ),
  tls_ca: text(
    null,
    "PEM file of the authorities that certificates of clients, and of servers that are connected to, must come from; none: those of Node.js, for servers only",
  ),
  tls_client_certificates: choice(
    "off",
    ["off", "optional", "required"],
    "whether clients are asked for a certificate: never, without consequence when they have none, or always; a certificate of a user is an identity like a password",
  ),
  tls_verify: flag(true, "whether a server that is connected to must have a certificate of its name"),
  tls_min_version: choice("1.2", ["1.2", "1.3"], "oldest version of TLS"),
  handshakes_max: int<number>(
    1_000,
    1,
    100_000,
    "connections of one transport whose handshake (TLS, WebSocket) is under way; for a further one the oldest of these is closed",
  ),
  handshake_timeout: int<number>(10, 1, 600, "seconds that the handshakes of a connection may take"),
  websocket_origins: list(
    [],
    "origins whose pages may open a WebSocket: https://phone.example.com, https://*.example.com, * for all; none: all where users have passwords, else pages of this machine only",
  ),
  websocket_ping: int<number>(
    30,
    0,
    3_600,
    "seconds of silence after which a WebSocket is asked whether its browser is still there, and seconds for the answer; 0: never",
  ),
}
