export const handler = (_req, res) => void res.end();
