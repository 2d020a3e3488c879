export const VERSIONS: Readonly<Record<20 | 22 | 24 | 26, string>>;
export function nodeBinary(major: string): string;
