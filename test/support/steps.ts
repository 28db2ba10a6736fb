/**
 * How much of a text some work looks at: the characters that its calls of methods of strings, arrays and regular expressions
 * read. Counts what a clock cannot: neither the machine nor the compiler changes the figure.
 */

/** One call of a method. */
interface Call {
  readonly receiver: unknown
  readonly args: readonly unknown[]
  readonly result: unknown
}

const lengthOf = (value: unknown): number =>
  typeof value === "string" || Array.isArray(value) ? value.length : 0

const whole = ({ receiver }: Call): number => lengthOf(receiver)
const needle = ({ args: [sought] }: Call): number => lengthOf(sought)

const searched = (call: Call): number => {
  const { receiver, args, result } = call
  const from = typeof args[1] === "number" ? Math.min(args[1], lengthOf(receiver)) : 0
  return (result === -1 ? lengthOf(receiver) : Number(result)) - from + needle(call)
}

const matched = ({ args: [text] }: Call): number => lengthOf(text)

/** How many characters or items one call of each method looks at, at most. */
const costs: readonly (readonly [prototype: object, Readonly<Record<string, (call: Call) => number>>])[] = [
  [
    String.prototype,
    {
      charCodeAt: () => 1,
      codePointAt: () => 1,
      indexOf: searched,
      startsWith: needle,
      endsWith: needle,
      includes: whole,
      slice: ({ result }) => lengthOf(result),
      toLowerCase: whole,
      isWellFormed: whole,
      replace: whole,
    },
  ],
  [RegExp.prototype, { test: matched, exec: matched }],
  [Array.prototype, { includes: whole }],
]

/** Runs the work, which waits for nothing, and gives the steps it took. */
export const countSteps = (work: () => void): number => {
  let steps = 0
  // methods that call others count once
  let isInside = false
  const restored = costs.flatMap(([prototype, methods]) =>
    Object.entries(methods).map(([name, cost]) => {
      const descriptor = Object.getOwnPropertyDescriptor(prototype, name)!
      const method = descriptor.value as (...args: unknown[]) => unknown
      const counting = function (this: unknown, ...args: unknown[]): unknown {
        if (isInside) return method.apply(this, args)
        isInside = true
        try {
          const result = method.apply(this, args)
          steps += cost({ receiver: this, args, result })
          return result
        } finally {
          isInside = false
        }
      }
      Object.defineProperty(prototype, name, { ...descriptor, value: counting })
      return () => Object.defineProperty(prototype, name, descriptor)
    }),
  )
  try {
    work()
  } finally {
    for (const restore of restored) restore()
  }
  return steps
}
