"""Frames of IBKR's WebSocket: what they say about the session; and no bytes whatsoever break the parser."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibkr_tools.portal.push_listener import Heartbeat, PushEvent, SessionFrame, WaitingForSession, parse_frame

FRAMES: list[tuple[Any, PushEvent | None]] = [
    ({"topic": "system", "success": "sampleuser", "isFT": False, "isPaper": False}, Heartbeat()),
    ({"topic": "system", "hb": 1780000000000}, Heartbeat()),
    (
        {"topic": "sts", "args": {"authenticated": True, "competing": False, "connected": True}},
        SessionFrame(authenticated=True, competing=False, connected=True),
    ),
    ({"topic": "sts", "args": {"authenticated": False}}, SessionFrame(authenticated=False)),
    (
        {"topic": "sts", "args": {"authenticated": False, "connected": False}},
        SessionFrame(authenticated=False, connected=False),
    ),
    ({"topic": "sts", "args": {"connected": "false"}}, SessionFrame()),
    ({"topic": "sts", "args": {"competing": True}}, SessionFrame(competing=True)),
    ({"topic": "sts", "args": {"message": ""}}, SessionFrame()),
    ({"topic": "sts", "args": {"authenticated": "false", "competing": 0}}, SessionFrame()),
    ({"topic": "sts", "args": []}, None),
    ({"topic": "sts"}, None),
    ({"message": "waiting for session"}, WaitingForSession()),
    ({"message": "Unsubscribed 5"}, None),
    ({"topic": "act", "args": {"accounts": ["U1234567"]}}, None),
    ({"topic": "ntf", "args": [{"id": "n1"}]}, None),
    ({"topic": "blt", "args": {"id": "b1", "message": "x"}}, None),
    ({"topic": "error", "error": "Topic unknown 'tic'"}, None),
    ({"topic": "tic", "alive": True, "id": "a", "lastAccessed": 1}, None),
    ({"topic": "smd+265598", "31": "198.45"}, None),
    ([], None),
    (None, None),
    ("system", None),
]


@pytest.mark.parametrize(("frame", "event"), FRAMES, ids=[json.dumps(frame)[:50] for frame, _ in FRAMES])
def test_frames(frame: Any, event: PushEvent | None) -> None:
    """Binary through the gateway, text without it."""
    text = json.dumps(frame)
    assert parse_frame(text) == event
    assert parse_frame(text.encode()) == event


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"{", b"[" * 100_000, "", "tic", b"\x03\xe8"])
def test_what_is_not_json_says_nothing(data: bytes | str) -> None:
    assert parse_frame(data) is None


@given(
    st.one_of(
        st.binary(max_size=80),
        st.dictionaries(
            st.sampled_from(["topic", "args", "message"]),
            st.one_of(
                st.sampled_from(["system", "sts", "waiting for session"]),
                st.integers(),
                st.dictionaries(st.sampled_from(["authenticated", "competing"]), st.one_of(st.booleans(), st.text())),
            ),
        ).map(lambda frame: json.dumps(frame).encode()),
    )
)
def test_any_bytes_are_an_event_or_nothing(data: bytes) -> None:
    assert parse_frame(data) is None or isinstance(parse_frame(data), SessionFrame | Heartbeat | WaitingForSession)
