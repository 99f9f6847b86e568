/** Empties a Durable Object for good: its storage, its alarm, and what it holds in memory. */

/** The part of a DurableObjectState that is used here. */
interface ErasableState {
  readonly storage: { deleteAlarm(): Promise<void>; deleteAll(): Promise<void> };
  abort(reason?: string): void;
}

/**
 * Resolves once nothing is stored any more. The object is reset right after: its memory would be saved again otherwise,
 * and the next call finds a new one.
 */
export async function eraseObject(state: ErasableState): Promise<void> {
  await state.storage.deleteAlarm();
  await state.storage.deleteAll();
  setTimeout(() => state.abort("erased"), 0);
}
