import io
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from queue import Queue

import pytest
from tqdm import notebook, tqdm
from tqdm.contrib.concurrent import process_map, thread_map

from authoring.kernel import Kernel
from authoring.page import LIVE_WIDGET, error_of
from lessons_src import progress_bars as lesson
from lessons_src.progress_bars import (
    Book,
    Chore,
    Job,
    Paper,
    Played,
    Screen,
    Tick,
    Version,
    Watched,
    bar_at_last_end,
    bar_spans,
    copy_book,
    do_chore,
    fill_bar,
    kept_in_file,
    lines_of_bars,
    make_chores,
    play,
    watch,
    widget_state,
)
from lessons_src.tools.programs import run_programs
from lessons_src.tools.timeline import Recorder, Span, finish_order

LIMIT = 60
EXACT = {"mininterval": 0, "miniters": 1}
COUNT = {"bar_format": "{desc}: {n_fmt}/{total_fmt}", **EXACT}
CHORES = make_chores(0.05)
NAMES = ["quick 0", "quick 2", "quick 3", "quick 4", "slow 1"]


def by_pool(context, method, worker, paper):
    with context.Pool(2) as pool:
        answers = getattr(pool, method)(worker, CHORES)
        return list(tqdm(answers, total=5, file=paper, **EXACT))


@pytest.mark.parametrize(
    ("method", "said"),
    [("map", "no bar yet"), ("imap", "1 of 5"), ("imap_unordered", "4 of 5")],
)
def test_a_bar_over_a_pool_says_what_its_method_lets_it_know(context, method, said):
    watched = watch(partial(by_pool, context, method))
    assert bar_at_last_end(watched.work, watched.ticks) == said
    assert [tick.done for tick in watched.ticks] == [0, 1, 2, 3, 4, 5]


def test_a_bar_over_as_completed_tells_the_truth(context):
    def form(worker, paper):
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            futures = [pool.submit(worker, chore) for chore in CHORES]
            done = tqdm(as_completed(futures), total=5, file=paper, **EXACT)
            return [future.result() for future in done]

    watched = watch(form)
    assert bar_at_last_end(watched.work, watched.ticks) == "4 of 5"


@pytest.mark.parametrize("form", [process_map, thread_map])
def test_the_bars_of_tqdms_own_pools_tell_the_truth(form):
    settings = {"max_workers": 2, "tqdm_class": tqdm, **EXACT}
    watched = watch(lambda worker, paper: form(worker, CHORES, file=paper, **settings))
    assert bar_at_last_end(watched.work, watched.ticks) == "4 of 5"
    assert sorted(each.task for each in watched.work) == NAMES


def test_process_map_counts_chunks_as_its_issue_1791_says():
    paper = Paper()
    settings = {"max_workers": 2, "tqdm_class": tqdm, "file": paper, **EXACT}
    assert process_map(abs, range(20), chunksize=5, **settings) == list(range(20))
    # The fourth may be lost, as the next test shows
    assert [tick.done for tick in paper.ticks] in ([0, 1, 2, 3, 4], [0, 1, 2, 3])


def test_the_last_tick_of_tqdms_own_pools_is_lost_when_it_comes_after_the_close():
    closed = threading.Event()

    class Late(tqdm):
        def update(self, n=1):
            if self.n == self.total - 1:
                assert closed.wait(LIMIT)
            return super().update(n)

        def close(self):
            super().close()
            closed.set()

    paper = Paper()
    settings = {"max_workers": 1, "tqdm_class": Late, "file": paper, **EXACT}
    assert thread_map(abs, range(3), **settings) == [0, 1, 2]
    assert [tick.done for tick in paper.ticks] == [0, 1, 2]


def test_the_slow_chore_ends_after_all_others(tmp_path):
    chores = make_chores(0)
    with Recorder(tmp_path) as recorder, ThreadPoolExecutor(2) as pool:
        names = list(pool.map(partial(do_chore, recorder), chores))
        assert names == [chore.name for chore in chores]
        assert finish_order(recorder.spans)[-1] == "slow 1"


def test_a_chore_that_waits_in_vain_gives_up(tmp_path, monkeypatch):
    monkeypatch.setattr(lesson, "PATIENCE_SECONDS", 0)
    with Recorder(tmp_path) as recorder:
        assert do_chore(recorder, Chore("slow", 0, others_first=4)) == "slow"


def test_paper_notes_each_drawing_and_nothing_else():
    paper = Paper()
    for text in ("\r0/2", "\n", "\r1/2  ", "words", "\r     ", ""):
        paper.write(text)
    assert [version.text for version in paper.versions] == ["0/2", "1/2"]
    assert paper.getvalue() == "\r0/2\n\r1/2  words\r     "


def test_paper_that_nobody_drew_on_has_no_ticks():
    assert Paper().ticks == []


@pytest.mark.parametrize("unit_scale", [False, True])
def test_ticks_are_whole_counts_whatever_the_unit(unit_scale):
    paper = Paper()
    scaled = {"unit": "MB", "unit_scale": unit_scale, "file": paper}
    with tqdm(total=200, **scaled, **EXACT) as bar:
        for size in (30, 80, 90):
            bar.update(size)
    assert [(tick.done, tick.total) for tick in paper.ticks] == [
        (0, 200),
        (30, 200),
        (110, 200),
        (200, 200),
    ]


def test_ticks_are_new_counts_in_the_order_of_their_moments():
    paper = Paper()
    list(tqdm("abc", file=paper, **EXACT))
    assert [(tick.done, tick.total) for tick in paper.ticks] == [
        (0, 3),
        (1, 3),
        (2, 3),
        (3, 3),
    ]
    moments = [tick.moment for tick in paper.ticks]
    assert moments == sorted(moments)


def test_a_bar_without_a_total_has_no_ticks():
    paper = Paper()
    list(tqdm(iter("abc"), file=paper, **EXACT))
    assert paper.ticks == []
    assert paper.versions[-1].text.startswith("3it")


def test_a_bar_shows_a_count_until_the_next_one():
    spans = bar_spans([Tick(1, 0, 2), Tick(4, 1, 2), Tick(6, 2, 2)])
    assert [(each.task, each.start, each.stop) for each in spans] == [
        ("0 of 2", 1, 4),
        ("1 of 2", 4, 6),
    ]
    assert {each.kind for each in spans} == {"showing"}


def test_a_tick_at_the_last_end_comes_too_late():
    work = [Span(7, 1, "slow", 0, 9), Span(8, 1, "quick", 0, 1)]
    assert bar_at_last_end(work, [Tick(9, 2, 2)]) == "no bar yet"
    assert bar_at_last_end(work, []) == "no bar yet"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("one\ntwo", ["one", "two"]),
        ("long\rab", ["abng"]),
        ("\n\ndown\x1b[A\x1b[Aup", ["    up", "", "down"]),
        ("\x1b[Atop", ["top"]),
        ("words\r     \r", []),
    ],
)
def test_a_terminal_is_played(text, lines):
    assert play(text).lines == lines


@pytest.mark.parametrize(
    ("leave", "lines"),
    [
        (True, ["inn: 3/3", "inn: 3/3", "out: 2/2"]),
        (False, ["out: 2/2"]),
    ],
)
def test_an_inner_bar_is_left_or_wiped(leave, lines):
    paper = Paper()
    for _ in tqdm(range(2), desc="out", file=paper, **COUNT):
        for _ in tqdm(range(3), desc="inn", leave=leave, file=paper, **COUNT):
            pass
    assert play(paper.getvalue()).lines == lines


def screen_of(manager, patience):
    return Screen(manager.Barrier(2), manager.list(), patience)


def drawn_by_two(context, manager, patience, **settings):
    screen = screen_of(manager, patience)
    jobs = [Job("wash", 1, screen), Job("dry", 2, screen)]
    with ProcessPoolExecutor(2, mp_context=context, **settings) as pool:
        assert list(pool.map(fill_bar, jobs, timeout=LIMIT)) == ["wash", "dry"]
    return lines_of_bars("".join(screen.written))


def take_own_lock():
    tqdm.set_lock(threading.RLock())


def test_two_bars_without_a_common_lock_draw_on_a_strange_line(context):
    with context.Manager() as manager:
        drawn = drawn_by_two(context, manager, LIMIT, initializer=take_own_lock)
    assert drawn == {"dry": [3], "wash": [3]}


def test_two_bars_with_a_common_lock_keep_to_their_lines(context):
    settings = {"initializer": tqdm.set_lock, "initargs": (context.RLock(),)}
    with context.Manager() as manager:
        drawn = drawn_by_two(context, manager, 0.1, **settings)
    assert drawn == {"dry": [2], "wash": [1]}


def test_a_screen_writes_nothing_for_nothing_and_goes_on_alone():
    screen = Screen(threading.Barrier(2), [], patience=0.01)
    for text in ("", "one", "two"):
        screen.write(text)
    screen.flush()
    assert screen.written == ["one", "two"]


def test_a_book_is_reported_page_by_page(monkeypatch):
    monkeypatch.setattr(lesson, "PAGE_SECONDS", 0)
    queue = Queue()
    assert copy_book(queue, Book("Emma", 3)).task == "Emma"
    assert [queue.get_nowait() for _ in range(queue.qsize())] == [1, 1, 1]


def test_books_are_copied_by_workers_under_each_start_method(context):
    books = [Book("Emma", 3), Book("Dracula", 2)]
    with context.Manager() as manager, context.Pool(2) as pool:
        queue = manager.Queue()
        copied = pool.map_async(partial(copy_book, queue), books).get(LIMIT)
        assert queue.qsize() == 5
    assert [each.task for each in copied] == ["Emma", "Dracula"]


def finished(bar, *steps):
    for step in steps:
        bar.update(step)
    bar.close()
    return bar


@pytest.fixture
def widget():
    return partial(notebook.tqdm, display=False, **EXACT)


def parts(bar):
    _, widget, _ = bar.container.children
    return widget.value, widget.max, widget.bar_style


def test_the_widget_of_a_bar_that_ran_to_its_end_is_full_and_green(widget):
    bar = widget("abc", desc="letters")
    assert list(bar) == ["a", "b", "c"]
    assert parts(bar) == (3, 3, "success")
    assert widget_state(bar) == "n =  3; shown 3 of 3, success, letters: 100%"


def test_the_widget_of_a_bar_that_stopped_early_is_red(widget):
    bar = finished(widget(total=10), 3)
    assert parts(bar) == (3, 10, "danger")
    assert widget_state(bar).endswith("danger, 30%")


def test_the_widget_of_a_loop_that_raised_is_red(widget):
    bar = widget("abc")
    with pytest.raises(ValueError, match="spoilt"):
        for letter in bar:
            raise ValueError(f"{letter} is spoilt")
    assert parts(bar)[2] == "danger"


def test_the_widget_of_a_bar_that_ran_over_hides_it(widget):
    bar = finished(widget(total=10), *range(10))
    assert parts(bar) == (10, 10, "success")
    assert widget_state(bar) == "n = 45; shown 10 of 10, success, no percentage"


def test_the_widget_over_a_pool_is_full_and_green(context, widget):
    with context.Pool(2) as pool:
        bar = widget(pool.imap_unordered(abs, range(20), 5), total=20)
        assert sorted(bar) == list(range(20))
    assert parts(bar) == (20, 20, "success")


def test_a_widget_that_is_not_left_is_hidden(widget):
    bar = widget("abc", leave=False)
    list(bar)
    assert bar.container.layout.visibility == "hidden"


def test_steps_and_totals_that_are_wrong_raise_nothing_and_lose_the_percentage():
    bar = finished(tqdm(total=10, file=Paper()), *range(10))
    assert bar.n == 45
    assert tqdm.format_meter(45, 10, 1) == "45it [00:01, 45.00it/s]"
    assert tqdm.format_meter(110, 100, 1) == "110it [00:01, 110.00it/s]"


def test_words_beside_a_bar_are_clean_only_through_tqdm():
    shown = {}
    for say in (print, tqdm.write):
        with redirect_stdout(io.StringIO()) as terminal:
            for turn in tqdm(range(3), desc="wash", file=terminal, **COUNT):
                if turn == 1:
                    say("a stain")
        shown[say] = play(terminal.getvalue()).lines
    assert shown[print] == ["wash: 1/3a stain", "wash: 3/3"]
    assert shown[tqdm.write] == ["a stain", "wash: 3/3"]


def test_the_programs_of_the_lesson_say_what_it_shows():
    names = ("progress_bars_copy", "progress_bars_widget", "progress_bars_bare")
    outcomes = run_programs(*names, limit=LIMIT)
    assert {outcome.exit_code for outcome in outcomes.values()} == {0}
    said = {name: outcomes[name].output.splitlines() for name in names}
    assert said == {
        "progress_bars_copy": ["Pool: 0 of 4", "ThreadPool: 4 of 4"],
        "progress_bars_widget": ["rooms: 0/3", "rooms: 0/3", "all clean"],
        "progress_bars_bare": [
            "tqdm: 3 rooms",
            "tqdm_notebook: ImportError: IProgress not found",
        ],
    }


CELL = "from {} import tqdm\nfor _ in tqdm(range(9)): pass"


def test_a_kernel_keeps_of_each_bar_what_the_lesson_says(tmp_path):
    kernel = Kernel(Path(tmp_path))
    try:
        text, widget, auto, told = (
            kernel.run(source, LIMIT)
            for source in (
                CELL.format("tqdm"),
                CELL.format("tqdm.notebook"),
                CELL.format("tqdm.auto"),
                "from lessons_src.progress_bars import kept_in_file\n"
                "import tqdm.notebook\n"
                "kept_in_file(tqdm.tqdm), kept_in_file(tqdm.notebook.tqdm)",
            )
        )
    finally:
        kernel.kill()
    assert [error_of(each) for each in (text, widget, auto, told)] == [""] * 4
    assert text[0].name == "stderr"
    assert text[0].text.startswith("100%")
    for outputs in (widget, auto):
        assert outputs[0].data["text/plain"].strip().startswith("0%")
        assert LIVE_WIDGET in outputs[0].data
    assert told[0].data["text/plain"] == "('stderr 100%', 'display 0%')"


def test_a_stream_is_told_from_a_display():
    assert kept_in_file(tqdm) == "stderr 100%"


@pytest.mark.parametrize(
    "record",
    [
        Chore("slow", 1, 4),
        Version(1.0, "1/2"),
        Tick(1.0, 1, 2),
        Watched([], [], []),
        Played([""], []),
        Book("Emma", 30),
        Job("wash", 1, None),
        do_chore,
        fill_bar,
        copy_book,
    ],
)
def test_records_and_workers_survive_the_post(record):
    assert pickle.loads(pickle.dumps(record)) == record
