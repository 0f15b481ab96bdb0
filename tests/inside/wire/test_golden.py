"""Frames of the Python side and of the Node side are the same bytes: both are held against one file."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import sandbox.inside
from sandbox.engine import node
from sandbox.inside.wire import frames
from sandbox.protocol.messages import EnvironmentSpec

GOLDEN: list[dict[str, Any]] = json.loads(Path(__file__).with_name("golden.json").read_text("utf-8"))
_FRAMES = Path(sandbox.inside.__file__).parent / "node" / "frames.js"
_ASK = """
const { BadFrame, FrameBuffer, MAX_FRAME, encode } = require(process.argv[1]);
const asked = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const encoded = asked.messages.map((message) => encode(message).toString('hex'));
const stream = Buffer.from(asked.stream, 'hex');
const decoded = asked.splits.map((size) => {
  const buffer = new FrameBuffer();
  const found = [];
  for (let at = 0; at < stream.length; at += size) found.push(...buffer.feed(stream.subarray(at, at + size)));
  return found;
});
let refused = null;
try {
  new FrameBuffer().feed(Buffer.from(asked.bad, 'hex'));
} catch (error) {
  refused = [error instanceof BadFrame, error.message];
}
const half = encode({ text: 'a\\ud800\\\\ud800' }).subarray(4).toString();
console.log(JSON.stringify({ encoded, decoded, refused, half, most: MAX_FRAME }));
"""


@pytest.fixture(scope="module")
def answer() -> dict[str, Any]:
    """What the Node side makes of the golden frames."""
    asked = {
        "messages": [one["message"] for one in GOLDEN],
        "stream": "".join(one["frame"] for one in GOLDEN),
        "splits": [1, 3, 7, 4096],
        "bad": (frames.MAX_FRAME + 1).to_bytes(4, "little").hex(),
    }
    command = [node.find(EnvironmentSpec()).executable, "-e", _ASK, str(_FRAMES)]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True, timeout=50)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("one", GOLDEN, ids=str)
def test_python_encodes_to_the_golden_frame(one: dict[str, Any]) -> None:
    assert frames.encode(one["message"]).hex() == one["frame"]


def test_node_encodes_to_the_golden_frames(answer: dict[str, Any]) -> None:
    assert answer["encoded"] == [one["frame"] for one in GOLDEN]


def test_node_decodes_them_however_they_arrive(answer: dict[str, Any]) -> None:
    for decoded in answer["decoded"]:
        assert decoded == [one["message"] for one in GOLDEN]


def test_both_refuse_a_frame_of_the_same_size(answer: dict[str, Any]) -> None:
    assert answer["most"] == frames.MAX_FRAME
    with pytest.raises(frames.BadFrame) as refused:
        list(frames.FrameBuffer().feed((frames.MAX_FRAME + 1).to_bytes(4, "little")))
    assert answer["refused"] == [True, str(refused.value)]


def test_half_a_character_is_replaced_and_what_looks_like_one_is_not(answer: dict[str, Any]) -> None:
    assert json.loads(answer["half"]) == {"text": "a\ufffd\\ud800"}
