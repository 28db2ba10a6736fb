/**
 * Shell wildcards over URIs: `*` any run of characters, `?` any one. Case counts, as in fnmatch without flags.
 *
 * O(pattern · text) at worst, without recursion: nobody stops a server with a pattern.
 */
export const matchesWildcard = (pattern: string, text: string): boolean => {
  let [at, from] = [0, 0]
  // where the last `*` stood, and how much of the text it has taken
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
