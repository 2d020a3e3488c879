import { ApolloServer } from "@apollo/server";
import { start } from "../../../docs/integrations/apollo.js";

const print = (fields: object) => console.log(JSON.stringify(fields));
let closing: AbortSignal | undefined;

const apollo = new ApolloServer({
  typeDefs: "type Query { hello: String! broken: String last: String! never: String }",
  resolvers: {
    Query: {
      hello: () => "a compressible hello ".repeat(100),
      broken: () => {
        throw new Error("the database is gone");
      },
      never: () => new Promise(() => {}),
      /** Answers a while after the server has begun to close. */
      last: () => {
        print({ waiting: "last" });
        return new Promise((resolve) =>
          closing!.addEventListener("abort", () => setTimeout(resolve, 1_200, "the last one")),
        );
      },
    },
  },
  stopOnTerminationSignals: false,
  includeStacktraceInErrorResponses: false,
  plugins: [
    { serverWillStart: async () => ({ serverWillStop: async () => print({ hook: "serverWillStop" }) }) },
  ],
});

const served = await start(
  apollo,
  {
    cors: { origin: "https://studio.example", credentials: true },
    csrf: {},
    compress: {},
    timeout: 2_000,
    bodyLimit: "10kb",
  },
  { port: 0, host: "127.0.0.1" },
);
closing = served.closing;
print({ url: served.url });
