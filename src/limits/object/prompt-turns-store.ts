/**
 * The last answer of each conversation that uses a vendor's prompt cache, kept in the tenant's object: digests and counts,
 * never text. Bounded by slots (a newer conversation takes a slot over), and by age. Saved with the object's checkpoint.
 */

import { fnv1a } from "../../bytes/digest.ts";
import { countSameParts, type EarlierTurn, type PromptTurn } from "../../targets/prompt-turns.ts";

/** Of at most some 4 KB each: `MAX_PARTS` digests. */
const SLOTS = 1024;
/** No vendor keeps a prefix longer: targets/prompt-caches.ts. */
const MAX_AGE_MS = 3 * 86_400_000;
/** Kept in memory between two checkpoints. */
const MAX_UNSAVED = 64;

interface KeptTurn extends PromptTurn {
  readonly at: number;
  readonly earlier?: EarlierTurn;
}

export interface PromptTurnsStore {
  /** Keeps an answer, and gives the one before it; undefined for a conversation's first. */
  note(turn: PromptTurn, now: number): EarlierTurn | undefined;
  /** Throws what the storage throws; what was to be saved is then lost, which costs an explanation. */
  save(now: number): void;
}

export function createPromptTurnsStore(kv: DurableObjectStorage["kv"]): PromptTurnsStore {
  const unsaved = new Map<string, KeptTurn>();
  let swept = 0;

  function save(now: number): void {
    const turns = [...unsaved];
    unsaved.clear();
    for (const [slot, turn] of turns) kv.put<KeptTurn>(slot, turn);
    if (turns.length === 0) return;
    // One slot a save is looked at, so that old ones go.
    const slot = slotOf(swept++ % SLOTS);
    const oldest = kv.get<KeptTurn>(slot);
    if (oldest !== undefined && now - oldest.at > MAX_AGE_MS) kv.delete(slot);
  }

  return {
    note(turn, now) {
      const slot = slotOf(fnv1a(turn.conversation) % SLOTS);
      const kept = unsaved.get(slot) ?? kv.get<KeptTurn>(slot);
      const before =
        kept?.conversation === turn.conversation && now - kept.at <= MAX_AGE_MS ? kept : undefined;
      if (before?.requestId === turn.requestId) return before.earlier;
      const earlier = before && earlierOf(before, turn, now);
      unsaved.set(slot, { ...turn, at: now, ...(earlier !== undefined && { earlier }) });
      if (unsaved.size > MAX_UNSAVED) save(now);
      return earlier;
    },
    save,
  };
}

function earlierOf(
  { target, inputTokens, heldTokens, isLong, digests, at }: KeptTurn,
  turn: PromptTurn,
  now: number,
): EarlierTurn {
  const sameParts = countSameParts(digests, turn.digests);
  return { target, inputTokens, heldTokens, isLong, agoMs: now - at, parts: digests.length, sameParts };
}

function slotOf(number: number): string {
  return `prompt-turn-${number}`;
}
