export function GET() {
  throw new Error("the route is broken");
}
