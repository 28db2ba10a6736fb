/**
 * Shell wildcards over URIs: `*` is any run of characters, `?` any single one. Case-sensitive, as in fnmatch without
 * flags.
 *
 * O(pattern · text) at worst, without recursion, so that no pattern can stall a server.
 */
export const matchesWildcard = (pattern: string, text: string): boolean => {
  let [at, from] = [0, 0]
  // the position of the last `*`, and how much of the text it has matched
  let [star, taken] = [-1, 0]
  while (at < text.length) {
    const wanted = pattern[from]
    if (wanted === "*") {
      star = from++
      taken = at
    } else if (wanted !== undefined && (wanted === "?" || wanted === text[at])) {
      at++
      from++
    } else if (star >= 0) {
      from = star + 1
      at = ++taken
    } else return false
  }
  while (pattern[from] === "*") from++
  return from === pattern.length
}
