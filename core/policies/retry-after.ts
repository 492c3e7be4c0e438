/** The field for a refusal: whole seconds, at least one (RFC 9110 §10.2.3). */
export function retryAfter(ms: number): readonly (readonly [name: string, value: string])[] {
  return [["retry-after", String(Math.max(1, Math.ceil(ms / 1000)))]];
}
