import { it } from "vitest"
import { forEveryHistory } from "../support/history.ts"
it("stat", () => {
  const c: Record<string, number> = {}
  const t = Date.now()
  forEveryHistory((run) => { for (const m of run.moments) { const k = m.command._tag + " " + (m.answer._tag === "Accepted" ? "ok " + m.events.map((e) => e._tag.replace(/[a-z]/g, "")).join("") : String(m.answer.rejection.status)); c[k] = (c[k] ?? 0) + 1 } })
  console.log(Date.now() - t, Object.entries(c).sort((a, b) => b[1] - a[1]).map(([k, n]) => `${k}: ${n}`).join("\n"))
})
