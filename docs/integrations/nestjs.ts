import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  HttpException,
  type WebSocketAdapter,
} from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ExpressAdapter, type NestExpressApplication } from "@nestjs/platform-express";
import express from "express";
import { type PorticoOptions, portico, type Served, type ServeOptions, serve } from "express-portico";

/** Passes every exception on to `recover`, which answers and logs it. */
@Catch()
export class ToRecover implements ExceptionFilter {
  catch(exception: unknown, host: ArgumentsHost): void {
    if (exception instanceof HttpException && exception.getStatus() < 500) showToClient(exception);
    host.switchToHttp().getNext<(error: unknown) => void>()(exception);
  }
}

/** Nest writes these messages for clients: "Cannot GET /nowhere", or the list of what ValidationPipe has found. */
function showToClient(exception: HttpException): void {
  const response = exception.getResponse();
  const message = typeof response === "object" && "message" in response ? response.message : undefined;
  Object.assign(exception, { expose: true, ...(Array.isArray(message) && { problem: { errors: message } }) });
}

/** Starts a Nest application between `before` and `after`. With gateways, `adapterFor` makes their adapter. */
export async function start(
  module: Parameters<typeof NestFactory.create>[0],
  options: PorticoOptions,
  serveOptions: ServeOptions,
  adapterFor?: (app: express.Express) => WebSocketAdapter,
): Promise<Served> {
  const { before, after } = portico(options);
  const app = express();
  app.use(before); // now, because Nest adds its body parsers in init()
  const nest = await NestFactory.create<NestExpressApplication>(module, new ExpressAdapter(app), {
    logger: ["error", "warn"],
  });
  nest.useGlobalFilters(new ToRecover());
  if (adapterFor !== undefined) nest.useWebSocketAdapter(adapterFor(app));
  await nest.init();
  app.use(after); // after the handlers that Nest adds in init()
  const served = await serve(app, serveOptions);
  served.closed.then(() => nest.close()); // calls onModuleDestroy and the other hooks, after the last response
  return served;
}
