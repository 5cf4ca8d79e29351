import os
import sys
import warnings
from threading import Event, Thread

from lessons_src.fork import wait_for_children


def warned():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if os.fork() == 0:
            os._exit(0)
    wait_for_children()
    return any(warning.category is DeprecationWarning for warning in caught)


print("one thread, a warning:", warned())
done = Event()
Thread(target=done.wait).start()
from_312 = sys.version_info >= (3, 12)
print("two threads, as this Python should:", warned() == from_312)
done.set()
