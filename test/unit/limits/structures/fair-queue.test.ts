import { describe, expect, test } from "vitest";
import {
  createFairQueue,
  createFlow,
  type Flow,
  type Queued,
} from "../../../../src/limits/structures/fair-queue.ts";
import type { Lane } from "../../../../src/limits/protocol.ts";

interface Item extends Queued<Item> {
  readonly name: string;
}

function setup() {
  const queue = createFairQueue<Item>();
  const flows = new Map<string, Flow<Item>>();
  const flowOf = (key: string): Flow<Item> => {
    const flow = flows.get(key) ?? createFlow<Item>();
    flows.set(key, flow);
    return flow;
  };
  const add = (name: string, key = "key", lane: Lane = "interactive"): Item => {
    const item: Item = { name, lane, flow: flowOf(key), previous: undefined, next: undefined };
    queue.add(item);
    return item;
  };
  /** Admits the next so many, each of weight `weight`. */
  const serve = (count: number, weight = 1, isEligible: (item: Item) => boolean = () => true): string[] => {
    const served: string[] = [];
    for (let n = 0; n < count; n += 1) {
      const item = queue.next(isEligible);
      if (item === undefined) break;
      queue.admit(item);
      item.flow.served += weight;
      served.push(item.name);
    }
    return served;
  };
  return { queue, flowOf, add, serve };
}

describe("the fair queue", () => {
  test("serves one key in the order of arrival", () => {
    const { add, serve } = setup();
    for (const name of ["a", "b", "c"]) add(name);
    expect(serve(9)).toEqual(["a", "b", "c"]);
  });

  test("takes one out of the middle and keeps the order of the others", () => {
    const { add, serve, queue } = setup();
    const [, middle] = ["a", "b", "c"].map((name) => add(name));
    if (middle) queue.remove(middle);
    expect(queue.size).toBe(2);
    expect(serve(9)).toEqual(["a", "c"]);
  });

  test("serves a newcomer's key in turn with one that floods", () => {
    const { add, serve } = setup();
    for (let n = 0; n < 100; n += 1) add(`flood${n}`, "flood");
    serve(20);
    add("b1", "b");
    add("b2", "b");
    expect(serve(4).filter((name) => name.startsWith("b"))).toEqual(["b1", "b2"]);
  });

  test("gives a key no claim for the time in which it asked for nothing", () => {
    const { add, serve } = setup();
    for (let n = 0; n < 200; n += 1) add(`a${n}`, "a");
    serve(100);
    for (let n = 0; n < 10; n += 1) add(`b${n}`, "b");
    expect(serve(10).filter((name) => name.startsWith("b")).length).toBeLessThanOrEqual(6);
  });

  test("gives a key no claim for the time in which its own limits held it", () => {
    const { add, serve } = setup();
    for (let n = 0; n < 200; n += 1) add(`a${n}`, "a");
    for (let n = 0; n < 10; n += 1) add(`b${n}`, "b");
    serve(100, 1, (item) => !item.name.startsWith("b"));
    expect(serve(10).filter((name) => name.startsWith("b")).length).toBeLessThanOrEqual(6);
  });

  test("keeps the served weight of two backlogged keys within one request's weight", () => {
    const { add, serve } = setup();
    for (let n = 0; n < 50; n += 1) {
      add(`a${n}`, "a");
      add(`b${n}`, "b");
    }
    let lead = 0;
    for (let n = 0; n < 60; n += 1) {
      lead += serve(1, 5)[0]?.startsWith("a") ? 5 : -5;
      expect(Math.abs(lead)).toBeLessThanOrEqual(5);
    }
  });

  test("serves interactive first, and batch once in ten while it waits", () => {
    const { add, serve } = setup();
    for (let n = 0; n < 40; n += 1) add(`i${n}`);
    for (let n = 0; n < 40; n += 1) add(`b${n}`, "key", "batch");
    const order = serve(30);
    expect(order.flatMap((name, at) => (name.startsWith("b") ? [at] : []))).toEqual([9, 19, 29]);
  });

  test("serves the other lane when no key of the first is eligible", () => {
    const { add, serve } = setup();
    add("i", "closed");
    add("b", "open", "batch");
    expect(serve(1, 1, (item) => item.name !== "i")).toEqual(["b"]);
  });

  test("serves none when no key is eligible, and keeps all", () => {
    const { add, serve, queue } = setup();
    add("a", "a");
    add("b", "b");
    expect(serve(1, 1, () => false)).toEqual([]);
    expect([...queue.entries()].map(({ name }) => name)).toEqual(["a", "b"]);
  });

  test("tells a newcomer how many go first at the best", () => {
    const { add, queue, flowOf } = setup();
    for (let n = 0; n < 30; n += 1) add(`a${n}`, "a");
    expect(queue.ahead(flowOf("a"), "interactive")).toBe(30);
    expect(queue.ahead(flowOf("b"), "interactive")).toBe(1);
    expect(queue.ahead(flowOf("b"), "batch")).toBe(9);
  });
});
