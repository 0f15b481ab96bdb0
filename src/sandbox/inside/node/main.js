// A worker that is Node: the process of one session. Receives requests, runs them, sends their events.
//
// The zygote confines the process and runs this file: see `zygote/become.py`. It speaks as `python/loop.py` does.
'use strict';

const { Channel } = require('./channel.js');
const { Display } = require('./display.js');
const globals = require('./globals.js');
const { Runner } = require('./run.js');
const { Streams } = require('./streams.js');

const CONTROL = 3;
const ACK = 4;
const STATE = 5;

const ready = JSON.parse(process.argv[2]);
const end = process.reallyExit.bind(process);
const channel = new Channel(CONTROL, ACK);
const streams = new Streams(channel);
const display = new Display(channel, streams);
const runner = new Runner((value) => display.show(value));
globals.install(display.display);

/** Answer one request, then call `done`. */
function handle(request, done) {
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
    case 'clear_cache':
      runner.cells.clear();
      answer({ event: 'done' });
      break;
    case 'warm_up':
      warmUp(() => answer({ event: 'done' }));
      break;
    case 'reseed': // each process has random numbers of its own already
      answer({ event: 'done' });
      break;
  }
}

function run(request, done) {
  display.begin();
  runner.run(request, (event) => {
    display.end();
    streams.settle();
    channel.send({ ...event, number: request.number });
    if (request.save) channel.send({ event: 'saved', number: request.number, bytes: 0, lost: [] });
    done();
  });
}

/** Do what an execution does, while nobody waits. */
function warmUp(done) {
  runner.run({ code: 'undefined', number: 0, language: 'javascript', key: null }, () => {
    runner.cells.clear();
    done();
  });
}

channel.listen(handle, () => end(0));
channel.send(ready);
