// Alerts of budgets at 50, 80 and 100 %: when they come, and that each comes once a period, over restarts too.
import { describe, expect, test } from "vitest";
import type { TenantAlert } from "../../../../src/limits/alert-protocol.ts";
import type { Budget, BudgetAlert } from "../../../../src/limits/budget-protocol.ts";
import { createQueueMachine, type QueueMachine } from "../../../../src/limits/queue/queue-machine.ts";
import { asAdmitted, askOf, asRefused, settlementOf, START_AT } from "../../../support/builders/admission.ts";

const ONE_DOLLAR: Budget = { microUsd: 1_000_000, period: "day", onExceeded: "alert" };
const REJECTING: Budget = { ...ONE_DOLLAR, onExceeded: "reject" };
const DAY_MS = 86_400_000;

interface Spending {
  readonly budget?: Budget;
  readonly keyBudget?: Budget;
  readonly keyId?: string;
  readonly estimate?: number;
  readonly version?: number;
}

let requests = 0;

function ask({ budget, keyBudget, keyId = "key", estimate = 0, version = 1 }: Spending) {
  requests += 1;
  const own = keyBudget && { keyLimits: { maxDepth: 100, maxWaitMs: 0, budget: keyBudget } };
  return askOf(`req-${requests}`, {
    keyId,
    configVersion: version,
    limits: { ...(budget !== undefined && { budget }) },
    ...own,
    estimate: { inputTokens: 1, outputTokens: 0, costMicroUsd: estimate },
  });
}

/** Spends so much with one request, and returns the alerts that its settlement caused. */
function spend(
  queue: QueueMachine,
  costMicroUsd: number,
  spending: Spending = { budget: ONE_DOLLAR },
  now = START_AT,
): readonly BudgetAlert[] {
  const request = ask(spending);
  const admitted = asAdmitted(queue.admit(request, now));
  const settled = { ...settlementOf(admitted, request.requestId), keyId: request.keyId, costMicroUsd };
  return queue.settle([settled], now).alerts ?? [];
}

const thresholds = (alerts: readonly TenantAlert[]): readonly number[] =>
  alerts.flatMap((alert) => ("threshold" in alert ? [alert.threshold] : []));

describe("a budget", () => {
  test.each([ONE_DOLLAR, REJECTING])("alerts at 50, 80 and 100 %, each once ($onExceeded)", (budget) => {
    const queue = createQueueMachine(START_AT);
    const alerts = [499_999, 1, 299_999, 100_000, 100_001].map((cost) => spend(queue, cost, { budget }));
    expect(alerts.map(thresholds)).toEqual([[], [0.5], [], [0.8], [1]]);
    if (budget.onExceeded === "alert") expect(spend(queue, 1_000_000)).toEqual([]);
    expect(new Set(queue.pendingAlerts().map(({ id }) => id)).size).toBe(3);
  });

  test("names the request, the budget, what is spent and when the period ends", () => {
    const queue = createQueueMachine(START_AT);
    const [alert] = spend(queue, 830_000);
    expect(alert).toMatchObject({
      requestId: `req-${requests}`,
      budget: ONE_DOLLAR,
      spentMicroUsd: 830_000,
      at: START_AT,
      endsAt: Math.ceil(START_AT / DAY_MS) * DAY_MS,
    });
    expect(alert).not.toHaveProperty("keyId");
  });

  test("tells each threshold that one request passes", () => {
    expect(thresholds(spend(createQueueMachine(START_AT), 2_000_000))).toEqual([0.5, 0.8, 1]);
  });

  test("begins again with the next period, and with another amount", () => {
    const queue = createQueueMachine(START_AT);
    spend(queue, 600_000);
    expect(thresholds(spend(queue, 600_000, { budget: ONE_DOLLAR }, START_AT + DAY_MS))).toEqual([0.5]);
    const raised = { budget: { ...ONE_DOLLAR, microUsd: 1_100_000 }, version: 2 };
    expect(thresholds(spend(queue, 1, raised, START_AT + DAY_MS))).toEqual([0.5]);
  });

  test("of a key alerts by itself, and the tenant's beside it", () => {
    const queue = createQueueMachine(START_AT);
    const keyBudget: Budget = { ...ONE_DOLLAR, microUsd: 100_000 };
    const alerts = spend(queue, 85_000, { budget: ONE_DOLLAR, keyBudget, keyId: "key-1" });
    expect(alerts.map(({ keyId, threshold }) => [keyId, threshold])).toEqual([
      ["key-1", 0.5],
      ["key-1", 0.8],
    ]);
    const other = spend(queue, 450_000, { budget: ONE_DOLLAR, keyId: "key-2" });
    expect(other.map(({ keyId, threshold }) => [keyId, threshold])).toEqual([[undefined, 0.5]]);
  });

  test("that refuses with hardly anything left counts as used up; one that refuses a dear request does not", () => {
    const queue = createQueueMachine(START_AT);
    spend(queue, 600_000, { budget: REJECTING });
    asRefused(queue.admit(ask({ budget: REJECTING, estimate: 900_000 }), START_AT));
    expect(thresholds(queue.pendingAlerts())).toEqual([0.5]);
    spend(queue, 380_000, { budget: REJECTING });
    asRefused(queue.admit(ask({ budget: REJECTING, estimate: 30_000 }), START_AT));
    expect(thresholds(queue.pendingAlerts())).toEqual([0.5, 0.8, 1]);
  });

  test("says how much of it is used with each admission and refusal: the one used more of two", () => {
    const queue = createQueueMachine(START_AT);
    spend(queue, 400_000, { budget: REJECTING, keyBudget: { ...REJECTING, microUsd: 500_000 } });
    const both = { budget: REJECTING, keyBudget: { ...REJECTING, microUsd: 500_000 } };
    const admitted = asAdmitted(queue.admit(ask(both), START_AT));
    expect(admitted.budget).toEqual({ microUsd: 500_000, spentMicroUsd: 400_000 });
    const refused = asRefused(queue.admit(ask({ ...both, estimate: 400_000 }), START_AT));
    expect(refused.budget).toEqual({ microUsd: 500_000, spentMicroUsd: 400_000 });
  });

  test("near a threshold has its settlements at once, since the alert belongs on that request's trace", () => {
    const queue = createQueueMachine(START_AT);
    const far = queue.admit({ ...ask({ budget: ONE_DOLLAR, estimate: 1000 }), prefetchCount: 10 }, START_AT);
    expect(asAdmitted(far).canDeferSettle).toBe(true);
    expect(asAdmitted(far).prefetched).toBeDefined();
    const near = queue.admit(
      { ...ask({ budget: ONE_DOLLAR, estimate: 500_000 }), prefetchCount: 10 },
      START_AT,
    );
    expect(asAdmitted(near).canDeferSettle).toBe(false);
    expect(asAdmitted(near).prefetched).toBeUndefined();
  });
});

describe("a restart", () => {
  test("repeats no alert that was told, and loses none that was not", () => {
    const queue = createQueueMachine(START_AT);
    const [first] = spend(queue, 600_000);
    expect(queue.staleAfterMs()).toBe(0);
    queue.noteAlertHandedOver(first?.id ?? "");
    const second = spend(queue, 250_000);
    // The same way as through storage: plain data.
    const checkpoint = structuredClone(queue.checkpoint(START_AT));
    const after = createQueueMachine(START_AT + 1000, checkpoint);
    expect(after.pendingAlerts()).toEqual(second);
    expect(spend(after, 1, { budget: ONE_DOLLAR }, START_AT + 1000)).toEqual([]);
    expect(thresholds(spend(after, 150_000, { budget: ONE_DOLLAR }, START_AT + 1000))).toEqual([1]);
  });

  test("in the next period has forgotten the thresholds of the last one", () => {
    const queue = createQueueMachine(START_AT);
    spend(queue, 600_000);
    const after = createQueueMachine(START_AT + DAY_MS, structuredClone(queue.checkpoint(START_AT)));
    expect(thresholds(spend(after, 600_000, { budget: ONE_DOLLAR }, START_AT + DAY_MS))).toEqual([0.5]);
  });
});

test("without a budget no answer says anything of one", () => {
  const queue = createQueueMachine(START_AT);
  const request = ask({});
  const admitted = asAdmitted(queue.admit(request, START_AT));
  const reply = queue.settle(
    [{ ...settlementOf(admitted, request.requestId), costMicroUsd: 9_000_000 }],
    START_AT,
  );
  expect(admitted).not.toHaveProperty("budget");
  expect(reply).not.toHaveProperty("alerts");
  expect(queue.checkpoint(START_AT)).not.toHaveProperty("alerts");
});
