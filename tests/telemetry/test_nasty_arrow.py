"""Arrow bytes from outside cannot crash us, eat our memory, or pass as rows."""

import os
import random
import struct

import pyarrow as pa
import pytest

from tests.telemetry.test_decode import arrow, times
from watchkeeper.telemetry.arrow import OversizedArrow, UnreadableArrow, open_arrow, read_arrow
from watchkeeper.wire import Stream


def compressed(rows=1000, codec="zstd"):
    table = pa.table({"id": [f"row {n}" for n in range(rows)], "timestamp": times(rows), "f.x": pa.array([0.0] * rows)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def test_an_honest_body_says_its_rows_and_size_without_being_read():
    head = open_arrow(compressed())

    assert head.rows == 1000
    assert 16_000 < head.bytes < 60_000
    assert read_arrow(Stream.PREDICTIONS, compressed()).num_rows == 1000


@pytest.mark.parametrize("body", [b"", b"x", b"{}", b"PAR1" * 9, b"ARROW1\0\0" * 9, b"\xff\xff\xff\xff\xff\xff\xff\x7f", b"\0" * 64, os.urandom(200)])
def test_bytes_that_are_not_arrow_are_refused_with_a_sentence(body):
    with pytest.raises(UnreadableArrow, match=r"not an Arrow IPC stream: .+ Send "):
        open_arrow(body)


def test_a_body_cut_off_inside_is_refused():
    body = arrow(id=["a", "b"], timestamp=times(2))

    for length in range(1, len(body) - 8):  # the end mark itself is optional
        try:
            assert read_arrow(Stream.PREDICTIONS, body[:length]).num_rows in (0, 2)
        except UnreadableArrow:
            continue


def test_a_buffer_that_claims_to_unpack_to_terabytes_is_refused_before_it_is_unpacked():
    body = compressed()
    honest = struct.pack("<q", 8000)  # the doubles

    for claim in (1 << 40, 1 << 62):
        with pytest.raises(OversizedArrow, match="at most"):
            open_arrow(body.replace(honest, struct.pack("<q", claim)))


def test_a_bomb_of_honest_size_is_refused():
    with pytest.raises(OversizedArrow):
        open_arrow(compressed(20_000), max_bytes=100_000)
    with pytest.raises(OversizedArrow, match="at most 10 are"):
        open_arrow(compressed(), max_rows=10)


def test_a_long_string_shared_by_many_rows_is_refused():
    shared = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int8()), pa.array(["x" * 1_000_000]))
    body = arrow(id=pa.array(range(5000)), timestamp=times(5000), **{"f.x": shared})

    with pytest.raises(OversizedArrow):
        read_arrow(Stream.PREDICTIONS, body)


def test_offsets_that_point_outside_are_refused():
    body = arrow(id=["aaaa", "bbbb"], timestamp=times(2))
    broken = body.replace(struct.pack("<3i", 0, 4, 8), struct.pack("<3i", 0, 4, 1 << 30))
    assert broken != body

    with pytest.raises(UnreadableArrow, match="damaged"):
        read_arrow(Stream.PREDICTIONS, broken)


def test_a_time_zone_that_is_not_utf8_is_refused():
    body = arrow(id=["a"], timestamp=times(1))
    broken = body.replace(b"UTC", b"UT\xff")
    assert broken != body

    with pytest.raises(UnreadableArrow):
        open_arrow(broken)


@pytest.mark.parametrize(
    "make",
    [
        compressed,
        lambda: compressed(codec="lz4"),
        lambda: arrow(id=["a", "é"], timestamp=times(2), **{"s.c": pa.array(["x", "y"]).dictionary_encode(), "f.v": [[1.0], None]}),
    ],
)
def test_random_damage_gives_rows_or_a_sentence(make):
    body, chance = make(), random.Random(7)  # noqa: S311 - a seeded test

    for _ in range(400):
        damaged = bytearray(body)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
        try:
            read_arrow(Stream.PREDICTIONS, bytes(damaged), max_bytes=50_000_000)
        except UnreadableArrow as problem:
            assert str(problem).endswith(".")  # noqa: PT017 - either outcome is right
