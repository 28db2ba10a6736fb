/**
 * A map by text that is many small maps.
 *
 * One `Map` of a hundred thousand entries is copied as a whole when it grows, or when half of it has been deleted, which stops
 * the process for 10 to 40 ms. Each of these holds a sixty-fourth of the entries.
 */

export interface ShardedMap<Value> {
  readonly get: (key: string) => Value | undefined
  readonly has: (key: string) => boolean
  readonly set: (key: string, value: Value) => void
  readonly delete: (key: string) => void
}

/** A power of two. */
const shardCount = 64

/** The end of a key chooses its map, so keys should differ there. If they do not, one map holds them all. */
const shardOf = (key: string): number => {
  let hash = 0
  for (let at = Math.max(0, key.length - 4); at < key.length; at++)
    hash = (hash * 31 + key.charCodeAt(at)) | 0
  return hash & (shardCount - 1)
}

export const makeShardedMap = <Value>(): ShardedMap<Value> => {
  const shards = Array.from({ length: shardCount }, () => new Map<string, Value>())
  return {
    get: (key) => shards[shardOf(key)]!.get(key),
    has: (key) => shards[shardOf(key)]!.has(key),
    set: (key, value) => {
      shards[shardOf(key)]!.set(key, value)
    },
    delete: (key) => {
      shards[shardOf(key)]!.delete(key)
    },
  }
}
