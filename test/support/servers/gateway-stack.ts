// The surroundings of a black-box test in one call: the real gateway, a scripted upstream it may call and an OTLP receiver it
// exports to.
import { randomUUID } from "node:crypto";
import { startGateway, type Gateway, type GatewayOptions } from "./gateway-process.ts";
import { startOtlpReceiver, type OtlpReceiver } from "./otlp-receiver.ts";
import { startScriptedUpstream, type ScriptedUpstream } from "./scripted-upstream.ts";

export type GatewayStack = {
  readonly gateway: Gateway;
  readonly upstream: ScriptedUpstream;
  readonly otlp: OtlpReceiver;
  close(): Promise<void>;
};

export async function startGatewayStack(
  vars: Readonly<Record<string, string>> = {},
  options: Pick<GatewayOptions, "hasTwin"> = {},
): Promise<GatewayStack> {
  const [upstream, otlp] = await Promise.all([startScriptedUpstream(), startOtlpReceiver()]);
  const gateway = await startGateway({ ...options, vars: { OTLP_ENDPOINT: otlp.url, ...vars } });
  return {
    gateway,
    upstream,
    otlp,
    close: async () => {
      await gateway.stop();
      await Promise.all([upstream.close(), otlp.close()]);
    },
  };
}

/** A model name no other test uses, so that its script and its counts at the shared upstream are its own. */
export function uniqueModel(): string {
  return `model-${randomUUID().slice(0, 8)}`;
}
