/**
 * A string-keyed map split into many small maps.
 *
 * A single `Map` with a hundred thousand entries is rehashed as a whole when it grows, or after half of it
 * has been deleted, which blocks the process for 10 to 40 ms. Each shard holds a sixty-fourth of the entries.
 */

export interface ShardedMap<Value> {
  readonly get: (key: string) => Value | undefined
  readonly has: (key: string) => boolean
  readonly set: (key: string, value: Value) => void
  readonly delete: (key: string) => void
}

/** A power of two. */
const shardCount = 64

/** Shards by the last characters, so keys should differ there; otherwise one map holds them all. */
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
