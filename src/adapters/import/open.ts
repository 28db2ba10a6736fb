/**
 * A source by what it is called: a URL, or the path of a file.
 */
import type { Effect, Scope } from "effect"
import { openMysql } from "./mysql.ts"
import { openPostgres } from "./postgres.ts"
import type { Source, SourceClientMissing, SourceUnavailable } from "./source.ts"
import { openSqlite } from "./sqlite.ts"

/** @param from `postgres://…`, `mysql://…`, `mariadb://…`, `sqlite:FILE` or a path */
export const openSource = (
  from: string,
): Effect.Effect<Source, SourceUnavailable | SourceClientMissing, Scope.Scope> => {
  if (/^postgres(ql)?:/.test(from)) return openPostgres(from)
  if (/^(mysql|mariadb):/.test(from)) return openMysql(from)
  return openSqlite(from.replace(/^(sqlite|file):(\/\/)?/, ""))
}
