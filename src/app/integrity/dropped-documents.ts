/**
 * Documents that retention has dropped from the log, while states saved earlier still have them.
 */
import { digestOf } from "../../adapters/store/integrity/hash-chain.ts"
import type { Snapshot } from "../../domain/presentity/snapshot.ts"
import type { Publication } from "../../domain/presentity/state.ts"
import type { Body, Header } from "../../domain/vocabulary.ts"

/** The same with the digest of each document in its place, so that a state with the document equals one without. */
export const withDigests = (snapshot: Snapshot): object => ({
  ...snapshot,
  publications: snapshot.publications.map(([name, publications]) => [
    name,
    publications.map(({ headers, droppedHeaders, ...publication }) => ({
      ...publication,
      body: publication.body === null ? null : digestIn(publication.body),
      headers: headers === undefined ? droppedHeaders : digestOf(JSON.stringify(headers)),
    })),
  ]),
  hardState: snapshot.hardState?.map(([name, body]) => [name, digestIn(body)]),
})

const digestIn = ({ dropped, ...body }: Body): Body => ({ ...body, text: dropped ?? digestOf(body.text) })

/** The folded state, with the documents that the log no longer has taken from the saved state where digests match. */
export const withDocumentsOf = (folded: Snapshot, saved: Snapshot): Snapshot => {
  const texts = new Map<string, string>()
  const headers = new Map<string, readonly Header[]>()
  for (const [, publications] of saved.publications) {
    for (const publication of publications) {
      if (publication.body !== null && publication.body.dropped === undefined)
        texts.set(digestOf(publication.body.text), publication.body.text)
      if (publication.headers !== undefined)
        headers.set(digestOf(JSON.stringify(publication.headers)), publication.headers)
    }
  }
  for (const [, { text, dropped }] of saved.hardState ?? []) {
    if (dropped === undefined) texts.set(digestOf(text), text)
  }
  const bodyOf = (body: Body): Body => {
    const { dropped, ...rest } = body
    const text = dropped === undefined ? undefined : texts.get(dropped)
    return text === undefined ? body : { ...rest, text }
  }
  const publicationOf = (publication: Publication): Publication => {
    const body = publication.body === null ? null : bodyOf(publication.body)
    const { droppedHeaders, ...rest } = publication
    const known = droppedHeaders === undefined ? undefined : headers.get(droppedHeaders)
    return known === undefined ? { ...publication, body } : { ...rest, body, headers: known }
  }
  return {
    ...folded,
    publications: folded.publications.map(([name, all]) => [name, all.map(publicationOf)]),
    ...(folded.hardState === undefined
      ? {}
      : { hardState: folded.hardState.map(([name, body]) => [name, bodyOf(body)] as const) }),
  }
}

/** A state without the documents of one package, as the log has it once they are dropped. */
export const withoutDocumentsOf = (snapshot: Snapshot, packageName: string): Snapshot => {
  const bodyOf = (body: Body): Body =>
    body.dropped === undefined ? { ...body, text: "", dropped: digestOf(body.text) } : body
  return {
    ...snapshot,
    publications: snapshot.publications.map(([name, all]) => [
      name,
      name !== packageName
        ? all
        : all.map(({ headers, ...publication }) => ({
            ...publication,
            body: publication.body === null ? null : bodyOf(publication.body),
            ...(headers === undefined ? {} : { droppedHeaders: digestOf(JSON.stringify(headers)) }),
          })),
    ]),
    ...(snapshot.hardState === undefined
      ? {}
      : {
          hardState: snapshot.hardState.map(
            ([name, body]) => [name, name === packageName ? bodyOf(body) : body] as const,
          ),
        }),
  }
}
