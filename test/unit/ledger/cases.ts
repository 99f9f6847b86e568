// Random cases of the ledger's property: what is asked, what the vendors do, and what becomes of the object and the isolate.
import fc, { type Arbitrary } from "fast-check";
import type { Fate } from "./vendor.ts";
import { type Case, PROMPTS, type RequestCase, WIRES } from "./world.ts";

/** Some add up with a hedge's wait, so that both calls answer at the same moment. */
const waits = fc.constantFrom(0, 1, 40, 50, 300, 440, 900, 1500, 4000);
const fate: Arbitrary<Fate> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("answer" as const),
      afterMs: waits,
      paceMs: fc.constantFrom(0, 20, 700),
      hasUsage: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("cut" as const),
      afterMs: waits,
      paceMs: fc.constantFrom(0, 20, 700),
      at: fc.integer({ min: 0, max: 1000 }).map((permille) => permille / 1000),
      by: fc.constantFrom("fault" as const, "end" as const, "silence" as const),
    }),
  },
  fc.constant<Fate>({ kind: "hang" }),
  {
    weight: 2,
    arbitrary: fc.record(
      {
        kind: fc.constant("refused" as const),
        afterMs: waits,
        status: fc.constantFrom(400, 401, 408, 429, 500, 503, 529),
        retryAfterMs: fc.constantFrom(10, 2000),
      },
      { requiredKeys: ["kind", "afterMs", "status"] },
    ),
  },
  fc.record({ kind: fc.constant("unreachable" as const), afterMs: waits }),
  fc.record({ kind: fc.constant("malformed" as const), afterMs: waits }),
);

const prompt = fc.nat({ max: PROMPTS.length - 1 });

const request: Arbitrary<RequestCase> = fc
  .record({
    wire: fc.constantFrom(...WIRES),
    prompt,
    isSemantic: fc.boolean(),
    stream: fc.boolean(),
    providers: fc.array(fc.constantFrom("openai" as const, "anthropic" as const, "gemini" as const), {
      minLength: 1,
      maxLength: 3,
    }),
    startAfterMs: fc.constantFrom(0, 0, 500, 3000),
    leavesAfterMs: fc.option(fc.integer({ min: 0, max: 8000 }), { nil: undefined, freq: 2 }),
    hedgeAfterMs: fc.option(fc.constantFrom(10, 400, 2000), { nil: undefined, freq: 2 }),
    maxAttempts: fc.integer({ min: 1, max: 3 }),
    firstByteMs: fc.constantFrom(200, 2000, 10_000),
  })
  .map((asked) =>
    asked.wire === "embeddings"
      ? { ...asked, stream: false, providers: asked.providers.map(() => "openai" as const) }
      : asked,
  );

/** Some are asked again, perhaps in other words: then a cache may have the answer. */
const asked: Arbitrary<readonly RequestCase[]> = fc
  .record({ first: request, again: fc.option(prompt, { nil: undefined, freq: 3 }) })
  .map(({ first, again }) =>
    again === undefined
      ? [first]
      : [first, { ...first, prompt: again, startAfterMs: first.startAfterMs + 9000 }],
  );

/** While requests run, and some time after the last has ended. */
const moments = fc.integer({ min: 0, max: 30_000 });

const PROMPT_ANSWER = { kind: "answer", afterMs: 40, paceMs: 0, hasUsage: true } as const;

const quiet = {
  requests: fc.array(asked, { minLength: 1, maxLength: 4 }).map((each) => each.flat()),
  fates: fc.array(fate, { minLength: 1, maxLength: 6 }),
  embeddingFates: fc.array(
    fc.oneof({ weight: 2, arbitrary: fc.constant<Fate>(PROMPT_ANSWER) }, { weight: 1, arbitrary: fate }),
    { minLength: 1, maxLength: 6 },
  ),
  restarts: fc.constant([]),
  outages: fc.constant([]),
  deaths: fc.constant([]),
  sleepsAfterMs: fc.constant(undefined),
  hasBudget: fc.boolean(),
};
const troubled = {
  restarts: fc.array(moments, { maxLength: 3 }),
  outages: fc.array(fc.record({ atMs: moments, forMs: fc.constantFrom(5, 500, 5000, 60_000) }), {
    maxLength: 1,
  }),
  sleepsAfterMs: fc.constantFrom(undefined, 1500, 10_000),
};
const deaths = fc.array(moments, { minLength: 1, maxLength: 2 });

/** Neither the object nor the isolate ends. */
export const quietCases: Arbitrary<Case> = fc.record(quiet);
/** The object restarts, sleeps and is out of reach for a while. */
export const objectCases: Arbitrary<Case> = fc.record({ ...quiet, ...troubled });
/** The isolate dies. */
export const deathCases: Arbitrary<Case> = fc.record({ ...quiet, deaths });
/** All of it. */
export const worstCases: Arbitrary<Case> = fc.record({ ...quiet, ...troubled, deaths });
