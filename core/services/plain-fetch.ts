/**
 * fetch as an operator expects it of a server: what is configured is what is asked. It follows no redirect, and no
 * proxy of the environment (HTTP_PROXY) takes part; `init` may say otherwise.
 */
export function plainFetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
  return fetch(input, { redirect: "manual", proxy: false, ...init });
}
