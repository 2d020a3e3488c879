import {
  BadRequestException,
  Body,
  Controller,
  ForbiddenException,
  Get,
  InternalServerErrorException,
  type MessageEvent,
  Module,
  NotFoundException,
  type OnModuleDestroy,
  Param,
  ParseIntPipe,
  Post,
  Req,
  Res,
  Sse,
} from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { NestExpressApplication } from "@nestjs/platform-express";
import type { Request, Response } from "express";
import { contextOf, type PorticoOptions, portico, serve } from "express-portico";
import { Observable } from "rxjs";
import { start } from "../../../docs/integrations/nestjs.js";

const print = (fields: object) => console.log(JSON.stringify(fields));

@Controller("orders")
class OrdersController {
  @Get("missing")
  missing(): never {
    throw new NotFoundException("There is no such order.");
  }

  @Get("forbidden")
  async forbidden(): Promise<never> {
    throw new ForbiddenException();
  }

  /** As ValidationPipe throws it. */
  @Get("invalid")
  invalid(): never {
    throw new BadRequestException(["amount must be positive"]);
  }

  @Get("internal")
  internal(): never {
    throw new InternalServerErrorException("the password is secret");
  }

  @Get("broken")
  async broken(): Promise<never> {
    await new Promise(setImmediate);
    throw new Error("the database is gone");
  }

  @Get("half")
  async half(@Res() res: Response): Promise<void> {
    res.type("text").write("half of it");
    await new Promise((resolve) => setTimeout(resolve, 20));
    throw new Error("gone half-way");
  }

  @Get("never")
  never(): Promise<never> {
    return new Promise(() => {});
  }

  /** Answers a while after the server has begun to close. */
  @Get("last")
  last(@Req() req: Request): Promise<string> {
    print({ waiting: req.path });
    return new Promise((resolve) =>
      contextOf(req).closing.addEventListener("abort", () => setTimeout(resolve, 100, "the last one")),
    );
  }

  @Sse("ticks")
  ticks(): Observable<MessageEvent> {
    return new Observable((observer) => {
      observer.next({ data: { tick: 1 } });
      const timer = setTimeout(() => observer.next({ data: { tick: 2 } }), 2_200); // after the timeout
      return () => {
        clearTimeout(timer);
        print({ left: "ticks" });
      };
    });
  }

  @Get("text")
  text(): string {
    return "a compressible text ".repeat(200);
  }

  @Get(":id")
  async one(@Param("id", ParseIntPipe) id: number): Promise<object> {
    return { id };
  }

  @Post()
  create(@Body() body: unknown): object {
    return { created: body };
  }
}

@Module({ controllers: [OrdersController] })
class AppModule implements OnModuleDestroy {
  onModuleDestroy(): void {
    print({ hook: "onModuleDestroy" });
  }
}

const options: PorticoOptions = {
  cors: { origin: "https://app.example", credentials: true },
  csrf: {},
  compress: {},
  timeout: 2_000,
  bodyLimit: "1kb",
};

/** As Nest's own documents write it: no filter, no `after`, Nest's server, its CORS beside ours, its shutdown hooks. */
async function plain(): Promise<string> {
  const nest = await NestFactory.create<NestExpressApplication>(AppModule, { logger: ["error"] });
  nest.use(portico(options).before);
  nest.enableCors({ origin: "https://app.example", credentials: true });
  nest.enableShutdownHooks();
  await nest.listen(process.env.PORT ?? 3000, "127.0.0.1");
  return (await serve(nest.getHttpAdapter().getInstance(), { server: nest.getHttpServer() })).url;
}

if (process.env.MODE === "plain") print({ url: await plain() });
else print({ url: (await start(AppModule, options, { port: 0, host: "127.0.0.1" })).url });
