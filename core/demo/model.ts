/*
 * The pretend model behind both AI dialects: it repeats what it was told, and counts as a real one would.
 */

/** Milliseconds between two pieces of a streamed answer: some 50 tokens a second. */
export const TOKEN_MS = 20;

export interface Message {
  readonly role: string;
  readonly content?: unknown;
}

export interface Completion {
  /** The answer in tokens; joined they are its text. */
  readonly pieces: readonly string[];
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** True when `maxTokens` cut the answer. */
  readonly cut: boolean;
}

/** Answers the last user message, in at most `maxTokens` tokens. */
export function complete(
  messages: readonly Message[],
  system: unknown,
  maxTokens = Number.POSITIVE_INFINITY,
): Completion {
  const asked = textOf(messages.findLast(({ role }) => role === "user")?.content);
  const all = tokensOf(`You said: ${asked.slice(0, 500)}\nThis is a pretend model inside the Sluice demo.`);
  const pieces = all.slice(0, Math.max(1, maxTokens));
  return {
    pieces,
    inputTokens: countInput(messages, system),
    outputTokens: pieces.length,
    cut: pieces.length < all.length,
  };
}

/** Tokens of a conversation: its texts, 4 for the frame of each message and 3 for the answer's. */
export function countInput(messages: readonly Message[], system: unknown): number {
  const texts = messages.reduce((sum, { content }) => sum + 4 + tokensOf(textOf(content)).length, 3);
  return texts + tokensOf(textOf(system)).length;
}

/**
 * Cuts a text about where tokenizers do: a blank with up to 7 letters, one sign, or a run of blanks. Linear in
 * the length of the text, whatever it is.
 */
export function tokensOf(text: string): string[] {
  return text.match(/\s?[\p{L}\p{N}]{1,7}|\s?[^\s\p{L}\p{N}]|\s+/gu) ?? [];
}

/** The text of a `content` or `system` field: a string, or a list of blocks; what is no text counts as JSON. */
export function textOf(content: unknown): string {
  if (content === undefined || content === null) return "";
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return JSON.stringify(content);
  return content.map((block: unknown) => (hasText(block) ? block.text : textOf(block))).join("\n");
}

function hasText(block: unknown): block is { readonly text: string } {
  return typeof block === "object" && block !== null && "text" in block && typeof block.text === "string";
}
