/** Names of upstreams, pipelines, plugins, routes and steps. They stand in metrics, logs and URLs of the admin API. */
export const ITEM_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/;

/** The words for it in errors. */
export const ITEM_NAME_EXPECTED = "a name of letters, digits, -, _ and .";

/** A field value without its surrounding blanks (RFC 9110 §5.5); obs-text is left out. */
export const FIELD_VALUE = /^$|^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/;
