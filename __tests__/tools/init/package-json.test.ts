import { withDependency } from "../../../tools/init/package-json.js";

it.each([
  [
    "in the place of the alphabet",
    '{\n\t"dependencies": {\n\t\t"cors": "1",\n\t\t"zod": "1"\n\t}\n}\n',
    '{\n\t"dependencies": {\n\t\t"cors": "1",\n\t\t"express-portico": "^1.0.0",\n\t\t"zod": "1"\n\t}\n}\n',
  ],
  [
    "at the end of a list that is not sorted",
    '{"dependencies":{"zod":"1","cors":"1"}}',
    '{"dependencies":{"zod":"1","cors":"1","express-portico":"^1.0.0"}}',
  ],
  [
    "last",
    '{\r\n  "dependencies": {\r\n    "cors": "1"\r\n  }\r\n}\r\n',
    '{\r\n  "dependencies": {\r\n    "cors": "1",\r\n    "express-portico": "^1.0.0"\r\n  }\r\n}\r\n',
  ],
  ["into an empty list", '{ "dependencies": {} }', '{ "dependencies": { "express-portico": "^1.0.0" } }'],
  [
    "with a list of its own",
    '{\n  "name": "a"\n}',
    '{\n  "name": "a",\n  "dependencies": {\n    "express-portico": "^1.0.0"\n  }\n}',
  ],
  [
    "to one entry without spaces",
    '{"dependencies":{"zod":"1"}}',
    '{"dependencies":{"express-portico":"^1.0.0","zod":"1"}}',
  ],
  [
    "to one entry with spaces",
    '{ "dependencies": { "cors": "1" } }',
    '{ "dependencies": { "cors": "1", "express-portico": "^1.0.0" } }',
  ],
  [
    "into an empty list without spaces",
    '{"name":"a","dependencies":{}}',
    '{"name":"a","dependencies":{"express-portico":"^1.0.0"}}',
  ],
  [
    "with a list of its own in one line",
    '{"name": "a"}',
    '{"name": "a", "dependencies": {"express-portico": "^1.0.0"}}',
  ],
  [
    "with a list of its own, without spaces",
    '{"name":"a","main":"b"}\n',
    '{"name":"a","main":"b","dependencies":{"express-portico":"^1.0.0"}}\n',
  ],
  [
    "to a list in one line of a file with lines",
    '{\n  "name": "a",\n  "dependencies": {"cors": "1"}\n}\n',
    '{\n  "name": "a",\n  "dependencies": {"cors": "1", "express-portico": "^1.0.0"}\n}\n',
  ],
  [
    "not if it is there",
    '{"devDependencies":{"express-portico":"1"}}',
    '{"devDependencies":{"express-portico":"1"}}',
  ],
])("adds the package %s", (_where, before, after) => {
  expect(withDependency(before, "^1.0.0")).toBe(after);
  JSON.parse(after);
});

it.each(["[]", "{", '{"a": 1 /* no JSON */}'])("leaves what is no package.json: %s", (text) => {
  expect(withDependency(text, "^1.0.0")).toBeUndefined();
});
