/**
 * The OpenAI-compatible vendors, one row each. Data only: a vendor that can't be said in a row earns a file of its own.
 * Each row cites the page that its quirks are from (all seen 2026-11). Read by registry.ts.
 */

import type { OpenAiCompatibleRow } from "./openai-compatible.ts";

export const OPENAI_COMPATIBLE_ROWS = [
  {
    kind: "openai",
    takesHints: true,
    vendor: "openai",
    defaultBaseUrl: "https://api.openai.com/v1",
    takesStreamOptions: true,
    maxTokensField: "max_completion_tokens",
    speaksResponses: true,
    speaksRealtime: true,
  },
  {
    // Any other server of the same wire, at the account's own URL.
    // Kimi, DeepSeek and others behind such an address refuse a turn of tool calls without its reasoning; the option
    // `reasoningField` names another field, or `none`.
    kind: "openai-compatible",
    vendor: "openai_compatible",
    reasoningField: "reasoning_content",
    takesStreamOptions: true,
    takesTopK: true,
    speaksRealtime: true,
  },
  {
    // https://docs.mistral.ai/api/endpoint/chat: fields it doesn't know are refused, usage comes unasked, `random_seed`, reasoning
    // as parts of the content; ids of calls must have nine letters or digits.
    kind: "mistral",
    vendor: "mistral_ai",
    defaultBaseUrl: "https://api.mistral.ai/v1",
    takesStreamOptions: false,
    maxTokensField: "max_tokens",
    seedField: "random_seed",
    lacks: ["logprobs"],
    takesEndUser: false,
    takesShortCallIdsOnly: true,
  },
  {
    // https://console.groq.com/docs/openai: 400 for log probabilities and more than one choice. Reasoning is in `reasoning`.
    kind: "groq",
    vendor: "groq",
    defaultBaseUrl: "https://api.groq.com/openai/v1",
    takesStreamOptions: true,
    maxTokensField: "max_completion_tokens",
    lacks: ["logprobs", "choiceCount"],
    lacksEmbeddings: true,
  },
  {
    // https://api-docs.deepseek.com/guides/thinking_mode: reasoning of turns with tool calls must come back, others are ignored;
    // thinking has a switch of its own. https://api-docs.deepseek.com/guides/json_mode: JSON, but by no schema.
    kind: "deepseek",
    vendor: "deepseek",
    defaultBaseUrl: "https://api.deepseek.com",
    takesStreamOptions: true,
    maxTokensField: "max_tokens",
    reasoningField: "reasoning_content",
    thinkingOff: { thinking: { type: "disabled" } },
    lacks: ["schema", "choiceCount"],
    lacksEmbeddings: true,
  },
  {
    // https://docs.x.ai/docs/guides/reasoning: reasoning models, which all are, refuse penalties and stop sequences; reasoning is
    // counted beside the output's tokens.
    kind: "xai",
    vendor: "x_ai",
    defaultBaseUrl: "https://api.x.ai/v1",
    takesStreamOptions: true,
    maxTokensField: "max_completion_tokens",
    lacks: ["frequencyPenalty", "presencePenalty", "stop"],
    lacksEmbeddings: true,
  },
  {
    // https://openrouter.ai/docs/use-cases/reasoning-tokens: signed reasoning in `reasoning_details`, to be sent back;
    // https://openrouter.ai/docs/features/prompt-caching: Anthropic's cache marks. Comments keep its streams alive.
    kind: "openrouter",
    takesHints: true,
    vendor: "openrouter",
    defaultBaseUrl: "https://openrouter.ai/api/v1",
    takesStreamOptions: true,
    takesTopK: true,
    takesCacheMarks: true,
    reasoningField: "reasoning_details",
    thinkingOff: { reasoning: { enabled: false } },
  },
  {
    // https://docs.together.ai/docs/openai-api-compatibility. Ends with `eos`.
    kind: "together",
    vendor: "together",
    defaultBaseUrl: "https://api.together.ai/v1",
    takesStreamOptions: true,
    takesTopK: true,
  },
  {
    // https://docs.fireworks.ai/tools-sdks/openai-compatibility: usage comes in the last event, asked or not.
    kind: "fireworks",
    vendor: "fireworks",
    defaultBaseUrl: "https://api.fireworks.ai/inference/v1",
    takesStreamOptions: true,
    takesTopK: true,
    reasoningField: "reasoning_content",
  },
  {
    // https://docs.perplexity.ai/api-reference/chat-completions-post: searches instead of calling tools; usage and sources
    // (`search_results`) are in each event.
    kind: "perplexity",
    vendor: "perplexity",
    defaultBaseUrl: "https://api.perplexity.ai",
    takesStreamOptions: false,
    takesTopK: true,
    maxTokensField: "max_tokens",
    lacks: ["tools", "stop", "seed", "logprobs", "choiceCount"],
  },
  {
    // https://inference-docs.cerebras.ai/resources/openai: 400 for penalties. Reasoning in `reasoning`, both ways.
    kind: "cerebras",
    vendor: "cerebras",
    defaultBaseUrl: "https://api.cerebras.ai/v1",
    takesStreamOptions: true,
    maxTokensField: "max_completion_tokens",
    reasoningField: "reasoning",
    lacks: ["frequencyPenalty", "presencePenalty"],
    lacksEmbeddings: true,
  },
  {
    // https://docs.api.nvidia.com/nim/reference/llm-apis
    kind: "nvidia",
    vendor: "nvidia",
    defaultBaseUrl: "https://integrate.api.nvidia.com/v1",
    takesStreamOptions: true,
  },
  {
    // https://docs.databricks.com/aws/en/machine-learning/model-serving/query-chat-models: `https://WORKSPACE/serving-endpoints`;
    // reasoning is among the parts of the content, with summaries.
    kind: "databricks",
    vendor: "databricks",
    takesStreamOptions: true,
    maxTokensField: "max_tokens",
  },
  {
    // https://huggingface.co/docs/inference-providers/index: one address for many hosts, `model:host` picks one.
    kind: "hugging-face",
    vendor: "hugging_face",
    defaultBaseUrl: "https://router.huggingface.co/v1",
    takesStreamOptions: true,
    lacksEmbeddings: true,
  },
  {
    // https://platform.moonshot.ai/docs/api/chat: a stream's usage is in the choice that ends, cached tokens in
    // `usage.cached_tokens`; reasoning of turns with tool calls must come back.
    kind: "moonshot",
    vendor: "moonshot_ai",
    defaultBaseUrl: "https://api.moonshot.ai/v1",
    takesStreamOptions: true,
    reasoningField: "reasoning_content",
    thinkingOff: { thinking: { type: "disabled" } },
    lacksEmbeddings: true,
  },
  {
    // https://docs.ollama.com/api/openai-compatibility: passes over `n`, `tool_choice` and `max_completion_tokens` in silence.
    kind: "ollama",
    vendor: "ollama",
    defaultBaseUrl: "http://localhost:11434/v1",
    takesStreamOptions: true,
    maxTokensField: "max_tokens",
    thinkingOff: { reasoning_effort: "none" },
    lacks: ["choiceCount", "toolChoice"],
  },
  {
    // https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
    kind: "vllm",
    vendor: "vllm",
    defaultBaseUrl: "http://localhost:8000/v1",
    takesStreamOptions: true,
    takesTopK: true,
  },
  {
    // https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
    kind: "llama-cpp",
    vendor: "llama_cpp",
    defaultBaseUrl: "http://localhost:8080/v1",
    takesStreamOptions: true,
    takesTopK: true,
  },
  {
    // https://lmstudio.ai/docs/developer/openai-compat
    kind: "lm-studio",
    vendor: "lm_studio",
    defaultBaseUrl: "http://localhost:1234/v1",
    takesStreamOptions: true,
    takesTopK: true,
    maxTokensField: "max_tokens",
  },
  {
    // https://docs.litellm.ai/docs/providers/openai_compatible: passes cache marks on to whom it calls.
    // https://docs.litellm.ai/docs/realtime: and WebSockets.
    kind: "litellm",
    takesHints: true,
    vendor: "litellm",
    defaultBaseUrl: "http://localhost:4000/v1",
    takesStreamOptions: true,
    takesTopK: true,
    takesCacheMarks: true,
    reasoningField: "reasoning_content",
    speaksRealtime: true,
  },
  {
    // https://mlflow.org/docs/latest/genai/governance/ai-gateway/: `https://SERVER/gateway/mlflow/v1`
    kind: "mlflow",
    vendor: "mlflow",
    takesStreamOptions: true,
  },
  {
    // https://portkey.ai/docs/api-reference/inference-api/headers: its own header for its own key; whom it calls is said by
    // further headers of the account (`x-portkey-provider`, …).
    kind: "portkey",
    takesHints: true,
    vendor: "portkey",
    defaultBaseUrl: "https://api.portkey.ai/v1",
    keyHeader: "x-portkey-api-key",
    takesStreamOptions: true,
  },
] as const satisfies readonly OpenAiCompatibleRow[];
