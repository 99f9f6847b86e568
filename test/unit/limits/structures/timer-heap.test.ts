import fc from "fast-check";
import { expect, test } from "vitest";
import { createTimerHeap, NO_SLOT, type Timed } from "../../../../src/limits/structures/timer-heap.ts";

test("always shows the item that falls due first, whatever is added, moved and removed", () => {
  const step = fc.record({
    kind: fc.constantFrom("add" as const, "remove" as const, "move" as const),
    dueAt: fc.nat(100),
    which: fc.nat(50),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: "max" }), (steps) => {
      const heap = createTimerHeap<Timed>();
      const items: Timed[] = [];
      for (const { kind, dueAt, which } of steps) {
        const item = items[which % Math.max(1, items.length)];
        if (kind === "add" || item === undefined) {
          const added = { dueAt, slot: NO_SLOT };
          items.push(added);
          heap.add(added);
        } else if (kind === "move") heap.move(item, dueAt);
        else {
          heap.remove(item);
          items.splice(items.indexOf(item), 1);
          heap.remove(item);
        }
        expect(heap.size).toBe(items.length);
        expect(heap.peek()?.dueAt ?? Infinity).toBe(Math.min(...items.map((left) => left.dueAt)));
      }
    }),
    { numRuns: 500 },
  );
});
