// OpenAI's client for Node against the gateway, unchanged. OPENAI_BASE_URL and OPENAI_API_KEY say where that is; TestClients sets them,
// and serves the models (vendor_test.go).
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const client = new OpenAI();

const ask = (model, content, more = {}) => ({ model, messages: [{ role: "user", content }], ...more });

const weather = {
  type: "function",
  function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
};

test("chat", async () => {
  const { data, response } = await client.chat.completions
    .create(ask("vendor/test-chat", "one two three", { temperature: 0.5, max_completion_tokens: 50, stop: ["!"], user: "u", metadata: { a: "b" } }))
    .withResponse();
  assert.equal(data.choices[0].message.content, "You said: one two three");
  assert.equal(data.choices[0].finish_reason, "stop");
  assert.equal(data.usage.total_tokens, 8);
  assert.match(response.headers.get("x-tenuto-run"), /^[0-9a-f-]{36}$/);
  assert.ok(data._request_id);
});

test("stream", async () => {
  for (const include_usage of [true, false]) {
    const stream = await client.chat.completions.create(ask("vendor/test-chat", "one two three", { stream: true, stream_options: { include_usage } }));
    let text = "", usage, pieces = 0;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
      pieces++;
    }
    assert.equal(text, "You said: one two three");
    assert.equal(usage?.total_tokens, include_usage ? 8 : undefined);
    assert.ok(pieces >= 6);
  }
});

test("the stream helper", async () => {
  const stream = client.chat.completions.stream(ask("local/extractive", "Question: what is alpha?\n\nAlpha is a letter."));
  const final = await stream.finalChatCompletion();
  assert.equal(final.choices[0].finish_reason, "stop");
  assert.ok(final.choices[0].message.content);
});

test("tools", async () => {
  for (const model of ["vendor/test-chat", "claude/claude-echo"]) {
    const first = ask(model, "What is the weather in Oslo?", { tools: [weather], max_tokens: 50 });
    const answer = await client.chat.completions.create(first);
    const [call] = answer.choices[0].message.tool_calls;
    assert.equal(call.function.name, "weather");
    assert.deepEqual(JSON.parse(call.function.arguments), { city: "Oslo" });
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    const second = { ...first, messages: [...first.messages, answer.choices[0].message, { role: "tool", tool_call_id: call.id, content: "sunny" }] };
    assert.match((await client.chat.completions.create(second)).choices[0].message.content, /sunny$/);
  }
});

test("tools that the client runs", async () => {
  let asked;
  const runner = client.chat.completions.runTools(ask("vendor/test-chat", "What is the weather in Oslo?", {
    stream: true,
    tools: [{ ...weather, function: { ...weather.function, parse: JSON.parse, function: ({ city }) => { asked = city; return "sunny"; } } }],
  }));
  assert.equal(await runner.finalContent(), "The tool said: sunny");
  assert.equal(asked, "Oslo");
});

test("structured output", async () => {
  const schema = {
    type: "object", properties: { name: { type: "string" }, born: { type: "integer" } }, required: ["name", "born"], additionalProperties: false,
  };
  const answer = await client.chat.completions.parse(
    ask("vendor/strict", "Who wrote the first program?", { response_format: { type: "json_schema", json_schema: { name: "person", strict: true, schema } } }));
  assert.deepEqual(JSON.parse(answer.choices[0].message.content), { name: "Ada", born: 1815 });
});

test("several answers", async () => {
  const answer = await client.chat.completions.create(ask("vendor/several", "Count.", { n: 2, logprobs: true, seed: 7 }));
  assert.deepEqual(answer.choices.map((c) => c.message.content), ["one", "two"]);
  assert.equal(answer.choices[0].logprobs.content[0].logprob, -0.5);
});

test("embeddings, packed and not", async () => {
  for (const model of ["vendor/test-embed", "local/lexical"]) {
    const packed = await client.embeddings.create({ model, input: ["one two", "three"], dimensions: 8 }); // the client asks for base64
    const plain = await client.embeddings.create({ model, input: "one two", dimensions: 8, encoding_format: "float" });
    assert.equal(packed.data.length, 2);
    assert.equal(plain.data[0].embedding.length, 8);
    packed.data[0].embedding.forEach((x, i) => assert.ok(Math.abs(x - plain.data[0].embedding[i]) < 1e-6));
    assert.ok(plain.usage.prompt_tokens > 0);
  }
});

test("models", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.deepEqual(names, ["claude/claude-echo", "local/extractive", "local/lexical", "vendor/test-chat"]);
  assert.equal((await client.models.retrieve("vendor/test-chat")).owned_by, "vendor");
});

test("errors", async () => {
  const failing = (request, options) => client.chat.completions.create(request, options).then(() => assert.fail("no error"), (error) => error);
  let error = await failing(ask("nobody/gone", "q"));
  assert.ok(error instanceof OpenAI.NotFoundError);
  assert.equal(error.code, "model_not_found");
  assert.ok(error.requestID);
  error = await failing(ask("local/extractive", "q", { logprobs: true }));
  assert.ok(error instanceof OpenAI.BadRequestError);
  assert.equal(error.param, "logprobs");
  error = await failing(ask("vendor/node-poor", "q"));
  assert.ok(error instanceof OpenAI.RateLimitError);
  assert.equal(error.type, "insufficient_quota");
  error = await new OpenAI({ apiKey: "wrong" }).models.list().then(() => assert.fail("no error"), (error) => error);
  assert.ok(error instanceof OpenAI.AuthenticationError);
});

test("errors in the middle of a stream", async () => {
  for (const [model, words] of [["vendor/node-cut", /broke off/], ["vendor/node-failing", /gave up/]]) {
    let text = "";
    await assert.rejects(async () => {
      for await (const chunk of await client.chat.completions.create(ask(model, "q", { stream: true }))) text += chunk.choices[0].delta.content;
    }, words);
    assert.equal(text, "Hello");
  }
});

test("the client's own retries", async () => {
  const answer = await client.chat.completions.create(ask("vendor/node-down-once", "one"));
  assert.equal(answer.choices[0].message.content, "You said: one");
});

test("idempotency", async () => {
  const options = { headers: { "Idempotency-Key": `node-${process.pid}-${Date.now()}` } };
  const first = await client.chat.completions.create(ask("vendor/test-chat", "same"), options);
  const { data, response } = await client.chat.completions.create(ask("vendor/test-chat", "same"), options).withResponse();
  assert.equal(data.id, first.id);
  assert.equal(response.headers.get("x-tenuto-replayed"), "true");
  await assert.rejects(client.chat.completions.create(ask("vendor/test-chat", "other"), options), OpenAI.ConflictError);
});
