import type { ForeignOptions } from "../lib/config/checker.js";

const OWN_TEXT = "write the line yourself: format: (entry, req, res) => string";
const FIELDS = "the fields are fixed: schema chooses their names, format writes your own line";
const LISTED = 'list the headers that you want: headers: ["accept-language"]';

/** Options of other packages, and what to write here instead. */
export const FOREIGN: ForeignOptions = {
  "pino-http": {
    genReqId: "it is requestContext(), whose trustRequestId takes the client's id",
    "useLevel customLogLevel": "it is level: (entry) => level",
    "customSuccessMessage customErrorMessage customReceivedMessage": OWN_TEXT,
    "customSuccessObject customErrorObject customReceivedObject customAttributeKeys customProps": FIELDS,
    "serializers wrapSerializers": FIELDS,
    autoLogging: "it is ignore: (req) => boolean",
    quietReqLogger: "there is no req.log: a logger of your own adds currentContext()?.id",
    quietResLogger: "there is no res.log: a logger of your own adds currentContext()?.id",
    transport: "it belongs to pino: logger: pino({ transport })",
  },
  "express-winston": {
    winstonInstance: "logger",
    transports: "it belongs to winston: logger: createLogger({ transports })",
    msg: OWN_TEXT,
    "meta metaField dynamicMeta": FIELDS,
    "expressFormat colorize": 'it is format: "dev"',
    statusLevels: "it is level: (entry) => level",
    ignoreRoute: "ignore",
    "requestWhitelist headerBlacklist": LISTED,
    "responseWhitelist bodyBlacklist bodyWhitelist": "there is none: bodies are never logged",
  },
};
