/** Empties a Durable Object for good: its storage, its alarm, and what it holds in memory. */

/** The part of a DurableObjectState that is used here. */
interface ErasableState {
  readonly storage: { deleteAlarm(): Promise<void>; deleteAll(): Promise<void>; sync(): Promise<void> };
  abort(reason?: string): void;
}

/** What the caller of an erased object gets in place of an answer. */
const ERASED = "headgate: this object was erased";

/**
 * Never answers: once nothing is stored any more, the object is reset before it can save its memory again, and the next call
 * finds a new one. The caller reads this with `untilErased`.
 */
export async function eraseObject(state: ErasableState): Promise<void> {
  await state.storage.deleteAlarm();
  await state.storage.deleteAll();
  await state.storage.sync();
  state.abort(ERASED);
}

/** Resolves once the object says that it was erased; rejects with any other fault. */
export async function untilErased(erasing: Promise<void>): Promise<void> {
  try {
    await erasing;
  } catch (thrown) {
    if (thrown instanceof Error && thrown.message.includes(ERASED)) return;
    throw thrown;
  }
  throw new Error("The object was not reset.");
}
