// A worker that is Node: the process of one session. Receives requests, runs them, sends their events.
//
// The zygote confines the process and runs this file: see `zygote/become.py`. It speaks as `python/loop.py` does.
'use strict';

const { Channel } = require('./channel.js');
const { Charts } = require('./charts.js');
const { Checkpoints } = require('./checkpoints.js');
const { Display } = require('./display.js');
const globals = require('./globals.js');
const ownEnd = require('./own_end.js');
const { Inspector } = require('./inspector.js');
const { Runner } = require('./run.js');
const { Streams } = require('./streams.js');
const { writeAll } = require('./write.js');

const CONTROL = 3;
const ACK = 4;
const STATE = 5;

const [ready, python] = [JSON.parse(process.argv[2]), process.argv[3]];
const end = process.reallyExit.bind(process);
const channel = new Channel(CONTROL, ACK);
const streams = new Streams(channel);
const display = new Display(channel, streams, new Charts(python));
const inspector = new Inspector();
const runner = new Runner(inspector, (value) => display.show(value));
const how = globals.install(display.display, (namespace, name) => checkpoints.places.imported(namespace, name));
ownEnd.install(end);
const checkpoints = new Checkpoints(STATE, inspector);

/** Answer one request, then call `done`. */
function handle(request, done) {
  try {
    carryOut(request, done);
  } catch (error) {
    fail(error);
  }
}

/** A mistake of this package's, after which it cannot be relied on. */
function fail(error) {
  writeAll(2, Buffer.from(`the worker made a mistake: ${error?.stack}\n`));
  end(70);
}

function carryOut(request, done) {
  const answer = (event) => {
    channel.send(event);
    done();
  };
  switch (request.do) {
    case 'attach':
      Object.assign(process.env, request.env);
      done();
      break;
    case 'run':
      run(request, done);
      break;
    case 'complete':
      answer({ event: 'completions', ...checkpoints.complete(request) });
      break;
    case 'clear_cache':
      runner.cells.clear();
      answer({ event: 'done' });
      break;
    case 'warm_up':
      warmUp(() => answer({ event: 'done' }));
      break;
    case 'restore':
      restore(answer);
      break;
    case 'reseed': // each process has random numbers of its own already
      answer({ event: 'done' });
      break;
    default:
      throw new Error(`the engine asks for ${request.do}`);
  }
}

function run(request, done) {
  if (request.save) checkpoints.begin(request.code);
  display.begin();
  runner.run(request, (event) => {
    display.end();
    streams.settle();
    channel.send({ ...event, number: request.number });
    if (request.save) saveAfter(request, done);
    else done();
  });
}

/** Not from where the cell has ended: whoever interrupts then would interrupt the saving. */
function saveAfter(request, done) {
  setImmediate(() => {
    try {
      const { event, sendRest } = checkpoints.save(request);
      channel.send(event);
      sendRest();
      done();
    } catch (error) {
      fail(error);
    }
  });
}

function restore(answer) {
  checkpoints.restore(how).then((lost) => answer({ event: 'restored', lost })).catch(fail);
}

/** Do what an execution does, while nobody waits. */
function warmUp(done) {
  runner.run({ code: 'undefined', number: 0, language: 'javascript', key: null }, () => {
    runner.cells.clear();
    inspector.post('HeapProfiler.collectGarbage', {});
    done();
  });
}

channel.listen(handle, () => end(0));
channel.send(ready);
