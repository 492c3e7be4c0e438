/** RFC 9113 §8.2.2: fields that speak of an HTTP/1.1 connection make an HTTP/2 message malformed. */
export function isConnectionSpecific(name: string): boolean {
  switch (name) {
    case "connection":
    case "keep-alive":
    case "proxy-connection":
    case "transfer-encoding":
    case "upgrade":
      return true;
    default:
      return false;
  }
}
