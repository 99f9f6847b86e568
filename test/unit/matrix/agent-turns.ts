// What an agent sends in one of its turns, and what of it an upstream must be sent.
export const TURNS = [
  "first turn",
  "tool loop",
  "compaction",
  "images",
  "thinking",
  "web search",
  "sub-agent",
] as const;
export type Turn = (typeof TURNS)[number];

export interface AgentTurn {
  /** The body without its model. */
  readonly body: object;
  /** Texts that every upstream's request holds. */
  readonly carries: readonly string[];
  /** What only the agent's own vendor can do: refused by this name anywhere else. */
  readonly refusedField?: string;
}

export interface AgentTurns {
  readonly name: string;
  readonly wireName: string;
  /** A turn that the agent doesn't have is left out. */
  readonly turns: Readonly<Partial<Record<Turn, AgentTurn>>>;
}
