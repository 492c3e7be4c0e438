export type { ResolvedAddress } from "./address-set.ts";
export { isName } from "./is-name.ts";
export { LookUpError } from "./look-up.ts";
export type { FailedPart, FoundAddress, LookUp, LookUpAnswer, Question } from "./look-up.ts";
export { createLookUp, systemLookUp } from "./system-look-up.ts";
export type { LookUpSettings } from "./system-look-up.ts";
export { watchName } from "./watch-name.ts";
export type { NameWatch, NameWatchOptions } from "./watch-name.ts";
