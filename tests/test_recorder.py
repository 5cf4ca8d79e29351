import json
import os
import pickle
import subprocess
import sys
import threading
from multiprocessing import get_all_start_methods, get_context

import pytest

from lessons_src.tools.timeline import Recorder, clock, order, span, workers

LIMIT = 60


@pytest.fixture(params=["memory", "files"])
def recorder(request, tmp_path):
    folder = None if request.param == "memory" else tmp_path / "new" / "späns b"
    with Recorder(folder) as made:
        yield made


def record(recorder, tasks):
    for task in tasks:
        with recorder.span(task):
            pass


def test_recorder_keeps_spans_by_start_with_inner_spans(recorder):
    before = clock()
    with recorder.span("outer"), recorder.span("inner", kind="waiting"):
        pass
    after = clock()
    outer, inner = recorder.spans
    assert [outer.task, inner.task] == ["outer", "inner"]
    assert [outer.kind, inner.kind] == ["working", "waiting"]
    assert before <= outer.start <= inner.start <= inner.stop <= outer.stop <= after
    assert outer.worker == inner.worker == span("here", before).worker


def test_recorder_keeps_the_span_of_a_task_that_fails(recorder):
    with pytest.raises(ZeroDivisionError), recorder.span("fails"):
        _ = 1 / 0
    assert order(recorder.spans) == ["fails"]


def test_recorder_gives_back_any_task_name(recorder):
    tasks = ['"quoted"', "two\nlines", "größe 读", "\ud800", "]", ""]
    record(recorder, tasks)
    assert sorted(each.task for each in recorder.spans) == sorted(tasks)


def test_recorder_serves_many_threads_at_once(recorder):
    meet = threading.Barrier(8)

    def run(number):
        meet.wait(LIMIT)
        record(recorder, [f"{number}.{turn}" for turn in range(200)])

    threads = [threading.Thread(target=run, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    assert len({each.task for each in recorder.spans}) == 1600
    assert len(workers(recorder.spans)) == 8


def test_recorder_opens_its_file_again_after_close(tmp_path):
    recorder = Recorder(tmp_path)
    record(recorder, ["before"])
    recorder.close()
    record(recorder, ["after"])
    recorder.close()
    assert order(recorder.spans) == ["before", "after"]
    assert len(list(tmp_path.iterdir())) == 1


def test_recorder_of_memory_refuses_to_be_sent_to_another_process():
    with pytest.raises(TypeError, match=r"give Recorder\(folder\)"):
        pickle.dumps(Recorder())


def test_unpickled_recorder_does_not_bring_a_deleted_folder_back(tmp_path):
    recorder = Recorder(tmp_path / "gone")
    sent = pickle.dumps(recorder)
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError):
        record(pickle.loads(sent), ["late"])


def test_recorder_finds_its_folder_from_another_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recorder = Recorder("spans")
    monkeypatch.chdir(tmp_path / "spans")
    record(recorder, ["task"])
    recorder.close()
    assert len(list((tmp_path / "spans").glob("*.jsonl"))) == 1


def test_reader_passes_over_a_torn_line(tmp_path):
    with Recorder(tmp_path) as recorder:
        record(recorder, ["whole"])
        [file] = tmp_path.iterdir()
        whole = file.read_bytes()
        for length in range(1, len(whole) - 1):
            file.write_bytes(whole + whole[:length])
            assert order(recorder.spans) == ["whole"]


def record_one(recorder, task):
    with recorder.span(task):
        return os.getpid()


@pytest.mark.parametrize("method", get_all_start_methods())
def test_every_process_records_into_its_own_file(method, tmp_path):
    tasks = [f"task {number}" for number in range(6)]
    with Recorder(tmp_path) as recorder:
        record(recorder, ["parent"])
        with get_context(method).Pool(2) as pool:
            jobs = [pool.apply_async(record_one, (recorder, task)) for task in tasks]
            processes = {job.get(LIMIT) for job in jobs}
        assert sorted(each.task for each in recorder.spans) == ["parent", *tasks]
        assert {each.process for each in recorder.spans} == {os.getpid(), *processes}
        assert len(list(tmp_path.iterdir())) == 1 + len(processes)


# For a worker that was given its recorder before it was forked
inherited = None


def record_inherited(task):
    return record_one(inherited, task)


@pytest.mark.skipif("fork" not in get_all_start_methods(), reason="needs fork")
def test_forked_child_leaves_the_open_file_of_its_parent_alone(tmp_path, monkeypatch):
    with Recorder(tmp_path) as recorder:
        monkeypatch.setattr(f"{__name__}.inherited", recorder)
        record(recorder, ["parent"])
        with get_context("fork").Pool(1) as pool:
            child = pool.apply_async(record_inherited, ("child",)).get(LIMIT)
        record(recorder, ["parent again"])
        assert order(recorder.spans) == ["parent", "child", "parent again"]
        mine = (tmp_path / f"{os.getpid()}.jsonl").read_bytes().splitlines()
        assert [json.loads(line)[2] for line in mine] == ["parent", "parent again"]
        assert (tmp_path / f"{child}.jsonl").exists()


def test_span_of_a_worker_killed_right_after_it_is_not_lost(tmp_path):
    code = """
import os, sys
from lessons_src.tools.timeline import Recorder
with Recorder(sys.argv[1]).span("last"):
    pass
os._exit(3)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(command, timeout=LIMIT).returncode == 3
    assert order(Recorder(tmp_path).spans) == ["last"]


def test_forgotten_recorder_closes_its_file_without_a_warning(tmp_path):
    code = """
import sys
from lessons_src.tools.timeline import Recorder
for folder in sys.argv[1:]:
    recorder = Recorder(folder)
    with recorder.span("task"):
        pass
"""
    folders = [str(tmp_path / "dropped"), str(tmp_path / "kept till exit")]
    command = [sys.executable, "-X", "dev", "-c", code, *folders]
    done = subprocess.run(command, timeout=LIMIT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_it_does_not_import_what_only_drawing_needs():
    code = "import sys, lessons_src.tools.timeline; print('\\n'.join(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, timeout=LIMIT, capture_output=True, text=True)
    loaded = done.stdout.split()
    assert "lessons_src.tools.recorder" in loaded
    assert not {"matplotlib", "numpy", "PIL", "IPython"} & set(loaded)
