export default function Page() {
  return <h1>Hello from the frontend</h1>;
}
