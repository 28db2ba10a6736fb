/**
 * Random element trees, and ways to write a tree that differ in everything except its meaning.
 */
import fc from "fast-check"
import type { Attribute, Element, Node } from "../../src/domain/packages/element.ts"

const names = [
  "a",
  "tuple",
  "Note",
  "_x",
  "a-b.c",
  "é",
  "名前",
  "toString",
  "hasOwnProperty",
  "valueOf",
  "xmlish",
  "t1",
]
const anyName = fc.constantFrom(...names)

const namespaces = [
  "",
  "urn:a",
  "urn:b",
  "urn:b&<c>\"'",
  "urn:ietf:params:xml:ns:pidf",
  "http://x.example/ y",
]
const anyNamespace = fc.constantFrom(...namespaces)
const anyHint = fc.constantFrom("", "a", "p", "q", "ns", "ns2", "xmlx", "é")

const pieces = [
  "a",
  "Z",
  " ",
  "\n",
  "\t",
  "\r",
  "&",
  "<",
  ">",
  '"',
  "'",
  "]]>",
  "--",
  "-",
  "&amp;",
  "&#65;",
  "é",
  "😀",
  "\u{10ffff}",
  "%",
  ";",
  "<!--",
  "]]",
]
/** Text with every character that must be escaped somewhere. */
export const anyText = fc.array(fc.constantFrom(...pieces), { maxLength: 8 }).map((parts) => parts.join(""))

const anyComment = anyText
  .map((text) => text.replace(/-+/g, "~").replace(/\r/g, "~"))
  .map((text): Node => ({ _tag: "Comment", text }))

const anyAttribute = fc
  .tuple(anyNamespace, anyName, anyHint, anyText)
  .map(([namespace, name, prefix, value]): Attribute => ({ namespace, name, prefix, value }))

const anyAttributes = fc.uniqueArray(anyAttribute, {
  maxLength: 4,
  selector: ({ namespace, name }) => `${name} ${namespace}`,
})

/** As a reader returns them: neither empty nor adjacent texts. */
const settled = (children: readonly Node[]): readonly Node[] => {
  const result: Node[] = []
  for (const node of children) {
    const last = result.at(-1)
    if (node._tag === "Text" && node.text === "") continue
    if (node._tag === "Text" && last?._tag === "Text")
      result[result.length - 1] = { _tag: "Text", text: last.text + node.text }
    else result.push(node)
  }
  return result
}

export const anyElement: fc.Arbitrary<Element> = fc.letrec<{ element: Element; node: Node }>((tie) => ({
  node: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    anyText.map((text): Node => ({ _tag: "Text", text })),
    anyComment,
    tie("element"),
  ),
  element: fc
    .tuple(anyNamespace, anyName, anyHint, anyAttributes, fc.array(tie("node"), { maxLength: 4 }))
    .map(([namespace, name, prefix, attributes, children]): Element => ({
      _tag: "Element",
      namespace,
      name,
      prefix,
      attributes,
      children: settled(children),
    })),
})).element

/** Chooses among equivalent spellings: returns a number below `count`. */
export type Choose = (count: number) => number

export const anyChoices: fc.Arbitrary<Choose> = fc.infiniteStream(fc.nat()).map((stream) => (count) => {
  const { value } = stream.next()
  return (typeof value === "number" ? value : 0) % count
})

/** Writes a tree with other prefixes, quotes, attribute order, references, CDATA sections and instructions. */
export const writeOtherwise = (root: Element, choose: Choose): string => {
  const head = ["", '<?xml version="1.0"?>', "<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\r\n"][
    choose(3)
  ]
  const before = ["", "<?robots no?>", "\n<!-- by hand -->"][choose(3)]
  return `${head}${before}${writeElement(root, choose)}${["", "\n", "<?end?>", "<!---->"][choose(4)]}`
}

const writeElement = (element: Element, choose: Choose): string => {
  // Every element declares all it needs; an element in no namespace cannot have a prefix.
  const prefix = element.namespace === "" || choose(2) === 0 ? "" : (["z", "é", "_", "xmlq"][choose(4)] ?? "")
  const parts = [
    prefix === ""
      ? `xmlns=${quoted(element.namespace, choose)}`
      : `xmlns:${prefix}=${quoted(element.namespace, choose)}`,
  ]
  element.attributes.forEach(({ namespace, name, value }, index) => {
    if (namespace === "") return parts.push(`${name}${gap(choose)}=${gap(choose)}${quoted(value, choose)}`)
    return parts.push(
      `k${index}:${name}=${quoted(value, choose)}`,
      `xmlns:k${index}=${quoted(namespace, choose)}`,
    )
  })
  if (choose(2) === 0) parts.reverse()
  const name = prefix === "" ? element.name : `${prefix}:${element.name}`
  const tag = `<${name} ${parts.join([" ", "\n", "\r\n\t"][choose(3)])}${gap(choose)}`
  if (element.children.length === 0 && choose(2) === 0) return `${tag}/>`
  return `${tag}>${element.children.map((node) => writeNode(node, choose)).join("")}</${name}${gap(choose)}>`
}

const gap = (choose: Choose): string => ["", " ", "\r\n"][choose(3)] ?? ""

const writeNode = (node: Node, choose: Choose): string => {
  if (node._tag === "Element") return writeElement(node, choose)
  return node._tag === "Comment" ? `<!--${node.text}-->` : writeText(node.text, choose)
}

const writeText = (text: string, choose: Choose): string => {
  if (choose(3) === 0 && !/[\r]/.test(text)) {
    return `<![CDATA[${text.replaceAll("]]>", "]]]]><![CDATA[>")}]]>${["", "<?skip ?>"][choose(2)]}`
  }
  return Array.from(text)
    .map((character) => writeCharacter(character, choose, /[&<>\r]/))
    .join("")
}

const quoted = (value: string, choose: Choose): string => {
  const mark = choose(2) === 0 ? '"' : "'"
  const escaped = Array.from(value).map((character) =>
    writeCharacter(character, choose, mark === '"' ? /[&<"\t\n\r]/ : /[&<'\t\n\r]/),
  )
  return mark + escaped.join("") + mark
}

const named: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
}

const writeCharacter = (character: string, choose: Choose, special: RegExp): string => {
  if (!special.test(character) && choose(6) !== 0) return character
  const point = character.codePointAt(0) ?? 0
  const spellings = [`&#${point};`, `&#x${point.toString(16)};`, `&#x000${point.toString(16).toUpperCase()};`]
  return named[character] !== undefined && choose(2) === 0
    ? named[character]
    : (spellings[choose(3)] ?? character)
}
