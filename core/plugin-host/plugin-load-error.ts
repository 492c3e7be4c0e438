/** A plugin's file that cannot be used; the message says which file, where in it and why. */
export class PluginLoadError extends Error {
  override readonly name = "PluginLoadError";
  /** Absolute path of the plugin's file. */
  readonly file: string;
  /** Files whose change may mend it: what a watcher should watch. */
  readonly files: readonly string[];

  constructor(file: string, message: string, options: { files?: readonly string[]; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.file = file;
    this.files = options.files ?? [file];
  }
}
