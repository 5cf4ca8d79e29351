import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.pool import ThreadPool
from queue import Queue

import pytest
from tqdm import tqdm, trange
from tqdm.contrib.concurrent import process_map, thread_map

from lessons_src.checks import progress_bars as check
from lessons_src.progress_bars import (
    Book,
    Paper,
    Tick,
    Watched,
    copy_book,
    make_chores,
    watch,
)
from lessons_src.tools.timeline import Span

LIMIT = 60
EXACT = {"mininterval": 0, "miniters": 1}
SIZES = (30, 80, 20, 50, 20)


def refused(verdict, why):
    return not verdict.right and why in verdict.why


def moved(*steps, total=200, **settings):
    paper = Paper()
    bar = tqdm(total=total, file=paper, **EXACT | settings)
    for step in steps:
        bar.update(step)
    bar.close()
    return bar, paper


@pytest.mark.parametrize("steps", [SIZES, SIZES[::-1], sorted(SIZES), (0, *SIZES)])
def test_exercise_1_accepts_a_step_for_each_file_in_any_order(steps):
    assert check.exercise_1(*moved(*steps)).right


def test_exercise_1_accepts_a_bar_that_is_not_closed_yet():
    paper = Paper()
    bar = tqdm(total=200, file=paper, **EXACT)
    for size in SIZES:
        bar.update(size)
    assert check.exercise_1(bar, paper).right
    bar.close()


def test_exercise_1_accepts_a_loop_over_the_dict_with_a_description():
    paper = Paper()
    sizes = dict(zip("abcde", SIZES, strict=True))
    with tqdm(total=sum(sizes.values()), file=paper, unit="MB", **EXACT) as bar:
        for name, size in sizes.items():
            bar.set_description(name)
            bar.update(size)
    assert check.exercise_1(bar, paper).right


def test_exercise_1_accepts_a_bar_that_scales_its_units():
    assert check.exercise_1(*moved(*SIZES, unit="MB", unit_scale=True)).right


def on_one_paper(*attempts):
    paper = Paper()
    for steps, total in attempts:
        with tqdm(total=total, file=paper, **EXACT) as bar:
            for step in steps:
                bar.update(step)
    return bar, paper


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((None, Paper()), "no bar yet"),
        (on_one_paper(([1] * 5, 5), (SIZES, 200)), "once for each file"),
        (moved(*[1] * 5, total=5), "total is 5"),
        (moved(*SIZES, total=None), "total is None"),
        (moved(30, 110, 130, 180, 200), "counted 650 of 200"),
        (moved(*[1] * 5), "stands at 5 of 200"),
        (moved(*SIZES[:-1]), "stands at 180 of 200"),
        (moved(200), "once for each file"),
        (moved(*SIZES, mininterval=60), "once for each file"),
        (moved(*[1] * 200), "once for each file"),
        ((moved(*SIZES)[0], Paper()), "No bar was drawn"),
        ((moved(*SIZES)[0], "paper"), "should be a Paper"),
        ((5, Paper()), "cannot use your answer"),
    ],
)
def test_exercise_1_refuses(answer, why):
    assert refused(check.exercise_1(*answer), why)


CHORES = make_chores(0.05)


def pooled(context, method, worker, paper):
    with context.Pool(2) as pool:
        answers = getattr(pool, method)(worker, CHORES)
        return list(tqdm(answers, total=5, file=paper, **EXACT))


def test_exercise_2_accepts_imap_unordered(context):
    assert check.exercise_2(watch(partial(pooled, context, "imap_unordered"))).right


@pytest.mark.parametrize("form", [process_map, thread_map])
def test_exercise_2_accepts_the_forms_of_tqdm(form):
    settings = {"max_workers": 2, "tqdm_class": tqdm, **EXACT}
    watched = watch(lambda worker, paper: form(worker, CHORES, file=paper, **settings))
    assert check.exercise_2(watched).right


def test_exercise_2_accepts_a_form_of_tqdm_that_loses_its_last_tick():
    closed = threading.Event()

    class Late(tqdm):
        def update(self, n=1):
            if self.n == self.total - 1:
                assert closed.wait(LIMIT)
            return super().update(n)

        def close(self):
            super().close()
            closed.set()

    settings = {"max_workers": 2, "tqdm_class": Late, **EXACT}
    form = partial(thread_map, **settings)
    watched = watch(lambda worker, paper: form(worker, CHORES, file=paper))
    assert watched.ticks[-1].done == 4
    assert check.exercise_2(watched).right


def test_exercise_2_accepts_callbacks_that_move_the_bar(context):
    def form(worker, paper):
        with context.Pool(2) as pool, tqdm(total=5, file=paper, **EXACT) as bar:
            for chore in CHORES:
                move = lambda _: bar.update()  # noqa: E731
                pool.apply_async(worker, (chore,), callback=move)
            pool.close()
            pool.join()

    assert check.exercise_2(watch(form)).right


@pytest.mark.parametrize(
    ("method", "why"), [("map", "said 0 of 5"), ("imap", "said 1 of 5")]
)
def test_exercise_2_refuses_a_bar_that_is_late(context, method, why):
    assert refused(check.exercise_2(watch(partial(pooled, context, method))), why)


def test_exercise_2_refuses_a_bar_over_the_tasks(context):
    def form(worker, paper):
        with context.Pool(2) as pool:
            return pool.map(worker, tqdm(CHORES, file=paper, **EXACT))

    assert refused(check.exercise_2(watch(form)), "said 5 of 5")


WORK = [
    Span(8, 1, "quick 0", 0, 1),
    Span(7, 1, "slow 1", 0, 9),
    *(Span(8, 1, f"quick {n}", n, n + 1) for n in (2, 3, 4)),
]
ON_ONE = [each._replace(process=7) for each in WORK]
SLOW_FIRST = [each._replace(stop=each.stop % 9) for each in WORK]


def ticks(*counts, last=10):
    early = [Tick(1 + count, count, 5) for count in counts]
    return [*early, Tick(last, 5, 5)]


def test_exercise_2_accepts_ticks_as_they_should_be():
    assert check.exercise_2(Watched(WORK, [], ticks(0, 1, 2, 3, 4))).right


@pytest.mark.parametrize(
    ("watched", "why"),
    [
        (None, "cannot use your answer"),
        (Watched([], [], []), "Not all five"),
        (Watched(WORK[:-1], [], ticks(0, 4)), "Not all five"),
        (Watched([*WORK, WORK[0]], [], []), "no count"),
        (Watched(WORK, [], []), "no count"),
        (Watched(ON_ONE, [], ticks(0, 1, 2, 3, 4)), "One worker"),
        (Watched(WORK, [], ticks()), "said 0 of 5"),
        (Watched(WORK, [], ticks(0, 1)), "said 1 of 5"),
        (Watched(WORK, [], ticks(0, 2)), "said 2 of 5"),
        (Watched(WORK, [], ticks(0, last=0.5)), "said 5 of 5"),
        (Watched(WORK, [], [Tick(n, n, 10) for n in range(5)]), "total is 10"),
        (Watched(SLOW_FIRST, [], ticks(0, 1, 2, 3, 4)), "slow chore was not the last"),
    ],
)
def test_exercise_2_refuses(watched, why):
    assert refused(check.exercise_2(watched), why)


@pytest.mark.parametrize(
    ("counts", "hint"),
    [((), "at the end"), ((0, 1), "order of the chores"), ((0, 3), "**EXACT")],
)
def test_exercise_2_hints_at_the_form_that_was_taken(counts, hint):
    assert hint in check.exercise_2(Watched(WORK, [], ticks(*counts))).hint


BOOKS = [Book("Emma", 30), Book("Dracula", 20)]


def counted(context, early):
    paper = Paper()
    with context.Manager() as manager, context.Pool(2) as pool:
        queue = manager.Queue()
        ticket = pool.map_async(partial(copy_book, queue), BOOKS)
        if not early:
            ticket.wait(LIMIT)
        for _ in trange(50, file=paper, **EXACT):
            queue.get(timeout=LIMIT)
        return ticket.get(LIMIT), paper


def test_exercise_3_accepts_pages_counted_while_they_are_copied(context):
    assert check.exercise_3(*counted(context, early=True)).right


def test_exercise_3_accepts_worker_threads():
    paper, queue = Paper(), Queue()
    with ThreadPoolExecutor(2) as pool:
        copied = pool.map(partial(copy_book, queue), BOOKS)
        for _ in trange(50, file=paper, **EXACT):
            queue.get(timeout=LIMIT)
        assert check.exercise_3(copied, paper).right


def test_exercise_3_refuses_a_bar_that_does_not_look_at_the_queue():
    paper = Paper()
    with ThreadPoolExecutor(2) as pool:
        copied = pool.map(partial(copy_book, Queue()), BOOKS)
        list(trange(50, file=paper, **EXACT))
        verdict = check.exercise_3(copied, paper)
    assert refused(verdict, "full before the books were copied")


def test_exercise_3_refuses_the_ticket_in_place_of_the_answers():
    with ThreadPool(1) as pool:
        ticket = pool.map_async(abs, [1])
        assert refused(check.exercise_3(ticket, paper_of()), "copied is a ticket")


def test_exercise_3_refuses_books_that_the_notebook_copied_itself():
    copied = [copy_book(Queue(), book) for book in BOOKS]
    assert refused(check.exercise_3(copied, paper_of()), "copied a book itself")


def test_exercise_3_refuses_pages_counted_afterwards(context):
    verdict = check.exercise_3(*counted(context, early=False))
    assert refused(verdict, "hardly moved")


COPIED = [Span(7, 1, "Emma", 0, 30), Span(8, 1, "Dracula", 0, 20)]


def paper_of(done=50, total=50, late=0):
    paper = Paper()
    for count in range(done + 1):
        paper.write(f"\r{count}/{total}")
    for place, version in enumerate(paper.versions):
        paper.versions[place] = version._replace(moment=late + place / 2)
    return paper


@pytest.mark.parametrize("copied", [COPIED, COPIED[::-1], iter(COPIED)])
def test_exercise_3_accepts_answers_in_any_order(copied):
    assert check.exercise_3(copied, paper_of()).right


@pytest.mark.parametrize(
    ("copied", "paper", "why"),
    [
        (None, Paper(), "no answer yet"),
        ([], paper_of(), "answers for Emma and for Dracula"),
        (COPIED[:1], paper_of(), "answers for Emma and for Dracula"),
        ([30, 20], paper_of(), "answers for Emma and for Dracula"),
        (BOOKS, paper_of(), "answers for Emma and for Dracula"),
        (COPIED, Paper(), "No bar was drawn"),
        (COPIED, None, "should be a Paper"),
        (COPIED, paper_of(2, 2), "ends at 2 of 2"),
        (COPIED, paper_of(49), "ends at 49 of 50"),
        (COPIED, paper_of(50, 100), "ends at 50 of 100"),
        (COPIED, paper_of(late=30), "hardly moved"),
    ],
)
def test_exercise_3_refuses(copied, paper, why):
    assert refused(check.exercise_3(copied, paper), why)


def test_exercise_3_accepts_a_pool_of_one_worker_too():
    one = [each._replace(process=9) for each in COPIED]
    assert check.exercise_3(one, paper_of()).right


def test_the_check_knows_the_chores_and_the_sizes_of_the_lesson():
    with ThreadPoolExecutor(1) as pool:
        names = list(pool.map(lambda chore: chore.name, make_chores(0)))
    assert names == check.CHORES
    assert (check.SLOW, sum(check.SIZES)) == ("slow 1", 200)
