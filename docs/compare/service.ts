import { setTimeout as sleep } from "node:timers/promises";
import { Router } from "express";

/** Both apps have these routes and this look-up of keys. */
export const router = Router();
router.get("/orders", (_req, res) => void res.json([{ id: 1 }]));
router.post("/upload", () => {
  throw new Error("the disk is full");
});
router.get("/slow", async (_req, res) => {
  await sleep(500);
  res.send("at last");
});

export async function findUser(key: string): Promise<{ name: string } | false> {
  if (key === "down") throw new Error("the key store is down");
  return key === "k3y" ? { name: "ann" } : false;
}
