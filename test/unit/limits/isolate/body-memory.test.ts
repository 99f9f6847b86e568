import { describe, expect, test } from "vitest";
import { GatewayError } from "../../../../src/errors.ts";
import { type BodyHolder, createBodyMemory } from "../../../../src/limits/isolate/body-memory.ts";

const MAX = 1000;
const memory = () => createBodyMemory(MAX, () => 0.5);

function refusalOf(run: () => void): GatewayError | undefined {
  try {
    run();
    return undefined;
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown;
    throw thrown;
  }
}

describe("the bytes that an isolate holds", () => {
  test("have room up to the bound, and what goes beyond is refused and not counted", () => {
    const bodies = memory();
    const [one, two]: BodyHolder[] = [{}, {}];
    bodies.hold(one ?? {}, 400);
    bodies.hold(two ?? {}, 600);
    const refusal = refusalOf(() => bodies.hold({}, 1));
    expect(refusal).toMatchObject({
      code: "overloaded",
      status: 503,
      details: { limit: { name: "body_memory", value: MAX, remaining: 0 }, retryAfterMs: 1500 },
    });
    expect(bodies.heldBytes()).toBe(MAX);
  });

  test("are free again when their request lets them go, once", () => {
    const bodies = memory();
    const holder: BodyHolder = {};
    bodies.hold(holder, 300);
    bodies.hold(holder, 300);
    bodies.release(holder);
    bodies.release(holder);
    expect(bodies.heldBytes()).toBe(0);
  });

  test("of a body larger than half of it pass while others hold less than the other half", () => {
    const bodies = memory();
    const other: BodyHolder = {};
    bodies.hold(other, 501);
    expect(refusalOf(() => bodies.hold({}, 5000))?.code).toBe("overloaded");
    bodies.release(other);
    bodies.hold(other, 500);
    bodies.hold({}, 5000);
    expect(refusalOf(() => bodies.hold({}, 1))?.code).toBe("overloaded");
  });

  test("of answers have twice as much room: they are paid for", () => {
    const bodies = memory();
    bodies.hold({}, MAX);
    bodies.holdAnswer({}, 500);
    bodies.holdAnswer({}, 500);
    expect(refusalOf(() => bodies.holdAnswer({}, 1))?.code).toBe("overloaded");
  });
});
