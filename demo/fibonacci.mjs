/** Runs on a thread of its own: deliberately slow, so that there is something to wait for. */
export default function fibonacci(n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}
