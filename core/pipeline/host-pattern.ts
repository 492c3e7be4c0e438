/**
 * The host of an authority as it is compared: lower-case, without port and without the root's dot
 * (`Example.COM.:8080` → `example.com`, `[::1]:80` → `[::1]`).
 */
export function hostOf(authority: string): string {
  let end = authority.length;
  // A last character `]` closes an IPv6 literal: the colons before it are the address's own.
  if (authority.charCodeAt(end - 1) !== 0x5d) {
    const colon = authority.lastIndexOf(":");
    if (colon >= 0) end = colon;
  }
  if (end > 0 && authority.charCodeAt(end - 1) === 0x2e) end--;
  return (end === authority.length ? authority : authority.slice(0, end)).toLowerCase();
}

/** A host of a configuration: one name, or everything below a suffix. */
export interface HostPattern {
  readonly kind: "exact" | "suffix";
  /** For `suffix` with its leading dot: `*.example.com` → `.example.com`. */
  readonly text: string;
}

/**
 * `*.suffix` matches one label or more in front of the suffix, never the suffix itself.
 * @param host lower-case and without port, as the configuration holds it.
 */
export function hostPattern(host: string): HostPattern {
  return host.startsWith("*.") ? { kind: "suffix", text: host.slice(1) } : { kind: "exact", text: host };
}

/** @param host as {@link hostOf} gives it. */
export function hostMatches(pattern: HostPattern, host: string): boolean {
  if (pattern.kind === "exact") return host === pattern.text;
  return host.length > pattern.text.length && host.endsWith(pattern.text);
}
