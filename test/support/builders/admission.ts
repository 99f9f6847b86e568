// Asks and answers for the queue's tests: whole records from the few fields that a test is about.
import type {
  AdmissionReply,
  AdmissionRequest,
  Admitted,
  Limits,
  Refused,
  Settlement,
} from "../../../src/limits/protocol.ts";

/** A round moment: what the tests call zero. */
export const START_AT = 1_800_000_000_000;

export function limitsOf(limits: Partial<Limits> = {}): Limits {
  return { maxDepth: 100, maxWaitMs: 30_000, ...limits };
}

type AskFields = Partial<Omit<AdmissionRequest, "requestId" | "limits">> & {
  readonly limits?: Partial<Limits>;
  readonly tokens?: number;
};

export function askOf(requestId: string, fields: AskFields = {}): AdmissionRequest {
  const { limits, tokens = 0, ...rest } = fields;
  return {
    requestId,
    traceId: `trace-${requestId}`,
    spanId: `span-${requestId}`,
    keyId: "key",
    lane: "interactive",
    limits: limitsOf(limits),
    configVersion: 1,
    maxWaitMs: 30_000,
    estimate: { inputTokens: tokens, outputTokens: 0 },
    settles: [],
    ...rest,
  };
}

export function settlementOf(answer: Admitted, requestId: string, tokens = 0): Settlement {
  return {
    requestId,
    keyId: "key",
    leaseId: answer.lease.id,
    outcome: "ok",
    inputTokens: tokens,
    outputTokens: 0,
    costMicroUsd: 0,
  };
}

export function asAdmitted(answer: AdmissionReply | undefined): Admitted {
  if (answer?.kind !== "admitted") throw new Error(`expected an admission, got ${JSON.stringify(answer)}`);
  return answer;
}

export function asRefused(answer: AdmissionReply | undefined): Refused {
  if (answer?.kind !== "refused") throw new Error(`expected a refusal, got ${JSON.stringify(answer)}`);
  return answer;
}
