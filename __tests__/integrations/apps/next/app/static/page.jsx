export default function Static() {
  return <h1>Rendered by the build</h1>;
}
