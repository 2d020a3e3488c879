import { connection } from "next/server";
import { Suspense } from "react";

async function Late() {
  await connection();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  return <p>the late part</p>;
}

export default function Slow() {
  return (
    <main>
      <h1>The shell</h1>
      <Suspense fallback={<p>waiting</p>}>
        <Late />
      </Suspense>
    </main>
  );
}
