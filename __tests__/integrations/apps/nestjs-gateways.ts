import { Controller, Get, Module, type OnModuleDestroy } from "@nestjs/common";
import {
  ConnectedSocket,
  MessageBody,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  SubscribeMessage,
  WebSocketGateway,
  WsException,
} from "@nestjs/websockets";
import type { PorticoOptions } from "express-portico";
import { start } from "../../../docs/integrations/nestjs.js";
import { GatewayAdapter, SocketIoAdapter } from "../../../docs/integrations/nestjs-gateways.js";

const print = (fields: object) => console.log(JSON.stringify(fields));

const isWs = process.env.MODE === "ws";
const ORIGIN = "https://app.example";
/** As each of the packages has it. */
const options = isWs
  ? { path: "/chat", verifyClient: ({ origin }: { origin?: string }) => origin === ORIGIN }
  : { cors: { origin: ORIGIN } };

@WebSocketGateway(options)
class ChatGateway implements OnGatewayConnection, OnGatewayDisconnect {
  handleConnection(): void {
    print({ gateway: "connected" });
  }

  handleDisconnect(): void {
    print({ gateway: "disconnected" });
  }

  @SubscribeMessage("say")
  say(@MessageBody() text: string, @ConnectedSocket() _socket: unknown): object {
    return { event: "said", data: text.toUpperCase() };
  }

  @SubscribeMessage("refuse")
  refuse(): never {
    throw new WsException("not now");
  }

  @SubscribeMessage("fail")
  async fail(): Promise<never> {
    throw new Error("the database is gone");
  }
}

@Controller()
class PagesController {
  @Get()
  page(): string {
    return "the page";
  }
}

@Module({ controllers: [PagesController], providers: [ChatGateway] })
class AppModule implements OnModuleDestroy {
  onModuleDestroy(): void {
    print({ hook: "onModuleDestroy" });
  }
}

const portico: PorticoOptions = {
  cors: { origin: ORIGIN },
  csrf: {},
  compress: {},
  timeout: 300,
  allowedHosts: ["127.0.0.1"],
};
const io = new SocketIoAdapter();
const served = await start(
  AppModule,
  portico,
  { port: 0, host: "127.0.0.1", drain: { deadlineMs: 20_000 } },
  (app) => (isWs ? new GatewayAdapter(app) : io),
);
if (!isWs) io.attach(served);
print({ url: served.url });
