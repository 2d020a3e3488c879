/** A request, in the form that each of Amazon's sources of events gives to a Lambda function. */
export interface Sent {
  readonly method?: string;
  readonly path?: string;
  /** Name and value pairs of the query, as sent. */
  readonly query?: readonly (readonly [string, string])[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly cookies?: readonly string[];
  readonly body?: Buffer;
}

/** What a function returns. Names in lower case. */
export interface Returned {
  readonly statusCode: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly multiValueHeaders?: Readonly<Record<string, readonly string[]>>;
  readonly cookies?: readonly string[];
  readonly body: string;
  readonly isBase64Encoded?: boolean;
}

export interface EventSource {
  readonly name: string;
  eventOf(sent: Sent): object;
  /** The fields Set-Cookie that the source sends for what the function returned. */
  cookiesOf(returned: Returned): readonly string[];
}

export const CLIENT = "192.0.2.7";
export const HOST = "shop.example";
export const REQUEST_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef";
const AGENT = "curl/8.7.1";

function fieldsOf({ headers = {}, body }: Sent): Record<string, string> {
  return {
    accept: "*/*",
    host: HOST,
    "user-agent": AGENT,
    "x-forwarded-for": `10.0.0.1, ${CLIENT}`, // the first was written by the client
    "x-forwarded-port": "443",
    "x-forwarded-proto": "https",
    ...(body && { "content-length": `${body.length}` }),
    ...headers,
  };
}

const listOf = (record: Readonly<Record<string, string>>): Record<string, string[]> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, [value]]));

function multiQuery({ query = [] }: Sent): Record<string, string[]> | null {
  const all: Record<string, string[]> = {};
  for (const [name, value] of query) all[name] = [...(all[name] ?? []), value];
  return query.length === 0 ? null : all;
}

const lastQuery = ({ query = [] }: Sent) => (query.length === 0 ? null : Object.fromEntries(query));

const bodyOf = ({ body }: Sent) => ({
  body: body?.toString("base64") ?? null,
  isBase64Encoded: body !== undefined,
});

const cookieOf = ({ cookies }: Sent): Record<string, string> =>
  cookies ? { cookie: cookies.join("; ") } : {};

/** API Gateway, REST API, proxy integration (payload 1.0). */
const restApi: EventSource = {
  name: "API Gateway REST API",
  eventOf(sent) {
    const { method = "GET", path = "/" } = sent;
    const headers = { ...fieldsOf(sent), ...cookieOf(sent) };
    return {
      resource: "/{proxy+}",
      path,
      httpMethod: method,
      headers,
      multiValueHeaders: listOf(headers),
      queryStringParameters: lastQuery(sent),
      multiValueQueryStringParameters: multiQuery(sent),
      pathParameters: { proxy: path.slice(1) },
      stageVariables: null,
      requestContext: {
        accountId: "123456789012",
        apiId: "qkxmpl",
        stage: "prod",
        path: `/prod${path}`,
        protocol: "HTTP/1.1",
        resourcePath: "/{proxy+}",
        httpMethod: method,
        domainName: HOST,
        requestId: REQUEST_ID,
        requestTimeEpoch: 1_583_798_639_428,
        identity: { sourceIp: CLIENT, userAgent: AGENT },
      },
      ...bodyOf(sent),
    };
  },
  cookiesOf: ({ headers = {}, multiValueHeaders = {} }) =>
    multiValueHeaders["set-cookie"] ?? (headers["set-cookie"] === undefined ? [] : [headers["set-cookie"]]),
};

function payload2(sent: Sent, domainName: string, context: object): object {
  const { method = "GET", path = "/", query = [], cookies } = sent;
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath: path,
    rawQueryString: query.map((pair) => pair.map(encodeURIComponent).join("=")).join("&"),
    ...(cookies && { cookies }),
    headers: { ...fieldsOf(sent), host: domainName },
    ...(query.length > 0 && {
      queryStringParameters: Object.fromEntries(
        Object.entries(multiQuery(sent)!).map(([name, values]) => [name, values.join(",")]),
      ),
    }),
    requestContext: {
      accountId: "123456789012",
      domainName,
      stage: "$default",
      routeKey: "$default",
      requestId: REQUEST_ID,
      timeEpoch: 1_583_348_638_390,
      http: { method, path, protocol: "HTTP/1.1", sourceIp: CLIENT, userAgent: AGENT },
      ...context,
    },
    ...(sent.body && { body: sent.body.toString("base64") }),
    isBase64Encoded: sent.body !== undefined,
  };
}

/** API Gateway, HTTP API (payload 2.0). */
const httpApi: EventSource = {
  name: "API Gateway HTTP API",
  eventOf: (sent) => payload2(sent, HOST, { apiId: "r3pmxmplak", domainPrefix: "shop" }),
  cookiesOf: ({ cookies = [] }) => cookies,
};

export const FUNCTION_HOST = "abcdefg.lambda-url.eu-central-1.on.aws";

const functionUrl: EventSource = {
  name: "Lambda function URL",
  eventOf: (sent) =>
    payload2(sent, FUNCTION_HOST, { apiId: "abcdefg", domainPrefix: "abcdefg", authorizer: undefined }),
  cookiesOf: ({ cookies = [] }) => cookies,
};

const ELB = {
  elb: {
    targetGroupArn:
      "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/shop/6d0ecf831eec9f09",
  },
};

/** Query strings come as they were sent. */
const encoded = ({ query = [], ...sent }: Sent): Sent => ({
  ...sent,
  query: query.map(([name, value]) => [encodeURIComponent(name), encodeURIComponent(value)]),
});

const alb: EventSource = {
  name: "Application Load Balancer",
  eventOf: (sent) => ({
    requestContext: ELB,
    httpMethod: sent.method ?? "GET",
    path: sent.path ?? "/",
    queryStringParameters: lastQuery(encoded(sent)) ?? {},
    headers: { ...fieldsOf(sent), ...cookieOf(sent) },
    body: sent.body?.toString("base64") ?? "",
    isBase64Encoded: sent.body !== undefined,
  }),
  cookiesOf: ({ headers = {} }) => (headers["set-cookie"] === undefined ? [] : [headers["set-cookie"]]),
};

/** With the attribute `lambda.multi_value_headers.enabled` of the target group. */
const albMulti: EventSource = {
  name: "Application Load Balancer with multi-value headers",
  eventOf: (sent) => ({
    requestContext: ELB,
    httpMethod: sent.method ?? "GET",
    path: sent.path ?? "/",
    multiValueQueryStringParameters: multiQuery(encoded(sent)) ?? {},
    multiValueHeaders: listOf({ ...fieldsOf(sent), ...cookieOf(sent) }),
    body: sent.body?.toString("base64") ?? "",
    isBase64Encoded: sent.body !== undefined,
  }),
  cookiesOf: ({ multiValueHeaders = {} }) => multiValueHeaders["set-cookie"] ?? [],
};

export const SOURCES: readonly EventSource[] = [restApi, httpApi, functionUrl, alb, albMulti];
