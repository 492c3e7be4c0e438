import { version } from "../package.json";

// Set by scripts/build (`bun build --define`); absent when the sources are run as they are.
declare const SLUICE_COMMIT: string | undefined;
declare const SLUICE_COMMIT_DATE: string | undefined;

/** The version of package.json. */
export const VERSION: string = version;

/** Abbreviated commit, with `-dirty` where the tree differed from it; "unknown" outside a build from git. */
export const COMMIT: string = typeof SLUICE_COMMIT === "string" ? SLUICE_COMMIT : "unknown";

/** When that commit was made (ISO 8601), or "unknown". */
export const COMMIT_DATE: string = typeof SLUICE_COMMIT_DATE === "string" ? SLUICE_COMMIT_DATE : "unknown";
