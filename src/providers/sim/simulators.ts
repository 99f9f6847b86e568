/** The simulated model server, as the registry lists it. A deployment's build has no-simulators.ts in place of this file. */

import type { Provider } from "../provider.ts";
import { sim } from "./sim.ts";

export const SIMULATORS: readonly Provider[] = [sim];
