/**
 * Settings of publications and subscriptions.
 */
import { choice, flag, int, list, text } from "../setting-kinds.ts"
import { year } from "./shared.ts"

export const lifetimes = {
  max_expires_publish: int<number>(3600, 1, year, "longest lifetime of a publication, seconds"),
  max_expires_subscribe: int<number>(3600, 1, year, "longest lifetime of a subscription, seconds"),
  min_expires_publish: int<number>(0, 0, year, "shorter publications are refused with 423; 0: none"),
  min_expires_subscribe: int<number>(0, 0, 3599, "shorter subscriptions are refused with 423; 0: none"),
  expires_offset: int<number>(
    0,
    0,
    year,
    "seconds by which the announced lifetime of a publication is shorter, and the real lifetime of a subscription longer",
  ),
  notify_min_interval: int<number | null>(
    null,
    0,
    3600,
    "seconds between change NOTIFYs of one subscription; 0: no pacing",
  ),
  end_sub_on_timeout: flag(true, "a NOTIFY without answer ends its subscription"),
  rate_control: flag(true, "watchers may choose how often they are notified (RFC 6446)"),
  conditional_notify: flag(true, "watchers may name the document that they have (RFC 5839)"),
  notify_probe_interval: int<number>(
    0,
    0,
    86_400,
    "with end_sub_on_timeout=0: seconds until a NOTIFY without answer is tried again; 0: at the next change; an address that never answered is not tried before its next SUBSCRIBE",
  ),
  notify_offline_body: flag(
    false,
    "while nothing is published, NOTIFY carries a closed tuple instead of no body",
  ),
  generate_offline_body: flag(true, "an ended publication is shown as closed once"),
  id_collision: choice(
    "newest",
    ["newest", "rename"],
    "two publications with the same element id: the newest wins, or both stay",
  ),
  event_framework: choice("3265", ["3265", "6665"], "the RFC that decides where the two differ"),
  force_active: flag(false, "every subscription is active at once"),
  server_address: text(null, "URI of the server's Contact; default: the receiving socket"),
  contact_user: text("presence", "user part of the server's Contact; empty: none"),
  publications_max: int<number>(64, 1, 10_000, "publications per presentity and event package"),
  subscriptions_max: int<number>(1000, 1, 1_000_000, "subscriptions per presentity"),
  udp_mtu: int<number>(1300, 500, 65_000, "larger requests go over TCP where the target accepts it, bytes"),
  notify_targets: list(
    [],
    "targets to which NOTIFYs may go before one has been answered there: addresses, networks (10.0.0.0/8), host names, *.example.com",
  ),
  contact_must_be_source: flag(
    false,
    "a SUBSCRIBE is refused with 403 unless its Contact, or first Record-Route, is the address that it came from",
  ),
  contact_max: int<number>(
    4_096,
    512,
    8_192,
    "octets of the URI of a Contact, which push parameters make long (RFC 8599); a longer one gets 400 Contact Too Long",
  ),
  unanswered_octets_max: int<number>(
    67_108_864,
    1_048_576,
    4_294_967_296,
    "octets of NOTIFYs that wait for an answer; above that, NOTIFYs are postponed as if answered 503; one address and port may have as many as are left for all others",
  ),
  unproven_targets_max: int<number>(
    100_000,
    1_000,
    10_000_000,
    "dialogs, and addresses, that have not answered a NOTIFY yet and are remembered with what they were sent; above that, NOTIFYs to others are postponed",
  ),
  unproven_waiting_max: int<number>(
    10_000,
    0,
    1_000_000,
    "NOTIFYs that wait until their address has answered another one; further ones are postponed as if answered 503",
  ),
  unproven_waiting_per_target_max: int<number>(1_000, 0, 1_000_000, "the same for one address and port"),
}
