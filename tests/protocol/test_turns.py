"""A turn: any number of events, exactly one last event, then silence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.errors import ProtocolError
from sandbox.protocol import messages as m
from sandbox.protocol.turns import Turn

BEFORE: list[m.AnyEvent] = [m.Output("stdout", "x"), m.Data(b"x"), m.CommandStarted(1), m.FilesChanged("a", "created")]
LAST: list[m.AnyEvent] = [m.Done(), m.Failed("usage", "no"), m.Completions((), 0), m.CommandFinished(0, 0.1)]


@given(st.lists(st.sampled_from(BEFORE)), st.sampled_from(LAST))
def test_a_whole_answer_is_accepted_event_by_event(before: list[m.AnyEvent], last: m.AnyEvent) -> None:
    turn = Turn()
    for event in (*before, last):
        assert turn.accept(event) is event
    turn.finish()


@given(st.lists(st.sampled_from(BEFORE)))
def test_an_answer_without_a_last_event_is_refused(events: list[m.AnyEvent]) -> None:
    turn = Turn()
    for event in events:
        turn.accept(event)
    with pytest.raises(ProtocolError, match="without its last event"):
        turn.finish()


@given(st.sampled_from(LAST), st.sampled_from([*BEFORE, *LAST]))
def test_nothing_may_follow_the_last_event(last: m.AnyEvent, after: m.AnyEvent) -> None:
    turn = Turn()
    turn.accept(last)
    with pytest.raises(ProtocolError, match=type(after).__name__):
        turn.accept(after)
    turn.finish()
