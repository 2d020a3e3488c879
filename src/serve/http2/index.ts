export function bridgeHttp2(_app: unknown): void {}
