// What a user of E2B's JavaScript SDK does, step by step. Ends with a line of JSON: what it has seen.
import { Sandbox } from "@e2b/code-interpreter";

const seen = {};
const stdout = [];
const box = await Sandbox.create({ metadata: { from: "javascript" }, envs: { GIVEN: "yes" }, timeoutMs: 60_000 });

const run = await box.runCode("import os\nx = 20\nprint(os.environ['GIVEN'])\nx + 1", { onStdout: (one) => stdout.push(one.line) });
seen.text = run.text;
seen.stdout = stdout.join("");
seen.error = (await box.runCode("1/0")).error.name;
const plot = await box.runCode("import matplotlib.pyplot as plt\nplt.bar(['a'], [2])\nplt.show()");
seen.chart = [plot.results[0].chart.type, plot.results[0].chart.elements[0].value, plot.results[0].png.length > 100];
seen.envs = (await box.runCode("os.environ['ONE']", { envs: { ONE: "1" } })).text;
try {
  await box.runCode("while True: pass", { timeoutMs: 1000 });
} catch (error) {
  seen.timeout = error.name;
}
const context = await box.createCodeContext({ cwd: "/home/user" });
await box.runCode("x = 'own'", { context });
seen.contexts = [(await box.runCode("x")).text, (await box.runCode("x", { context })).text, (await box.listCodeContexts()).length];
await box.restartCodeContext(context);
await box.removeCodeContext(context);

const other = process.env.TYPES === "1" ? "typescript" : "javascript";
const typed = await box.createCodeContext({ language: other, cwd: "/home/user" });
const first = await box.runCode("console.log('js'); require('fs').writeFileSync('shared', 'js'); const x = 41; x + 1", { language: "javascript" });
seen.javascript = [first.text, first.logs.stdout.join(""), typed.language === other];
seen.typescript = (await box.runCode(`let x${other === "typescript" ? ": number" : ""} = 1; x + require('fs').readFileSync('shared', 'utf8')`, { context: typed })).text;
seen.sharedFile = [(await box.runCode("open('shared').read() + str(x)")).text, (await box.runCode("x", { language: "javascript" })).text];
seen.thrown = (await box.runCode("null.x", { language: "javascript" })).error.name;
await box.removeCodeContext(typed);
await box.files.remove("shared");

await box.files.write("a/b.txt", "text");
await box.files.write([{ path: "c", data: "1" }, { path: "d", data: new Blob(["2"]) }]);
await box.files.write("stream", new Blob(["s".repeat(2_000_000)]).stream());
seen.files = [await box.files.read("/home/user/a/b.txt"), await box.files.read("d"), (await box.files.getInfo("stream")).size];
seen.bytes = Array.from(await box.files.read("c", { format: "bytes" }));
seen.listed = (await box.files.list(".")).map((one) => `${one.type} ${one.name}`).sort();
seen.made = [await box.files.makeDir("e"), await box.files.makeDir("e"), await box.files.exists("e")];
await box.files.rename("c", "e/f");
await box.files.remove("d");
seen.gone = await box.files.exists("d");
try {
  await box.files.read("d");
} catch (error) {
  seen.notFound = error.constructor.name;
}
seen.url = await (await fetch(await box.downloadUrl("e/f", { useSignatureExpiration: 60 }))).text();
const changed = [];
const told = new Promise((resolve) => changed.push(resolve));
const watch = await box.files.watchDir("e", (event) => changed[0](event.name));
await box.files.write("e/new", "x");
seen.watched = await told;
await watch.stop();

seen.command = (await box.commands.run("echo $WHO; echo err >&2", { envs: { WHO: "me" } })).stdout;
try {
  await box.commands.run("exit 4");
} catch (error) {
  seen.exit = error.exitCode;
}
seen.host = box.getHost(3000) === `3000-${box.sandboxId}.localhost:${new URL(process.env.E2B_SANDBOX_URL).port}`;
let printed = "";
const pty = await box.pty.create({ cols: 90, rows: 30, onData: (data) => (printed += new TextDecoder().decode(data)) });
await box.pty.resize(pty.pid, { cols: 70, rows: 20 });
await box.pty.sendInput(pty.pid, new TextEncoder().encode("stty size; exit\n"));
seen.pty = [(await pty.wait()).exitCode, printed.includes("20 70")];
let echoed;
const echo = new Promise((done) => (echoed = done));
const handle = await box.commands.run("cat", { background: true, stdin: true, onStdout: echoed });
await box.commands.sendStdin(handle.pid, "in\n");
await echo;
seen.listedCommands = (await box.commands.list()).map((one) => one.pid === handle.pid);
await handle.disconnect();
const again = await box.commands.connect(handle.pid);
await box.commands.sendStdin(handle.pid, "more\n");
await box.commands.closeStdin(handle.pid);
seen.connected = (await again.wait()).stdout;
const sleeper = await box.commands.run("sleep 100", { background: true });
seen.killed = [await sleeper.kill(), await box.commands.kill(sleeper.pid)];

seen.metrics = (await box.getMetrics()).length;
seen.found = (await Sandbox.list({ query: { metadata: { from: "javascript" } } }).nextItems()).length;
const states = { query: { state: ["running", "paused"], metadata: { from: "javascript" } }, limit: 10 };
seen.inStates = (await Sandbox.list(states).nextItems()).length;
await box.setTimeout(100_000);
await box.pause();
seen.paused = [await box.isRunning(), (await box.getInfo()).state];
const back = await Sandbox.connect(box.sandboxId);
seen.resumed = [(await back.runCode("x")).text, (await back.runCode("x", { language: "javascript" })).text];
seen.killedBox = [await back.kill(), await back.isRunning(), await Sandbox.kill(box.sandboxId)];
try {
  await Sandbox.create({ apiKey: "e2b_wrong" });
} catch (error) {
  seen.wrongKey = error.constructor.name;
}
console.log(JSON.stringify(seen));
