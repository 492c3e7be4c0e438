/**
 * Freezes plain objects and lists all the way down, and answers the same value. What is neither (a regular
 * expression, a Map, a class instance that a plugin's schema made) stays as it is: freezing would break it.
 * So do plugin definitions, which belong to their authors.
 */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  if (!Array.isArray(value) && !isPlain(value)) return value;
  Object.freeze(value);
  for (const [key, below] of Object.entries(value)) if (key !== "definition") deepFreeze(below);
  return value;
}

/** Made by `{}` or `Object.create(null)`. */
export function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}
