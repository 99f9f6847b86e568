// All scenarios, in the order of the table in src/telemetry/README.md.
import { ANSWERED } from "./answered.ts";
import { FAULTS } from "./faults.ts";
import { IDENTITY } from "./identity.ts";
import { LEAVING } from "./leaving.ts";
import { BY_MEANING } from "./meaning.ts";
import { REALTIME_SESSIONS } from "./realtime.ts";
import { REFUSED } from "./refused.ts";
import { REPORTED } from "./reported.ts";
import { SHARED } from "./shared.ts";
import type { Scenario } from "./scenario.ts";
import { WAITING } from "./waiting.ts";

export interface Chapter {
  readonly title: string;
  readonly scenarios: readonly Scenario[];
}

export const CHAPTERS: readonly Chapter[] = [
  { title: "Answered", scenarios: ANSWERED },
  { title: "Answered from elsewhere", scenarios: SHARED },
  { title: "Semantic cache", scenarios: BY_MEANING },
  { title: "Waiting", scenarios: WAITING },
  { title: "Refused", scenarios: REFUSED },
  { title: "Realtime sessions", scenarios: REALTIME_SESSIONS },
  { title: "What the upstream reports", scenarios: REPORTED },
  { title: "Upstream faults", scenarios: FAULTS },
  { title: "Client disconnected", scenarios: LEAVING },
  { title: "Whose trace, and who gets it", scenarios: IDENTITY },
];
