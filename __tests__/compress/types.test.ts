import compression from "compression";
import { isCompressible } from "../../src/compress/index.js";

it.each([
  "text/plain",
  "text/html; charset=utf-8",
  "TEXT/CSS",
  "text/x-anything",
  "application/json",
  "application/ld+json ; profile=a",
  "application/problem+json",
  "application/javascript",
  "application/manifest+json",
  "application/rss+xml",
  "application/soap+xml",
  "application/xhtml+xml",
  "application/wasm",
  "application/x-javascript",
  "application/x-www-form-urlencoded",
  "application/xml",
  "application/vnd.api+json",
  "font/otf",
  "font/ttf",
  "image/bmp",
  "image/svg+xml",
])("%s is compressible, for the compression package too", (type) => {
  expect(isCompressible(type)).toBe(true);
  expect(peer(type)).toBe(true);
});

it.each([
  "image/png",
  "image/jpeg",
  "image/webp",
  "image/avif",
  "image/gif",
  "video/mp4",
  "audio/mpeg",
  "application/zip",
  "application/gzip",
  "application/pdf",
  "application/grpc",
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  "font/woff",
  "font/woff2",
  "multipart/form-data; boundary=x",
  "multipart/x-mixed-replace",
  "nonsense",
  "",
])("%j is not compressible, for the compression package neither", (type) => {
  expect(isCompressible(type)).toBe(false);
  expect(peer(type)).toBe(false);
});

it.each([
  "text/event-stream",
  "text/event-stream;charset=utf-8",
  "application/octet-stream",
  undefined,
])("%j is not compressible", (type) => {
  expect(isCompressible(type)).toBe(false);
});

function peer(type: string): boolean {
  return compression.filter({} as never, { getHeader: () => type } as never);
}
