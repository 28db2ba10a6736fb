/**
 * Other parameters of the OpenSIPS modules, most of which have nothing to do here.
 */
import { choice, int, list, text } from "../setting-kinds.ts"
import { grows } from "./shared.ts"

const oneNode = "this version runs on one node"

export const opensips = {
  cluster_id: int<number>(0, 0, 2_147_483_647, "cluster", oneNode),
  cluster_federation_mode: choice(
    "disabled",
    ["disabled", "on-demand-sharing", "full-sharing", "0", "1"],
    "federation",
    oneNode,
  ),
  cluster_pres_events: list([], "event packages shared in the cluster", oneNode),
  cluster_be_active_shtag: text(null, "tag that must be active here", oneNode),
  cluster_sharing_tags: list(
    [],
    "sharing tags and their state unless the log says otherwise, each NAME=active or NAME=backup",
  ),
  subs_htable_size: int<number>(9, 1, 30, "hash table size", grows),
  pres_htable_size: int<number>(9, 1, 30, "hash table size", grows),
}
