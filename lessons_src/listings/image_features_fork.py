import sys
import warnings
from multiprocessing import get_context
from tempfile import TemporaryDirectory

import numpy as np
import psutil

from lessons_src.image_features import Extractor
from lessons_src.image_features_photos import write_tiles


def again(sender):
    features = extractor.extract(files).features
    sender.send((psutil.Process().num_threads(), features))


folder = TemporaryDirectory()
files = write_tiles(folder.name)[:16]
extractor = Extractor(threads=4)
ours = extractor.extract(files).features
print("parent, more than one thread:", psutil.Process().num_threads() > 1)

receiver, sender = get_context("fork").Pipe(duplex=False)
child = get_context("fork").Process(target=again, args=[sender])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    child.start()
threads, theirs = receiver.recv() if receiver.poll(20) else (None, None)
print("child, threads:", threads, "- same features:", np.array_equal(ours, theirs))

warned = any("multi-threaded" in str(each.message) for each in caught)
print("warned, as this Python should:", warned == (sys.version_info >= (3, 12)))
child.kill()
child.join()
folder.cleanup()
