export const path: string = "/";
