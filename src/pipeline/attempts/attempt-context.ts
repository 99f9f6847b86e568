/** What the attempts of one request share. Types only: attempts, hedge, attempt and respond all read them. */

import type { AttemptFacts } from "./attempt-span.ts";
import type { Exchange } from "./exchange.ts";
import type { BareCall, Deps } from "../ports.ts";
import type { Provider } from "../../providers/provider.ts";
import type { Target } from "../../wires/upstream-wire.ts";
import type { Plan } from "../../routing/plan.ts";
import type { CallPass } from "../../targets/isolate-circuits.ts";
import type { PlannedTarget } from "../../routing/planned-target.ts";

/** How a target is called; throws `invalid_request` for what can't be said to it. */
export type OpenExchange = (provider: Provider, target: Target) => Exchange | Promise<Exchange>;

export interface AttemptContext {
  readonly call: BareCall;
  readonly plan: Plan;
  readonly open: OpenExchange;
  /** Whether what the client is sent is kept until the end: the cache may store it then. */
  readonly isKept: boolean;
  /** Whether a budget keeps out targets without a price. */
  readonly needsPrice: boolean;
  /** Of a vendor's own API: the HTTP method, which names the attempt's span. */
  readonly method?: string | undefined;
  readonly deps: Deps;
  /** When the whole request must be over, ms since the epoch. */
  readonly deadlineAt: number;
  /** Targets that a hedge has taken on: no other branch calls them. */
  readonly taken: Set<PlannedTarget>;
  /** Calls made so far, by this branch and by a hedge's. */
  readonly made: { count: number };
  /** Of several answers on their way, whether this one is the request's: called once by each, before anything of it counts. */
  readonly claim?: () => boolean;
  /** Whether another answer is the request's already. */
  readonly isLost?: () => boolean;
}

/** An attempt's place in the request. `pass`: the target's circuit lets the call through. */
export type AttemptTurn = AttemptFacts & { readonly pass: CallPass };
