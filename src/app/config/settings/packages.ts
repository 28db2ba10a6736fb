/**
 * Settings of event packages.
 */
import { choice, flag, int, list, text } from "../setting-kinds.ts"
import { grows, year } from "./shared.ts"

const noScript = "there is no script to call; as_feature_event = 1 serves the package"

export const packages = {
  xml_reader: choice(
    "single-pass",
    ["single-pass", "fast-xml-parser"],
    "what reads published XML documents: the server's own reader, or the slower npm package that it is tested against; both give the same",
  ),
  xml_cache: int<number>(
    131_072,
    0,
    1_073_741_824,
    "octets of memory for what was read from the XML documents read last; 0: they are read again each time",
  ),
  empty_message_summary: flag(
    true,
    "message-summary without a publication says that no messages wait, instead of having no body",
  ),
  pass_through: list(
    [],
    "event packages whose documents are relayed unchanged, each NAME=TYPE or NAME=TYPE|TYPE (ua-profile=text/xml)",
  ),
  as_feature_event: flag(
    false,
    "serves as-feature-event: a phone sets do not disturb and forwarding with the body of a SUBSCRIBE, and all phones of its user are told; dev: 1",
  ),
  call_info_timeout_notification: flag(
    true,
    "a subscription to call-info that was not refreshed ends with a NOTIFY",
  ),
  line_seize_timeout_notification: flag(
    false,
    "a subscription to line-seize that was not refreshed ends with a NOTIFY",
  ),
  idle_dialog: list(
    ["dialog=*"],
    "phones that need a dialog in every document to put a lamp out, by package and User-Agent with wildcards, each PACKAGE=USER-AGENT (dialog=Yealink*); none: no phone does",
  ),
  phone_profiles: list(
    [],
    "what families of phones need, beside the built-in profiles, each NAME=NEED+NEED:USER-AGENT|USER-AGENT with wildcards, or NAME:USER-AGENT for further phones with a built-in one; none: no profile at all (docs/phones.md)",
  ),
  force_single_dialog: flag(false, "of several dialogs only the most important one is shown"),
  mix_dialog_presence: flag(false, "presence also derived from dialogs"),
  bla_presentity_spec: choice(
    "contact",
    ["contact", "$ru", "$tu", "$fu"],
    "presentity of a SUBSCRIBE to dialog;sla: Contact user at From domain, or the URI of request, To or From",
  ),
  bla_fix_remote_target: flag(
    true,
    "a remote target of dialog;sla at an IP address becomes the remote identity",
  ),
  default_expires: int<number>(
    3600,
    1,
    year,
    "lifetime of a subscription to reg that asks for none, seconds",
  ),
  aggregate_presentities: flag(
    false,
    "registrations of all publications in one document",
    "a NOTIFY of reg always holds the registrations of all publications",
  ),
  disable_dialog_support_for_sca: flag(
    false,
    "no appearances from calls through this server",
    "this server handles no calls; appearances are published",
  ),
  line_hash_size: int<number>(64, 1, 2_147_483_647, "hash table size", grows),
  get_route: text(null, "script route for as-feature-event", noScript),
  set_route: text(null, "script route for as-feature-event", noScript),
}
