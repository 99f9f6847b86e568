/** In place of simulators.ts in a deployment's build (src/local/generate/build-worker.ts): a deployed Worker carries no test server. */

import type { Provider } from "../provider.ts";

export const SIMULATORS: readonly Provider[] = [];
