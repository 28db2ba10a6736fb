/**
 * Where processes of Node that tests start keep their compiled code, so that a start costs half.
 */
import { tmpdir } from "node:os"
import { join } from "node:path"

/** For the environment of a process. */
export const compileCache = { NODE_COMPILE_CACHE: join(tmpdir(), "presently-test-compile-cache") }
