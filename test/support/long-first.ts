// The order of test files: within a group those that take longest come first, so that no worker is left with one at the end while
// the others have nothing to do. Vitest would start the largest files first, and the longest are small.
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Seconds on a free core, or of waiting, by the end of the path: files of 5 s and more. */
const SECONDS: readonly (readonly [path: string, seconds: number])[] = [
  ["clients/limits/lone-request.test.ts", 95],
  ["clients/endurance.test.ts", 90],
  ["clients/limits/queue-crash.test.ts", 55],
  ["clients/fuzz/fuzz.test.ts", 50],
  ["clients/scenarios/scenarios.test.ts", 50],
  ["clients/routing/time-limits.test.ts", 40],
  ["clients/telemetry/export-outage.test.ts", 40],
  ["clients/documents/commands.test.ts", 35],
  ["worker/limits/tenant-queue-sleep.test.ts", 28],
  ["unit/ledger/ledger.test.ts", 25],
  ["clients/routing/shared-circuits.test.ts", 25],
  ["clients/failures.test.ts", 25],
  ["clients/telemetry/export.test.ts", 20],
  ["clients/routing/routing-faults.test.ts", 20],
  ["clients/caching/coalesce.test.ts", 15],
  ["clients/routing/routing.test.ts", 15],
  ["clients/telemetry/canaries.test.ts", 15],
  ["unit/limits/queue/queue-model.test.ts", 20],
  ["worker/limits/tenant-queue-crash.test.ts", 15],
  ["clients/realtime/realtime-end.test.ts", 15],
  ["clients/limits/ledger-fates.test.ts", 15],
  ["clients/vendors/report-cases.test.ts", 12],
  ["unit/limits/object/checkpoint-rows.test.ts", 10],
  ["worker/limits/tenant-queue-peers.test.ts", 6],
  ["worker/caching/semantic-index.test.ts", 5],
  ["worker/telemetry/telemetry.test.ts", 5],
];

export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // oxlint-disable-next-line unicorn/no-array-sort -- the method of a sequencer, not of an array
    const sorted = await super.sort(files);
    const groupOf = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;
    return sorted.toSorted((a, b) => groupOf(a) - groupOf(b) || secondsOf(b) - secondsOf(a));
  }
}

function secondsOf({ moduleId }: TestSpecification): number {
  return SECONDS.find(([path]) => moduleId.endsWith(`/test/${path}`))?.[1] ?? 0;
}
