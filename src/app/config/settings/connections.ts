/**
 * Settings of connections, and of phones behind a NAT.
 */
import { int, list, text } from "../setting-kinds.ts"

export const connections = {
  notify_to: list(
    ["auto"],
    "where NOTIFYs go, each auto, contact or source, or NETWORK=auto|contact|source for SUBSCRIBEs from there, of which the first that fits counts; contact: to the Contact; source: to where the last SUBSCRIBE came from; auto: to the Contact unless it cannot be reached, or says otherwise; whichever, over the connection of the last SUBSCRIBE while that is open",
  ),
  outbound_proxy: list(
    [],
    "proxies that NOTIFYs go through, each URI, or DESTINATION=URI for a next hop at that address, network, host name or *.example.com, or from:NETWORK=URI for SUBSCRIBEs from there, of which the first that fits counts; direct instead of a URI: through none; a URI with ;lr is written as Route",
  ),
  keep_alive: int<number>(
    25,
    0,
    3_600,
    "seconds between keep-alives to phones that are reached where their SUBSCRIBE came from and have answered there; 0: none",
  ),
  connections_max: int<number>(
    4_096,
    1,
    1_000_000,
    "connections of each stream transport; further ones are closed at once",
  ),
  connections_per_source_max: int<number>(
    1_000,
    0,
    1_000_000,
    "connections that one address may have open; further ones are closed at once; 0: as many as connections_max",
  ),
  connection_idle: int<number>(
    120,
    10,
    86_400,
    "seconds after which a connection is closed on which nothing was received, unless a subscription was made or renewed on it that still lives",
  ),
  connection_octets_max: int<number>(
    1_048_576,
    65_536,
    1_073_741_824,
    "octets that may wait to be sent on a connection; one whose peer does not read them is closed",
  ),
  message_timeout: int<number>(
    10,
    1,
    3_600,
    "seconds that a message may take to arrive on a connection, which is closed after that",
  ),
  proxy_protocol_from: list(
    [],
    "addresses and networks of load balancers whose connections begin with a header of the PROXY protocol, version 1 or 2; connections from there without one are refused, and so is the header of anybody else",
  ),
  forwarded_for_from: list(
    [],
    "addresses and networks of HTTP proxies that pass on WebSockets and name the client in X-Forwarded-For; requests from there without it are refused, and nobody else's is believed",
  ),
  connect_timeout: int<number>(5, 1, 60, "seconds that connecting to a phone or proxy may take"),
  notify_credentials_file: text(
    null,
    "file of lines USER:REALM:HA1, as in users_file: accounts with which NOTIFYs answer a 401 or 407 in that realm, of which the first counts; read at the start; none: a challenge is a refusal that ends nothing",
  ),
  failover_timeout: int<number>(
    8,
    1,
    32,
    "seconds that one of several addresses of a host name may leave a NOTIFY unanswered before the next one is tried; the same for TCP tried because a NOTIFY is too large for a datagram",
  ),
  failed_target_timeout: int<number>(
    60,
    0,
    86_400,
    "seconds for which an address that did not take a NOTIFY is tried after all others of its host name; 0: not at all",
  ),
}
