import { connection } from "next/server";
import { Counter } from "./counter.jsx";

export default async function Home() {
  await connection(); // rendered for each request
  return (
    <main>
      <h1>Home</h1>
      <Counter />
    </main>
  );
}
