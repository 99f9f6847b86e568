// One seed for all property tests, so that a run fails for what was changed and for nothing else. `HEADGATE_SEED=random` looks for
// new cases, as before a release; `HEADGATE_SEED=N` repeats the run that a failure's report named.
import fc from "fast-check";

const DEFAULT_SEED = 20_261_130;
const asked = process.env["HEADGATE_SEED"];

if (asked !== "random") fc.configureGlobal({ seed: asked === undefined ? DEFAULT_SEED : Number(asked) });
