import { expect, test } from "vitest";
import { checkFormBounds, MAX_FORM_PARTS } from "../../../src/http/form-bounds.ts";

const part = (boundary: string, value = "v"): string =>
  `--${boundary}\r\ncontent-disposition: form-data; name="a"\r\n\r\n${value}\r\n`;
const form = (parts: number, boundary: string, value?: string): Uint8Array =>
  new TextEncoder().encode(`${part(boundary, value).repeat(parts)}--${boundary}--\r\n`);
const tooMany = expect.objectContaining({
  code: "invalid_request",
  message: expect.stringContaining("100 parts"),
});

test.each([
  ["plain", "multipart/form-data; boundary=----x1", "----x1"],
  ["quoted", 'multipart/form-data; boundary="a=b c"', "a=b c"],
  ["in capitals, behind another parameter", "multipart/form-data; charset=utf-8;BOUNDARY=q", "q"],
])("counts the parts of a boundary that is %s", (_, contentType, boundary) => {
  expect(() => checkFormBounds(form(MAX_FORM_PARTS, boundary), contentType)).not.toThrow();
  expect(() => checkFormBounds(form(MAX_FORM_PARTS + 1, boundary), contentType)).toThrow(tooMany);
});

test("a file may hold lines that look alike", () => {
  const lines = "--x\r\n-----\r\n text --bound\r\n--boun\r\n".repeat(1000);
  expect(() => checkFormBounds(form(2, "bound", lines), "multipart/form-data; boundary=bound")).not.toThrow();
});

test("what has no boundary is left to the parser", () => {
  expect(() => checkFormBounds(form(500, "b"), "multipart/form-data")).not.toThrow();
});
