import threading

from serin.job.lines import RankedLines


def test_a_line_is_written_whole_and_with_its_rank() -> None:
    out = bytearray()
    lines = RankedLines(out.extend)
    first, second = lines.of(0), lines.of(1)
    first(b"on")
    second(b"other\n\nla")
    first(b"e\ntwo\n")
    lines.end(0)
    lines.end(1)
    assert bytes(out) == b"[1] other\n[1] \n[0] one\n[0] two\n[1] la\n"


def test_lines_of_several_threads_are_not_mixed() -> None:
    out = bytearray()
    lines = RankedLines(out.extend)

    def print_(rank: int) -> None:
        write = lines.of(rank)
        for number in range(500):
            for piece in (b"%d " % number, b"is a line of ", b"%d\n" % rank):
                write(piece)

    threads = [threading.Thread(target=print_, args=(rank,)) for rank in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(out.splitlines()) == sorted(
        b"[%d] %d is a line of %d" % (rank, number, rank) for rank in range(4) for number in range(500)
    )
