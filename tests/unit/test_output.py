from hypothesis import given
from hypothesis import strategies as st

from queuectl.output import Sink, read_end


@given(pieces=st.lists(st.binary(max_size=20), max_size=8), limit=st.integers(2, 64), size=st.integers(1, 80))
def test_the_end_of_a_stream_is_what_was_written_last(tmp_path_factory, pieces, limit, size):
    path = str(tmp_path_factory.mktemp("output") / "1" / "1.1.stdout")
    sink, written, half = Sink(path, limit), b"".join(pieces), limit // 2
    for piece in pieces:
        sink.write(piece)
    sink.close()

    before, end = read_end(path, size)

    # What was dropped lies before the last half of the limit.
    length = min(size, len(written) if len(written) <= 2 * half else half)
    assert (before, end) == (len(written) - length, written[len(written) - length :])


def test_a_stream_to_which_nothing_was_written_has_no_end(tmp_path):
    assert read_end(str(tmp_path / "1.1.stdout"), 100) == (0, b"")
