// What the tenant's object keeps of conversations: once a request, saved with the checkpoint, bounded by slots and age.
import { describe, expect, test } from "vitest";
import { createPromptTurnsStore } from "../../../../src/limits/object/prompt-turns-store.ts";
import type { PromptTurn } from "../../../../src/targets/prompt-turns.ts";

const DAY = 86_400_000;

/** The object's storage: values are copied, as a real one does. */
function createKv() {
  const rows = new Map<string, unknown>();
  const kv = {
    // The caller names the type of what it stored.
    get: <T>(name: string) => structuredClone(rows.get(name)) as T | undefined,
    put: (name: string, value: unknown) => void rows.set(name, structuredClone(value)),
    delete: (name: string) => rows.delete(name),
    list: () => rows.entries(),
  };
  // Of the whole interface the store needs these.
  return { rows, kv: kv as unknown as DurableObjectStorage["kv"] };
}

let requests = 0;
const turn = (fields: Partial<PromptTurn> = {}): PromptTurn => ({
  requestId: `r${++requests}`,
  conversation: "1.1",
  target: "a/m",
  digests: Uint32Array.of(1, 2, 3),
  inputTokens: 2000,
  heldTokens: 1500,
  isLong: false,
  ...fields,
});

describe("conversations in the tenant's object", () => {
  test("the first answer has none before it; the next one has, also after a restart", () => {
    const { kv } = createKv();
    const store = createPromptTurnsStore(kv);
    expect(store.note(turn(), 1000)).toBeUndefined();
    expect(store.note(turn({ digests: Uint32Array.of(1, 2, 9, 4) }), 4000)).toEqual({
      target: "a/m",
      inputTokens: 2000,
      heldTokens: 1500,
      isLong: false,
      agoMs: 3000,
      parts: 3,
      sameParts: 2,
    });
    store.save(4000);
    expect(createPromptTurnsStore(kv).note(turn(), 5000)).toMatchObject({
      agoMs: 1000,
      parts: 4,
      sameParts: 2,
    });
  });

  test("a request that is noted twice gets the same answer", () => {
    const store = createPromptTurnsStore(createKv().kv);
    store.note(turn(), 0);
    const repeated = turn({ heldTokens: 7 });
    const first = store.note(repeated, 10);
    expect(store.note(repeated, 20)).toEqual(first);
  });

  test("nothing is written before the checkpoint, and no more than the slots allow", () => {
    const { rows, kv } = createKv();
    const store = createPromptTurnsStore(kv);
    store.note(turn(), 0);
    expect(rows.size).toBe(0);
    for (let n = 0; n < 5000; n += 1) store.note(turn({ conversation: `${n}.1` }), n);
    store.save(5000);
    expect(rows.size).toBeLessThanOrEqual(1024);
    expect(rows.size).toBeGreaterThan(900);
  });

  test("another conversation in the same slot is not the one before", () => {
    const { rows, kv } = createKv();
    const store = createPromptTurnsStore(kv);
    store.note(turn(), 0);
    store.save(0);
    const [slot = ""] = rows.keys();
    rows.set(slot, { ...turn({ conversation: "other" }), at: 0 });
    expect(store.note(turn(), 10)).toBeUndefined();
  });

  test("what is older than three days says nothing, and goes", () => {
    const { rows, kv } = createKv();
    const store = createPromptTurnsStore(kv);
    store.note(turn(), 0);
    store.save(0);
    const [slot] = rows.keys();
    expect(createPromptTurnsStore(kv).note(turn(), 3 * DAY + 1)).toBeUndefined();
    for (let n = 0; n < 1024; n += 1) {
      store.note(turn({ conversation: "busy" }), 4 * DAY + n);
      store.save(4 * DAY + n);
    }
    expect([...rows.keys()]).not.toContain(slot);
  });
});
