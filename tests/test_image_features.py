import os
import pickle
import re
import sys
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest

from authoring import train_tiles
from authoring.house import ROOT
from lessons_src import image_features as lesson
from lessons_src import image_features_devices as pretend
from lessons_src import image_features_photos as photos
from lessons_src.image_features import (
    NETWORK,
    Answer,
    Extractor,
    count_networks,
    count_threads,
    extract,
    extract_one,
    load_and_extract,
    merge,
    own_memory,
    plain_bar,
    read_image,
    run_fork_program,
    spans_of,
    start_worker,
    warm_seconds,
    workers_that_fit,
)
from lessons_src.image_features_photos import PHOTOS, TILE, is_held_out, photo_of
from lessons_src.tools.attempts import attempt
from lessons_src.tools.recorded import RECORDED_LINE, transcript
from lessons_src.tools.recovery import Failure, WorkerDied, processes, run
from lessons_src.tools.scaling import bare_seconds
from lessons_src.tools.spans import Span, clock

LIMIT = 60
LESSON = ROOT / "notebooks" / "12_image_features.ipynb"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    # A path that OpenCV alone cannot open everywhere
    return photos.write_tiles(tmp_path_factory.mktemp("Bilder ä 画"))


@pytest.fixture(scope="module")
def extractor():
    return Extractor()


@pytest.fixture(scope="module")
def batches(files):
    # Eight batches of eight, each from another place
    return [files[start : start + 8] for start in range(0, 624, 78)]


@pytest.fixture(scope="module")
def reference(batches, extractor):
    return np.concatenate([extractor.extract(batch).features for batch in batches])


def test_there_are_files_enough_and_each_is_a_tile(files):
    assert len(files) == len(set(files)) == 624
    assert {read_image(file).shape for file in files[::7]} == {(TILE, TILE, 3)}
    assert [sum(photo_of(file) == name for file in files) for name in PHOTOS] == [
        48
    ] * 13


def test_a_file_holds_the_very_pixels_of_its_photograph(files):
    tiles = list(photos.tiles(photos.read_photo("retina")))
    mine = [file for file in files if photo_of(file) == "retina"]
    assert all(map(np.array_equal, tiles, map(read_image, mine)))


def test_no_tile_that_is_held_out_shares_a_pixel_with_one_that_was_seen():
    for name in PHOTOS:
        shape = photos.read_photo(name).shape
        numbered = np.arange(shape[0] * shape[1]).reshape(shape[:2])
        cut = list(photos.tiles(numbered))
        seen, held_out = np.concatenate(cut[:36]), np.concatenate(cut[36:])
        assert all(tile.shape == (TILE, TILE) for tile in cut)
        assert np.intersect1d(seen, held_out).size == 0
        # What the training script may draw from ends where the held-out part begins
        left, right = photos.regions(numbered)
        assert np.isin(held_out, right).all()
        assert np.isin(seen, left).all()


def test_each_photograph_is_shipped_and_its_source_is_told_in_the_lesson():
    prose = "\n".join(cell.source for cell in nbformat.read(LESSON, 4).cells)
    credit = next(line for line in prose.splitlines() if "Public domain:" in line)
    for name, photo in PHOTOS.items():
        assert photos.read_photo(name).size
        source = photo.source.partition(",")[0]
        assert name in credit
        assert source in credit


def test_the_network_is_small_and_knows_as_many_tiles_as_the_lesson_says(
    files, extractor
):
    held_out = list(filter(is_held_out, files))
    right = photos.count_recognised(extractor, held_out)
    outputs = [
        output.get("text", "")
        for cell in nbformat.read(LESSON, 4).cells
        for output in cell.get("outputs", [])
    ]
    (said,) = re.findall(r"(\d+) of (\d+) recognised", "".join(outputs))
    assert (str(right), str(len(held_out))) == said
    assert f"{right} of {len(held_out)} held-out tiles" in train_tiles.judge()
    assert NETWORK.stat().st_size < 2_000_000


def test_no_tile_is_near_the_border_of_two_photographs(files, extractor):
    # So another processor, which rounds otherwise, comes to the same number
    _, scores = extractor.run([read_image(file) for file in files])
    best = np.sort(scores, axis=1)
    assert (best[:, -1] - best[:, -2]).min() > 0.05


def test_the_training_script_draws_tiles_without_the_library_that_trains():
    parts = [photos.regions(photos.read_photo(name))[0] for name in ("cat", "coins")]
    crops, labels = train_tiles.random_tiles(parts, 6, np.random.default_rng(1))
    assert crops.shape == (6, 3, TILE, TILE)
    assert sorted(labels) == [0, 0, 0, 1, 1, 1]
    assert "torch" not in sys.modules


@pytest.mark.parametrize(
    ("number", "error"),
    [(0, "ValueError: not an image"), (1, "ValueError: an empty file")],
)
def test_a_bad_file_is_refused(tmp_path, number, error):
    assert attempt(read_image, photos.spoil(tmp_path)[number]) == error


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_image(photos.spoil(tmp_path)[2])


def test_half_of_an_image_is_refused(tmp_path, files):
    data = files[0].read_bytes()
    half = tmp_path / "half.png"
    half.write_bytes(data[: len(data) // 2])
    assert attempt(read_image, half) == "ValueError: not an image"


def test_a_batch_gives_the_rows_that_its_files_give_alone(extractor, files):
    together = extractor.extract(files[:5])
    alone = merge(extractor.extract([file]) for file in files[:5])
    assert together.features.shape == (5, 64)
    assert np.allclose(together.features, alone, atol=1e-4)
    assert together.working.task == files[0].stem


def test_two_threads_give_the_rows_of_one(batches, reference):
    assert np.allclose(Extractor(2).extract(batches[0]).features, reference[:8])
    Extractor(1)


def test_an_answer_travels(extractor, files):
    answer = extractor.extract(files[:2])
    features, *spans = pickle.loads(pickle.dumps(answer))
    assert np.array_equal(features, answer.features)
    assert spans == [answer.loading, answer.working]


def test_rows_are_merged_in_the_order_of_the_answers():
    answers = [Answer(np.full((rows, 2), rows), None, None) for rows in (3, 1, 2)]
    assert merge(iter(answers))[:, 0].tolist() == [3, 3, 3, 1, 2, 2]


def test_spans_tell_each_load_once():
    loads = [Span(process, 1, "network", 0, 1, "loading") for process in (7, 8)]
    works = [Span(7 + n % 2, 1, f"batch {n}", 1, 2) for n in range(4)]
    answers = [Answer(None, loads[n % 2], works[n]) for n in range(4)]
    assert spans_of(iter(answers)) == [*loads, *works]
    assert count_networks(answers) == 2


def test_the_bar_shows_a_count_and_no_time():
    from tqdm import tqdm

    text = tqdm.format_meter(3, 6, 1.5, **{**plain_bar(), "file": None})
    assert text.startswith(" 50%|####")
    assert text.endswith("| 3/6")


def test_a_pool_gives_the_rows_of_the_loop_in_the_order_of_the_files(
    context, batches, reference
):
    with context.Pool(2, start_worker) as pool:
        answers = list(pool.imap(extract, batches)) + pool.map(extract, batches, 1)
        wasteful = pool.map(load_and_extract, batches, 1)
    assert np.array_equal(merge(answers), np.concatenate([reference, reference]))
    assert np.array_equal(merge(wasteful), reference)
    assert count_networks(answers) == len({each.working.process for each in answers})
    assert count_networks(wasteful) == len(batches)
    assert all(
        answer.loading.worker == answer.working.worker
        and answer.loading.stop <= answer.working.start
        for answer in answers + wasteful
    )


def test_a_bad_file_costs_one_item(tmp_path, batches, reference):
    good = [file for batch in batches for file in batch]
    bad = photos.spoil(tmp_path)
    items = [bad[0], *good[:20], bad[1], *good[20:], bad[2]]
    engine = processes(2, "spawn", start_worker)
    report = run(extract_one, items, executor=engine, timeout=LIMIT)
    assert [each.item for each in report.failures] == bad
    kinds = [type(each.error) for each in report.failures]
    assert kinds == [ValueError, ValueError, FileNotFoundError]
    rows = [row for row in report.results if not isinstance(row, Failure)]
    assert np.allclose(rows, reference, atol=1e-4)
    assert report.restarts == 0


def test_the_clock_of_a_warm_pool_starts_when_all_networks_are_loaded(
    monkeypatch, batches
):
    def note(work, *arguments):
        return clock(), work(*arguments)

    monkeypatch.setattr(lesson, "seconds_taken", note)
    start, answers = warm_seconds(get_context("spawn"), batches, 2)
    assert len(answers) == len(batches)
    assert max(answer.loading.stop for answer in answers) <= start


def test_a_bare_process_can_do_the_work(batches):
    spawn = get_context("spawn")
    assert bare_seconds(extract, batches, spawn, 1, initializer=start_worker) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count otherwise")
def test_a_library_brings_threads_unless_it_is_told_not_to(batches):
    counts = []
    for threads in (1, 8):
        with get_context("spawn").Pool(1, start_worker, [threads]) as pool:
            counts.append(pool.apply(count_threads, [batches[0]]))
    assert counts[1] >= counts[0] + 6


def test_the_clock_of_the_workers_runs_when_one_works(batches):
    assert lesson.cpu_of_workers() == 0
    with get_context("spawn").Pool(1, start_worker) as pool:
        pool.map(extract, batches)
        before = lesson.cpu_of_workers()
        pool.map(extract, batches * 3)
        assert lesson.cpu_of_workers() > before > 0


def test_a_worker_tells_its_memory(batches):
    with get_context("spawn").Pool(1, start_worker) as pool:
        mine = pool.apply(own_memory, [batches[0]])
    assert 10 * lesson.MB < mine < psutil.virtual_memory().total


@pytest.mark.parametrize("free", [0, 5, 17, 999])
@pytest.mark.parametrize("cores", [1, 4])
def test_workers_fit_and_one_more_would_not(free, cores):
    number = workers_that_fit(free, 5, cores)
    assert number * 5 <= free
    assert number <= cores
    assert number == cores or (number + 1) * 5 > free


def test_a_forked_child_is_alone_and_works_as_recorded():
    can_fork = sys.platform == "linux"
    recorded = transcript(lesson.FORK_PROGRAM)
    note = "" if can_fork else RECORDED_LINE
    assert run_fork_program(LIMIT) == (note + recorded).rstrip()


def test_without_fork_the_recorded_run_is_shown(monkeypatch):
    monkeypatch.delattr(os, "fork", raising=False)
    recorded = transcript(lesson.FORK_PROGRAM)
    assert run_fork_program(LIMIT) == (RECORDED_LINE + recorded).rstrip()
    assert "False" not in recorded


@contextmanager
def open_device_pool(context):
    devices, everyone = pretend.fill_queue([4, 9], context), context.Barrier(2)
    with (
        closing(devices),
        context.Pool(2, pretend.take_device, [devices, everyone]) as pool,
    ):
        yield pool


def test_each_worker_has_a_device_of_its_own(context, batches, reference):
    with open_device_pool(context) as pool:
        pairs = pool.map(pretend.say_device, range(2), 1)
        placed = pool.map(pretend.extract_on_device, batches, 1)
    assert sorted(device for _, device in pairs) == [4, 9]
    pairs += [(each.process, each.device) for each in placed]
    assert len(set(pairs)) == 2
    assert pretend.none_shared(pairs)
    assert np.array_equal(merge(placed), reference)


def test_who_comes_after_a_dead_worker_says_that_no_device_is_left():
    with open_device_pool(get_context("spawn")) as pool:
        pool.apply_async(pretend.extract_on_device, [pretend.BOMB])
        said = [pool.apply_async(pretend.say_device) for _ in range(2)]
        texts = sorted(attempt(each.get, LIMIT) for each in said)
    assert texts[0].startswith("(")
    assert texts[1] == "NoDeviceError: no device was left for this worker"


def test_a_new_pool_has_all_devices_again(start_method, batches, reference):
    tasks = [*batches[:3], pretend.BOMB, *batches[3:]]
    engine = pretend.device_pools([4, 9], start_method)
    report = run(pretend.extract_on_device, tasks, executor=engine, tries=1)
    assert [type(each.error) for each in report.failures] == [WorkerDied]
    assert report.restarts > 0
    placed = [each for each in report.results if not isinstance(each, Failure)]
    assert np.array_equal(merge(placed), reference)
    assert {each.device for each in placed} <= {4, 9}


@pytest.mark.parametrize(
    ("pairs", "alone"),
    [
        ([(1, 0)], True),
        ([(1, 0), (2, 1), (1, 0)], True),
        ([(1, 0), (2, 0)], False),
        ([(1, 0), (1, 1)], False),
    ],
)
def test_a_shared_device_is_noticed(pairs, alone):
    assert pretend.none_shared(iter(pairs)) == alone


def test_the_most_alike_point_the_same_way():
    files = [Path(f"a-{number:02}.png") for number in (0, 1, 2, 40, 41)]
    features = np.array([[3, 0], [0, 5], [1, 1], [0, 0.1], [9, 8]])
    rows = photos.most_alike(features, files, 2)
    assert [[files.index(each) for each in row] for row in rows] == [
        [3, 1, 2],
        [4, 2, 0],
    ]


def test_tiles_are_shown_in_rows_under_their_names(files):
    plain = photos.show_tiles([files[:3], files[50:52]], "some tiles")
    apart = photos.show_tiles([files[:3]], "with a gap", gap=True)
    assert repr(plain) == "some tiles"
    sizes = [
        tuple(int.from_bytes(each.png[at : at + 4], "big") for at in (16, 20))
        for each in (plain, apart)
    ]
    assert sizes[0][1] == 2 * sizes[1][1]
    assert sizes[0][0] + 24 == sizes[1][0]
