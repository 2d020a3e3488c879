/** To be called when a handler is made, not for each request. */
export function inProduction(): boolean {
  return process.env.NODE_ENV === "production";
}
