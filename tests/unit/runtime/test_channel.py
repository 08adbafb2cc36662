"""Messages between the processes of a pod, when one of them ends."""

import os

import pytest

from aiapi_runtime.runtime.channel import Channel, ClosedError


def test_what_a_process_has_sent_arrives_although_it_ends_with_unread_messages():
    ours, theirs = Channel.pair()
    ours.send({"command": "drain"})
    file = os.open(os.devnull, os.O_RDONLY)
    theirs.send({"event": "idle"}, [file])
    os.close(file)
    theirs.close()
    message, files = ours.receive()
    assert message == {"event": "idle"}
    assert len(files) == 1
    os.close(files[0])
    with pytest.raises(ClosedError):
        ours.receive()
    ours.close()
