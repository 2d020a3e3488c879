export const name = "no app";
